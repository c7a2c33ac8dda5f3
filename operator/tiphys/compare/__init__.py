"""Comparing desired with live: what an apply would change, told without asking the API server.

Pure: values in, values out; no I/O, no clock. Manifests that come out of a render become
``targets`` (normalised once, stamped with ``tracking``, split from their ``hooks``); a target and
its live object become a verdict (``verdicts``) under the rules of the application (``rules``).
Secrets leave the room only through ``masking``. How to apply is not known here, except for the
patch that a client-side apply sends (``threeway``), because comparing judges its result.
"""
