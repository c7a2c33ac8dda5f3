"""Who calls, and what they may do: accounts, sessions, tokens, SSO, RBAC.

Knows settings, projects and Kubernetes (where accounts and revocations are stored); knows nothing of
routes, HTTP or gRPC. ``identity`` is the value everything above works with.
"""
