"""Words: their cases, their first letters, lines made out of them, texts made shorter."""

import unicodedata
from collections.abc import Callable

from tiphys.templating.gotemplate.values import check_size, to_bytes, to_text
from tiphys.templating.sprig.casting import SPACE


def abbrev(width: int, value: str) -> str:
    """At most ``width`` bytes, with an ellipsis at the end."""
    return value if width < 4 else _abbreviated(to_bytes(value), 0, width)


def abbrev_both(left: int, right: int, value: str) -> str:
    """At most ``right`` bytes around the offset ``left``, with ellipses."""
    if right < 4 or (left > 0 and right < 7):
        return value
    return _abbreviated(to_bytes(value), left, right)


def _abbreviated(data: bytes, offset: int, width: int) -> str:
    size = len(data)
    if size <= width:
        return to_text(data)
    offset = min(offset, size)
    if size - offset < width - 3:
        offset = size - (width - 3)
    if offset <= 4:
        return to_text(data[: width - 3]) + "..."
    if width < 7:
        return ""
    if offset + width - 3 < size:
        # the inner one is refused (and so empty) when too little room is left
        return "..." + (_abbreviated(data[offset:], 0, width - 3) if width - 3 >= 4 else "")
    return "..." + to_text(data[size - (width - 3) :])


def _bytewise(value: str) -> str:
    """Each byte as a character: what some functions make of texts that are not ASCII."""
    return to_bytes(value).decode("latin-1")


def initials(value: str) -> str:
    """The first letter of each word."""
    found, gap = [], True
    for char in _bytewise(value):
        if char in SPACE:
            gap = True
        elif gap:
            found.append(char)
            gap = False
    return "".join(found)


def without_space(value: str) -> str:
    """Without white space."""
    characters = _bytewise(value)
    left = "".join(char for char in characters if char not in SPACE)
    return value if len(left) == len(characters) else left


def title(value: str) -> str:
    """Each word with a capital."""
    found, before = [], " "
    for char in value:
        found.append(char.title() if _is_separator(before) else char)
        before = char
    return "".join(found)


def _is_separator(char: str) -> bool:
    if char.isalpha() or char.isdecimal() or char == "_":
        return False
    return char.isascii() or char in SPACE


def untitle(value: str) -> str:
    """Each word with a small letter."""
    found, begins = [], True
    for char in value:
        if char in SPACE:
            begins = True
        elif begins:
            char, begins = char.lower(), False
        found.append(char)
    return "".join(found)


def swap_case(value: str) -> str:
    """Small letters for capitals, and capitals for small ones."""
    return "".join(char.lower() if char.isupper() else char.upper() for char in value)


def wrap(value: str, width: int, mark: str, break_words: bool) -> str:
    """Lines of at most ``width`` bytes, with ``mark`` between them."""
    data, mark = to_bytes(value), mark or "\n"
    width = max(width, 1)
    check_size(len(data) // width * len(mark) + len(data))
    lines, offset = [], 0
    while len(data) - offset > width:
        if data[offset : offset + 1] == b" ":
            offset += 1
            continue
        space = data.rfind(b" ", offset, width + offset + 1)
        if space < 0 and break_words:
            lines.append(data[offset : offset + width])
            offset += width
            continue
        if space < 0:
            space = data.find(b" ", offset + width)
            if space < 0:
                break
        lines.append(data[offset:space])
        offset = space + 1
    return "".join(to_text(line) + mark for line in lines) + to_text(data[offset:])


def _is_connector(char: str) -> bool:
    return char in "-_" or char in SPACE


def pascal_case(value: str) -> str:
    """``some_words`` as ``SomeWords``; connectors at the ends stay."""
    rest = value.lstrip("-_" + SPACE)
    if not rest:
        return value + value[-1:]  # the last one twice: a slip of the library
    found = [value[: len(value) - len(rest)]]
    current = rest[0].upper()
    was_upper = rest[0].isupper()
    for char in rest[1:]:
        before, current = current, char
        if _is_connector(current) and _is_connector(before):
            found.append(before)
            continue
        if _is_connector(before):
            was_upper = current.isupper()
            current = current.upper()
            continue
        if was_upper:
            if current.isupper():
                current = current.lower()
            else:
                was_upper = False
        found.append(before)
    found.append(current)
    return "".join(found)


def separated(value: str, connector: str) -> str:
    """``SomeWords`` as ``some_words`` (or with another connector)."""
    if not value:
        return ""
    found: list[str] = []

    def put(kind: str, word: str) -> None:
        if kind in ("upper", "connector"):
            word = "".join(connector if _is_connector(char) else char.lower() for char in word)
        found.append(word)

    kind, word, rest = _next_word(value)
    while rest:
        if kind != "connector":
            put(kind, word)
        before, last = kind, word
        kind, word, rest = _next_word(rest)
        if before == "number":
            while kind in ("alphabet", "number"):
                put(kind, word)
                kind, word, rest = _next_word(rest)
            if kind not in ("", "punct", "connector"):
                found.append(connector)
        elif before == "connector":
            put(before, last)
        elif before == "punct":
            pass
        elif kind != "number":
            if kind not in ("connector", "punct"):
                found.append(connector)
        elif rest:
            digits = word
            kind, word, rest = _next_word(rest)
            if kind != "alphabet":
                put("number", digits)
                if kind not in ("connector", "punct"):
                    found.append(connector)
                continue
            found.append(connector)
            put("number", digits)
            while kind in ("alphabet", "number"):
                put(kind, word)
                kind, word, rest = _next_word(rest)
            if kind not in ("", "connector", "punct"):
                found.append(connector)
    put(kind, word)
    return "".join(found)


def _next_word(value: str) -> tuple[str, str, str]:
    """The kind and text of the first word, and what follows; an empty kind at the end."""
    if not value:
        return "", "", ""
    kind = _kind(value[0])
    if kind == "upper":
        size = _while(value, 1, str.isupper)
        if size == 1:
            size = _while(value, 1, lambda char: char.isalpha() and not char.isupper())
        elif size < len(value) and value[size].isalpha():
            size -= 1  # the last capital begins the next word
    elif kind == "alphabet":
        size = _while(value, 1, lambda char: char.isalpha() and not char.isupper())
    else:
        size = _while(value, 1, lambda char: _kind(char) == kind)
    return kind, value[:size], value[size:]


def _while(value: str, size: int, belongs: Callable[[str], bool]) -> int:
    while size < len(value) and belongs(value[size]):
        size += 1
    return size


def _kind(char: str) -> str:
    if _is_connector(char):
        return "connector"
    category = unicodedata.category(char)
    if category[0] == "P":
        return "punct"
    if category == "Lu":
        return "upper"
    if category[0] == "L":
        return "alphabet"
    return "number" if category[0] == "N" else "other"
