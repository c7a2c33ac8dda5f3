"""Go's quoted strings, both ways (``strconv.Quote`` and ``Unquote``)."""

import unicodedata

from tiphys.templating.gotemplate.values import to_bytes, to_text

_NAMED = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92}
_SHORT = {7: "\\a", 8: "\\b", 12: "\\f", 10: "\\n", 13: "\\r", 9: "\\t", 11: "\\v"}


class QuoteError(ValueError):
    """Not a quoted string."""


def is_print(char: str) -> bool:
    """Whether Go calls a character printable: letters, marks, numbers, punctuation, symbols, space."""
    return char == " " or unicodedata.category(char)[0] in "LMNPS"


def quote(text: str, mark: str = '"', *, ascii_only: bool = False) -> str:
    """A Go string literal."""
    return mark + "".join(_escaped(char, mark, ascii_only) for char in text) + mark


def _escaped(char: str, mark: str, ascii_only: bool) -> str:
    code = ord(char)
    if char in (mark, "\\"):
        return "\\" + char
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if is_print(char) and (code < 0x80 or not ascii_only):
        return char
    if code in _SHORT:
        return _SHORT[code]
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def can_backquote(text: str) -> bool:
    """Whether a raw string literal can hold the text."""
    return not any((ord(char) < 0x20 and char != "\t") or char in "`\x7f\ufeff" for char in text)


def unquote(text: str) -> str:
    """What a literal means: in double quotes, single quotes (one character) or backquotes.

    Raises:
        QuoteError: not a literal.
    """
    if len(text) < 2 or text[0] != text[-1] or text[0] not in "\"'`":
        raise QuoteError("invalid syntax")
    mark, body = text[0], text[1:-1]
    if mark == "`":
        return body.replace("\r", "")
    if "\n" in body:
        raise QuoteError("invalid syntax")
    found = bytearray()
    count = 0
    while body:
        data, body = _unescaped(body, mark)
        found += data
        count += 1
    if mark == "'" and count != 1:
        raise QuoteError("invalid syntax")
    return to_text(bytes(found))


def _unescaped(body: str, mark: str) -> tuple[bytes, str]:
    char = body[0]
    if char == mark:
        raise QuoteError("invalid syntax")
    if char != "\\":
        return to_bytes(char), body[1:]
    if len(body) < 2:
        raise QuoteError("invalid syntax")
    letter = body[1]
    if letter in _NAMED:
        return bytes([_NAMED[letter]]), body[2:]
    if letter in "\"'":
        if letter != mark:
            raise QuoteError("invalid syntax")
        return letter.encode(), body[2:]
    size = {"x": 2, "u": 4, "U": 8}.get(letter)
    try:
        if size is not None:
            digits = body[2 : 2 + size]
            if len(digits) < size or not digits.isalnum():
                raise QuoteError("invalid syntax")
            code = int(digits, 16)
            if letter == "x":
                return bytes([code]), body[2 + size :]
            if 0xD800 <= code <= 0xDFFF:
                raise QuoteError("invalid syntax")
            return chr(code).encode(), body[2 + size :]
        code = int(body[1:4], 8)
        if len(body) < 4 or code > 255:
            raise QuoteError("invalid syntax")
        return bytes([code]), body[4:]
    except (ValueError, OverflowError):
        raise QuoteError("invalid syntax") from None
