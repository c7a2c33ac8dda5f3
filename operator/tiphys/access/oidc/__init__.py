"""Single sign-on (api.md 12): OIDC providers, directly or through Dex.

``config`` reads the settings, ``provider`` talks to the identity provider, ``verifying`` checks its
tokens, ``groups`` asks for groups that no token holds, ``sealing`` encrypts what browsers keep for us,
``sso`` puts it together, ``flow`` is a login step by step; ``dex`` makes Dex's configuration.
"""
