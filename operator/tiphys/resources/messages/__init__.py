"""The messages of the public API, one module for each of its packages.

Requests and answers of the services (api.md 7) and the types that occur only in them. Types stored in
Kubernetes are in the modules beside this package; both share one way of being written
(``resources.shape``), and ``resources.wire`` adds the protobuf form.
"""
