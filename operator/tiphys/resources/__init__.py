"""Typed API objects: one definition each gives JSON, CRD schema and (later) protobuf and OpenAPI.

Knows nothing of Kubernetes connections or HTTP. ``identity`` names objects, ``times`` their
instants; ``application``, ``project`` and ``applicationset`` hold the three kinds.
"""
