"""Tiphys: a GitOps operator for Kubernetes.

Each sub-package is a room of the architecture (docs/architecture.md); a room imports
only from the rooms below it, which ``lint-imports`` checks.
"""
