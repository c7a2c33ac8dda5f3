"""ClusterService (api.md 7, 9; operations.md 1.9; health-and-resources.md 11).

``showing`` is what clients see of a cluster (never a credential), ``secrets`` how one is stored,
``testing`` asks an API server for its version before anything is stored, ``rotating`` makes new
tokens, ``service`` has the methods.
"""
