"""Query strings, read as strictly as the reference does (api.md 3): what is broken is an error.

Order and repetition are kept. Pure; no name means anything here.
"""

import re
from urllib.parse import unquote_to_bytes

MAX_PARAMETERS = 10_000
"""More than anybody sends, and few enough to be read in no time."""


class BadQuery(ValueError):
    """A query string that cannot be read; the text says why."""


def parse_query(raw: str) -> dict[str, list[str]]:
    """Name → values in order, of a raw query string (without ``?``).

    Raises:
        BadQuery: a broken escape, a semicolon, bytes that are no UTF-8, or too many parameters.
    """
    if not raw:
        return {}
    if raw.count("&") >= MAX_PARAMETERS:
        raise BadQuery(f"more than {MAX_PARAMETERS} query parameters")
    if ";" in raw:
        raise BadQuery("invalid semicolon separator in query")
    found: dict[str, list[str]] = {}
    for pair in raw.split("&"):
        if pair:
            name, _, value = pair.partition("=")
            found.setdefault(_text(name), []).append(_text(value))
    return found


def _text(escaped: str) -> str:
    text = escaped.replace("+", " ")
    if "%" not in text:
        return text
    bad = re.search(r"%(?![0-9A-Fa-f]{2}).{0,2}", text)
    if bad is not None:
        raise BadQuery(f'invalid URL escape "{bad[0]}"')
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        raise BadQuery("the query is no UTF-8") from None
