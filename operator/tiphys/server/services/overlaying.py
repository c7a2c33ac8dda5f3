"""Writing a typed value over a stored object without losing what our types do not know.

A definition of our kinds in the cluster may be newer than our types, and fields of it that somebody
set must survive a write through the API. ``overlaid`` takes the object as read, what our types made
of it, and what it shall be; whatever the types do not know stays where it was.
"""

from typing import Any


def overlaid(raw: Any, known: Any, wanted: Any) -> Any:
    """``raw`` changed from what was ``known`` of it to what is ``wanted``.

    Args:
        raw: JSON as it is stored.
        known: the same after decoding and encoding with our types.
        wanted: what the types say it shall be.
    """
    if wanted == known:
        return raw
    if isinstance(raw, dict) and isinstance(known, dict) and isinstance(wanted, dict):
        result = {key: value for key, value in raw.items() if key not in known}
        for key, value in wanted.items():
            same = key in raw and key in known
            result[key] = overlaid(raw[key], known[key], value) if same else value
        return result
    if isinstance(raw, list) and isinstance(known, list) and isinstance(wanted, list):
        return _items(raw, known, wanted)
    return wanted


def _items(raw: list[Any], known: list[Any], wanted: list[Any]) -> list[Any]:
    """Items that stay keep what is unknown of them, wherever they are now; where the number is the
    same, changed ones do, too."""
    if len(raw) != len(known):
        return wanted
    left = list(range(len(known)))
    found: dict[int, Any] = {}
    for place, item in enumerate(wanted):
        position = next((index for index in left if known[index] == item), None)
        if position is not None:
            left.remove(position)
            found[place] = raw[position]
    rest = [place for place in range(len(wanted)) if place not in found]
    if len(rest) == len(left):
        for place, index in zip(rest, left, strict=True):
            found[place] = overlaid(raw[index], known[index], wanted[place])
    return [found.get(place, item) for place, item in enumerate(wanted)]
