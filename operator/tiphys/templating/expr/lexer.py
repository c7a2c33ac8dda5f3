"""An expression's text as tokens."""

import re
from typing import NamedTuple

from tiphys.templating.expr.errors import located
from tiphys.templating.gotemplate.quoting import QuoteError, unquote

_TOKEN = re.compile(
    r"(?P<space>\s+|//[^\n]*|/\*.*?\*/)"
    r"|(?P<number>0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+"
    r"|(?:[0-9][0-9_]*(?:\.(?!\.)[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<string>\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)"
    r"|(?P<name>[A-Za-z_$][A-Za-z0-9_$]*)"
    r"|(?P<mark>\?\.|\?\?|\.\.|\*\*|&&|\|\||==|!=|<=|>=|[-+*/%^<>=!?:.,;|#(){}\[\]])",
    re.DOTALL,
)

_INSIDE = re.compile(r'\\.|"', re.DOTALL)


class Token(NamedTuple):
    """A token: ``kind`` is ``number``, ``string``, ``name``, ``mark`` or ``end``."""

    kind: str
    value: str
    position: int


def tokens_of(text: str) -> list[Token]:
    """All tokens, the last of the kind ``end``.

    Raises:
        ExpressionError: a character that has no place in the language.
    """
    found: list[Token] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise located(f"unrecognized character: {text[position]!r}", text, position)
        kind = match.lastgroup or ""
        value = match.group()
        if kind == "string":
            value = _unquoted(value, text, position)
        if kind != "space":
            found.append(Token(kind, value, position))
        position = match.end()
    found.append(Token("end", "", len(text)))
    return found


def _unquoted(literal: str, text: str, position: int) -> str:
    if literal[0] == "'":
        # single quotes hold a whole text here, other than in Go
        body = _INSIDE.sub(_requoted, literal[1:-1])
        literal = f'"{body}"'
    elif literal[0] == '"':
        literal = literal.replace("\\'", "'")
    try:
        return unquote(literal)
    except QuoteError:
        raise located("invalid string", text, position) from None


def _requoted(match: "re.Match[str]") -> str:
    """What stands in single quotes, for double ones."""
    return {'"': '\\"', "\\'": "'"}.get(match.group(), match.group())
