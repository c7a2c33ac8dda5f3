"""Kopf handlers: they turn watch events into calls on the controllers' triggers, nothing else.

Only low-level ``on.event`` handlers are used, so Kopf leaves no annotation, finalizer or status in
anybody's objects. What the triggers do with an event is none of this room's business.
"""

import sys
from typing import Any, cast


def _load_kopf() -> None:
    """Import Kopf without the client library that it looks for.

    To recognise objects of the ``kubernetes`` package in what handlers return, Kopf imports its models
    if they are there: a quarter second of CPU and 18 MiB at each start. Ours return none; whoever
    needs the package (exotic kubeconfigs) imports it later.
    """
    if "kubernetes" in sys.modules:
        return
    cast(dict[str, Any], sys.modules)["kubernetes"] = None  # says: not installed
    try:
        import kopf  # noqa: F401
    finally:
        del sys.modules["kubernetes"]


_load_kopf()
