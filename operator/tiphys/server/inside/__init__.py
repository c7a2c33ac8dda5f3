"""From the API server to the controllers when each is a Deployment of its own (issue: "sharing state").

``service`` answers out of a :class:`~tiphys.server.state.Live` in the controllers' process, ``remote`` is
a ``Live`` that asks there. Both sides know ``server.secretkey`` and the API's certificate from
argocd-secret: requests carry a short-lived token signed with a key made of the former, and the
connection is TLS whose other end must have exactly the latter. Nobody else gets an answer.
"""
