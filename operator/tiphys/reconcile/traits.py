"""What a live object says about its own comparison, read from its kept body.

Records are small and do not hold annotations; these few are read in one pass over the body and
remembered with the verdict of the object.
"""

from collections.abc import Mapping

import msgspec

from tiphys.compare.hooks import COMPARE_OPTIONS, SYNC_OPTIONS, parse_options
from tiphys.compare.tracking import TRACKING_ANNOTATION
from tiphys.live.records import LiveObject
from tiphys.resources.identity import ResourceKey

IGNORE_HEALTH = "argocd.argoproj.io/ignore-healthcheck"


class _Metadata(msgspec.Struct):
    annotations: Mapping[str, object] | None = None


class _Head(msgspec.Struct):
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)


_decoder = msgspec.json.Decoder(_Head)


class Traits(msgspec.Struct, frozen=True):
    """Annotations of a live object that matter here; ``key`` and ``tracking_id`` name it."""

    key: ResourceKey
    tracking_id: str = ""
    ignore_extraneous: bool = False
    ignore_health: bool = False
    sync_options: tuple[str, ...] = ()


def traits_of(live: LiveObject) -> Traits:
    """Read them; an object without a kept body has none."""
    body = live.body
    if not body:
        return Traits(live.key)
    annotations = _decoder.decode(body).metadata.annotations or {}

    def text(name: str) -> str:
        value = annotations.get(name)
        return value if isinstance(value, str) else ""

    return Traits(
        key=live.key,
        tracking_id=text(TRACKING_ANNOTATION),
        ignore_extraneous="IgnoreExtraneous" in parse_options(text(COMPARE_OPTIONS)),
        ignore_health=text(IGNORE_HEALTH) == "true",
        sync_options=parse_options(text(SYNC_OPTIONS)),
    )
