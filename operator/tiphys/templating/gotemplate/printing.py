"""Go's ``fmt``: what ``print`` and ``printf`` make of values.

A verb that does not fit a value, a missing or a left-over operand is no error in Go but a note in the
text (``%!d(string=x)``).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tiphys.templating.gotemplate.floats import format_float
from tiphys.templating.gotemplate.quoting import can_backquote, quote
from tiphys.templating.gotemplate.values import (
    NO_VALUE,
    Function,
    GoObject,
    check_size,
    sorted_items,
    to_bytes,
    type_of,
    weigh,
)

_MOST = 1_000_000  # of a width or a precision, as in Go


class Style(msgspec.Struct):
    """The flags, width and precision of a verb; ``named``: fields with their names (``%+v``)."""

    minus: bool = False
    plus: bool = False
    sharp: bool = False
    space: bool = False
    zero: bool = False
    named: bool = False
    width: int | None = None
    precision: int | None = None

    def pad(self, text: str) -> str:
        """The text in the width, with spaces (zeros are for numbers)."""
        if self.width is None:
            return text
        return text.ljust(self.width) if self.minus else text.rjust(self.width)


PLAIN = Style()


def sprint(*operands: Any) -> str:
    """``fmt.Sprint``: a space between two operands of which neither is a string."""
    weigh(operands)
    parts: list[str] = []
    before_is_text = True
    for operand in operands:
        is_text = isinstance(operand, str)
        if parts and not is_text and not before_is_text:
            parts.append(" ")
        parts.append(shown(operand))
        before_is_text = is_text
    return "".join(parts)


def sprintln(*operands: Any) -> str:
    """``fmt.Sprintln``."""
    weigh(operands)
    return " ".join(map(shown, operands)) + "\n"


def text_of(value: Any) -> str:
    """``%v`` of a value that may be of any size.

    Raises:
        GoError: too large.
    """
    if type(value) is str:
        return value
    weigh(value)
    return shown(value)


def shown(value: Any, verb: str = "v", style: Style = PLAIN, depth: int = 0) -> str:
    """A value by a verb."""
    if value is None or value is NO_VALUE:
        if depth:
            return "interface {}(nil)" if verb == "v" and style.sharp else style.pad("<nil>")
        return style.pad("<nil>") if verb == "v" else f"%!{verb}(<nil>)"
    if verb == "T":
        return style.pad(type_of(value))
    if isinstance(value, bool):
        text = "true" if value else "false"
        return style.pad(text) if verb in "vt" else _bad(value, verb)
    if isinstance(value, GoObject):
        return _object(value, verb, style, depth)
    if isinstance(value, int):
        return _integer(value, verb, style)
    if isinstance(value, float):
        return _float(value, verb, style)
    if isinstance(value, str):
        return _string(value, verb, style)
    if isinstance(value, bytes) and verb in "sqxX":
        return _string(value.decode("utf-8", "surrogateescape"), verb, style)
    if isinstance(value, complex):
        real, imaginary = format_float(value.real), format_float(value.imag)
        return f"({real}{'' if imaginary[0] in '+-' else '+'}{imaginary}i)"
    if isinstance(value, dict):
        return _map(value, verb, style, depth)
    if isinstance(value, list | tuple | bytes):
        return _list(value, verb, style, depth)
    if isinstance(value, Function):
        return "0x0"
    return style.pad(str(value))


def _bad(value: Any, verb: str) -> str:
    return f"%!{verb}({type_of(value)}={shown(value)})"


def _map(value: Mapping[Any, Any], verb: str, style: Style, depth: int) -> str:
    items = [
        f"{shown(key, verb, style, depth + 1)}:{shown(item, verb, style, depth + 1)}"
        for key, item in sorted_items(value)
    ]
    if verb == "v" and style.sharp:
        return f"{type_of(value)}{{{', '.join(items)}}}"
    return f"map[{' '.join(items)}]"


def _list(value: Sequence[Any], verb: str, style: Style, depth: int) -> str:
    items = [shown(item, verb, style, depth + 1) for item in value]
    if verb == "v" and style.sharp:
        return f"{type_of(value)}{{{', '.join(items)}}}"
    return f"[{' '.join(items)}]"


def _object(value: GoObject, verb: str, style: Style, depth: int) -> str:
    text = value.go_string()
    if text is not None and verb in "vsqxX":
        return style.pad(text) if verb == "v" else _string(text, verb, style)
    fields = value.go_fields()
    parts = [
        (f"{name}:" if style.named or style.sharp else "") + shown(item, verb, style, depth + 1)
        for name, item in fields.items()
    ]
    return "{" + " ".join(parts) + "}"


def _integer(value: int, verb: str, style: Style) -> str:
    text = getattr(value, "go_string", None)
    if text is not None and verb in "vs":
        return style.pad(text())
    number = int(value)
    if verb in "vd":
        digits = str(abs(number))
    elif verb in "xX" or verb in "ob" or verb == "O":
        digits = format(abs(number), "o" if verb == "O" else verb)
        if verb == "O":
            digits = f"0o{digits}"
        elif style.sharp:
            digits = {"x": "0x", "X": "0X", "o": "0", "b": "0b"}[verb] + digits
    elif verb == "c":
        return style.pad(_char(number))
    elif verb == "q":
        return style.pad(quote(_char(number), "'", ascii_only=style.plus))
    elif verb == "U":
        return style.pad(f"U+{number:04X}" + (f" '{chr(number)}'" if style.sharp else ""))
    elif verb in "eEfFgG":
        return _bad(value, verb)
    else:
        return _bad(value, verb)
    if style.precision is not None:
        digits = digits.rjust(style.precision, "0")
        if style.precision == 0 and number == 0:
            digits = ""
    return _signed(digits, number < 0, style, zero=style.zero and style.precision is None)


def _char(number: int) -> str:
    return chr(number) if 0 <= number < 0x110000 and not 0xD800 <= number < 0xE000 else "�"


def _signed(digits: str, negative: bool, style: Style, *, zero: bool) -> str:
    sign = "-" if negative else "+" if style.plus else " " if style.space else ""
    if zero and style.width is not None and not style.minus:
        digits = digits.rjust(style.width - len(sign), "0")
    return style.pad(sign + digits)


def _float(value: float, verb: str, style: Style) -> str:
    if verb not in "veEfFgG":
        return _bad(value, verb)
    precision = style.precision
    if precision is None and verb in "eEfF":
        precision = 6
    text = format_float(value, "g" if verb == "v" else verb, precision)
    negative = text.startswith("-")
    number = text.lstrip("+-")
    if number in ("Inf", "NaN"):
        sign = "-" if negative else "+" if number == "Inf" or style.plus else ""
        return style.pad(sign + number)
    return _signed(number, negative, style, zero=style.zero)


def _string(value: str, verb: str, style: Style) -> str:
    if verb in "xX":
        text = to_bytes(value).hex(" " if style.space else b"") if style.space else to_bytes(value).hex()
        return style.pad(text.upper() if verb == "X" else text)
    if verb in "vsq" and style.precision is not None:
        value = value[: style.precision]
    if verb == "q" or (verb == "v" and style.sharp):
        if style.sharp and verb == "q" and can_backquote(value):
            return style.pad(f"`{value}`")
        return style.pad(quote(value, ascii_only=style.plus))
    if verb not in "vs":
        return _bad(value, verb)
    if style.zero and not style.minus and style.width is not None:
        return value.rjust(style.width, "0")
    return style.pad(value)


def sprintf(form: str, *operands: Any) -> str:
    """``fmt.Sprintf``.

    Raises:
        GoError: the text would be too large.
    """
    weigh(operands)
    return _Printer(form, operands).run()


class _Printer:
    def __init__(self, form: str, operands: Sequence[Any]) -> None:
        self.form = form
        self.operands = operands
        self.position = 0
        self.argument = 0
        self.reordered = False
        self.good_index = True
        self.parts: list[str] = []
        self.size = 0

    def run(self) -> str:
        form = self.form
        while self.position < len(form):
            mark = form.find("%", self.position)
            if mark < 0:
                self._put(form[self.position :])
                break
            self._put(form[self.position : mark])
            self.position = mark + 1
            self._put(self._verb())
        if not self.reordered and self.argument < len(self.operands):
            rest = self.operands[self.argument :]
            notes = ["<nil>" if each is None else f"{type_of(each)}={shown(each)}" for each in rest]
            self._put(f"%!(EXTRA {', '.join(notes)})")
        return "".join(self.parts)

    def _put(self, text: str) -> None:
        self.size += len(text)
        check_size(self.size)
        self.parts.append(text)

    def _peek(self) -> str:
        return self.form[self.position : self.position + 1]

    def _verb(self) -> str:
        style = Style()
        self.good_index = True
        while self._peek() and self._peek() in "#0+- ":
            flag = self._peek()
            style.sharp = style.sharp or flag == "#"
            style.plus = style.plus or flag == "+"
            style.space = style.space or flag == " "
            style.minus = style.minus or flag == "-"
            style.zero = style.zero or flag == "0"
            self.position += 1
        indexed = self._index()
        note = ""
        if self._peek() == "*":
            self.position += 1
            width = self._star()
            if width is None:
                note = "%!(BADWIDTH)"
            elif width < 0:
                style.minus, style.width = True, -width
            else:
                style.width = width
            indexed = False
        else:
            style.width = self._number()
            if indexed and style.width is not None:
                self.good_index = False
        if self._peek() == ".":
            self.position += 1
            if indexed:
                self.good_index = False
            indexed = self._index()
            if self._peek() == "*":
                self.position += 1
                style.precision = self._star()
                if style.precision is None or style.precision < 0:
                    style.precision = None
                    note += "%!(BADPREC)"
                indexed = False
            else:
                style.precision = self._number() or 0
        if not indexed:
            self._index()
        if style.minus:
            style.zero = False
        return note + self._apply(style)

    def _apply(self, style: Style) -> str:
        verb = self._peek()
        if not verb:
            return "%!(NOVERB)"
        self.position += 1
        if verb == "%":
            return "%"
        if not self.good_index:
            return f"%!{verb}(BADINDEX)"
        if self.argument >= len(self.operands):
            return f"%!{verb}(MISSING)"
        if verb == "v" and style.plus:
            style.plus, style.named = False, True
        operand = self.operands[self.argument]
        self.argument += 1
        if verb == "T" and operand is None:
            return style.pad("<nil>")
        # a width counts for each element
        check_size((style.width or 0) + (style.precision or 0))
        if isinstance(operand, list | dict | tuple):
            check_size(len(operand) * ((style.width or 0) + (style.precision or 0)))
        return shown(operand, verb, style)

    def _number(self) -> int | None:
        start = self.position
        while self._peek().isdecimal() and self._peek().isascii():
            self.position += 1
        text = self.form[start : self.position]
        return min(int(text), _MOST) if text and len(text) < 8 else None

    def _star(self) -> int | None:
        value = self.operands[self.argument] if self.argument < len(self.operands) else None
        self.argument += self.argument < len(self.operands)
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _MOST:
            return int(value)
        return None

    def _index(self) -> bool:
        """``[n]``: which operand comes next."""
        if self._peek() != "[":
            return False
        self.reordered = True
        end = self.form.find("]", self.position)
        if end < 0:
            self.good_index = False
            self.position += 1
            return False
        text = self.form[self.position + 1 : end]
        self.position = end + 1
        if text.isdecimal() and len(text) < 8 and 1 <= int(text) <= len(self.operands):
            self.argument = int(text) - 1
            return True
        self.good_index = False
        return True
