"""The API: one port for REST, gRPC, gRPC-web, streams, webhooks, the badge and the UI's files.

``api/`` is what a method is, whoever calls it; ``services/`` are the methods; ``http/`` and ``grpc/``
are the ways to them; ``port`` puts both on one listener. Reads caches and writes Kubernetes; the
controllers' insides are reached only through ``state``.
"""
