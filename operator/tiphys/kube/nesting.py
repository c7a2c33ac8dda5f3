"""Objects that are nested more deeply than can be read.

The API server takes 10,000 levels; decoders in C recurse, and give up at about a thousand. A list or
an event with such an object in it would be lost as a whole, and with it everything of its kind. So
what is nested too deeply is cut out, without recursion, and a mark put in its place: everything else
can be read, and the object itself by its metadata. Costs about 0.1 s per megabyte, so it is done
only when a decoder gave up.
"""

import re

LEVELS = 200
"""Levels that are left; our JSON writer ends at 254."""
TOO_DEEP = "the object is nested too deeply to be read"
MARK = b'"tiphys.io/nested-too-deeply"'

_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[{]|[\]}]', re.DOTALL)


def cut(document: bytes, levels: int = LEVELS) -> bytes:
    """The JSON document with ``MARK`` in the place of every value below ``levels``."""
    parts: list[bytes] = []
    kept, depth, begin = 0, 0, -1
    for token in _TOKEN.finditer(document):
        first = document[token.start()]
        if first in b"[{":
            depth += 1
            if depth == levels + 1:
                begin = token.start()
        elif first in b"]}":
            if depth == levels + 1:
                parts += (document[kept:begin], MARK)
                kept = token.end()
            depth -= 1
    return b"".join((*parts, document[kept:])) if parts else document
