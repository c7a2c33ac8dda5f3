"""Typed API objects: one definition each gives JSON, CRD schema and (later) protobuf and OpenAPI.

Knows nothing of Kubernetes connections or HTTP. ``identity`` names objects, ``times`` their
instants and durations, ``shape`` says how structs become JSON and ``decoding`` how JSON becomes
structs. ``application`` (with ``source``, ``spec``, ``operation`` and ``status``), ``project``
and ``applicationset`` (with ``providers``) hold the three kinds; ``schema`` makes their CRDs.
"""
