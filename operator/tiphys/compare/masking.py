"""Secrets as people may see them: equal values under equal masks, nothing else (sync.md 6).

A mask is a run of plus signs: 8 for the first distinct value of a key, 4 more for each further
one. So a difference stays visible and the value, even its length, does not. The states of one
Secret must be masked together, or equal values would get different masks.
"""

import re
from collections.abc import Collection, Sequence
from typing import Any

import orjson

from tiphys.compare.normalize import fold_string_data, is_core_secret
from tiphys.compare.threeway import LAST_APPLIED, last_applied
from tiphys.resources.identity import GroupKind, Manifest, ResourceKey, annotations_of

FIRST_MASK = "++++++++"
_STEP = "++++"
SECRET = GroupKind("", "Secret")
_QUOTED_VALUE = re.compile(r"got &.*?(?=\n +\.|\Z)", re.DOTALL)
_QUOTED_DUMP = re.compile(r'"map\[(?:[^"\\]|\\.)*"', re.DOTALL)
_DUMP = re.compile(r"map\[.*\]", re.DOTALL)


def without_values(key: ResourceKey, refusal: str) -> str:
    """What the API server said about an object, without dumps and without the values of a Secret.

    A patch that does not fit the type of an object comes back as a whole: ``patch: Invalid value:
    "map[data:map[a:1] …]": cannot restore slice from int64``. No dump of a map is shown, of whatever
    kind (sync.md 13.6). A value of the wrong type (a password of digits without quotes) is quoted in
    the answer to a server-side apply: ``.data.a: expected string, got
    &value.valueUnstructured{Value:1}``.
    """
    told = _QUOTED_DUMP.sub('""', refusal) if '"map[' in refusal else refusal
    if key.group_kind != SECRET:
        return told
    return _DUMP.sub("", _QUOTED_VALUE.sub("got another type", told))


def mask_secret(
    target: Manifest | None, live: Manifest | None, hidden_annotations: Collection[str] = ()
) -> tuple[Manifest | None, Manifest | None]:
    """The two sides of a pair, masked together when they are core Secrets, else unchanged.

    ``hidden_annotations`` are those of ``resource.sensitive.mask.annotations``.
    """
    first, second = mask_states((target, live), hidden_annotations)
    return first, second


def mask_states(
    states: Sequence[Manifest | None], hidden_annotations: Collection[str] = ()
) -> tuple[Manifest | None, ...]:
    """Any number of states of one Secret (target, live, predicted, …), masked together."""
    known = [state for state in states if state is not None]
    if not any(is_core_secret(state) for state in known):
        return tuple(states)
    masked: list[Manifest | None] = [
        fold_string_data(state) if state is not None else None for state in states
    ]
    originals = [last_applied(state) if state is not None else None for state in masked]
    originals = [fold_string_data(original) if original is not None else None for original in originals]
    order = [*masked, *originals]  # targets and lives first, what they carry after them
    _mask_field(order, ("data",), _keys_of(order, ("data",)))
    _mask_field(order, ("stringData",), _keys_of(order, ("stringData",)))
    _mask_field(order, ("metadata", "annotations"), hidden_annotations)
    count = len(states)
    return tuple(
        _with_original(state, original, hidden_annotations)
        for state, original in zip(order[:count], order[count:], strict=True)
    )


def _keys_of(states: Sequence[Manifest | None], path: tuple[str, ...]) -> list[str]:
    keys: dict[str, None] = {}
    for state in states:
        keys.update(dict.fromkeys(_at(state, path) or {}))
    return list(keys)


def _at(state: Manifest | None, path: tuple[str, ...]) -> dict[str, Any] | None:
    value: Any = state
    for key in path:
        value = value.get(key) if type(value) is dict else None
    return value if type(value) is dict else None


def _mask_field(states: list[Manifest | None], path: tuple[str, ...], keys: Collection[str]) -> None:
    """Mask keys of a map in every state; ``states`` gets copies, in place. A ``data`` that is no
    map is hidden as a whole."""
    for at, state in enumerate(states):
        if state is not None and len(path) == 1 and path[0] in state:
            value = state[path[0]]
            if value is not None and type(value) is not dict:
                states[at] = {**state, path[0]: FIRST_MASK}
    for key in keys:
        masks: list[tuple[Any, str]] = []
        mask = FIRST_MASK
        for at, state in enumerate(states):
            values = _at(state, path)
            if state is None or values is None or key not in values:
                continue
            value = values[key]
            found = next(
                (given for seen, given in masks if type(seen) is type(value) and seen == value), None
            )
            if found is None:
                found = mask
                masks.append((value, found))
                mask += _STEP
            states[at] = _replaced(state, path, {**values, key: found})


def _replaced(state: Manifest, path: tuple[str, ...], value: dict[str, Any]) -> Manifest:
    if len(path) == 1:
        return {**state, path[0]: value}
    return {**state, path[0]: _replaced(state[path[0]], path[1:], value)}


def _with_original(
    state: Manifest | None, original: Manifest | None, hidden_annotations: Collection[str]
) -> Manifest | None:
    """The state with its last-applied annotation rewritten from the masked original."""
    if state is None:
        return None
    annotations = annotations_of(state)
    if LAST_APPLIED not in annotations:
        return state
    if LAST_APPLIED in hidden_annotations or original is None:
        text = FIRST_MASK
    else:
        text = orjson.dumps(original, option=orjson.OPT_SORT_KEYS).decode()
    return _replaced(state, ("metadata", "annotations"), {**annotations, LAST_APPLIED: text})
