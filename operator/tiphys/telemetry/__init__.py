"""Telemetry: logs, metrics and the endpoints that show them. Knows nothing of the domain."""
