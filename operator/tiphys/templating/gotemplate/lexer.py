"""A template's text as tokens.

Outside actions there is text; inside, words, literals and marks, spaces included (they separate
arguments). What cannot be a token ends the list with an ``ERROR`` that carries Go's words: whether it
matters, and in which context, the parser decides.
"""

import re
from enum import Enum
from typing import NamedTuple

from tiphys.templating.gotemplate.quoting import quote


class Kind(Enum):
    """What a token is."""

    ERROR = "error"
    BOOL = "bool"
    CHAR = "char"
    CHAR_CONSTANT = "charconst"
    COMPLEX = "complex"
    ASSIGN = "="
    DECLARE = ":="
    EOF = "EOF"
    FIELD = "field"
    IDENTIFIER = "identifier"
    LEFT_DELIM = "{{"
    LEFT_PAREN = "("
    NUMBER = "number"
    PIPE = "|"
    RAW_STRING = "raw string"
    RIGHT_DELIM = "}}"
    RIGHT_PAREN = ")"
    SPACE = "space"
    STRING = "string"
    TEXT = "text"
    VARIABLE = "variable"
    BLOCK = "block"
    BREAK = "break"
    CONTINUE = "continue"
    DOT = "."
    DEFINE = "define"
    ELSE = "else"
    END = "end"
    IF = "if"
    NIL = "nil"
    RANGE = "range"
    TEMPLATE = "template"
    WITH = "with"


_WORDS = {
    kind.value: kind
    for kind in (
        *(Kind.BLOCK, Kind.BREAK, Kind.CONTINUE, Kind.DEFINE, Kind.ELSE, Kind.END, Kind.IF, Kind.NIL),
        *(Kind.RANGE, Kind.TEMPLATE, Kind.WITH),
    )
}
_KEYWORDS = frozenset(_WORDS.values()) | {Kind.DOT}


class Token(NamedTuple):
    """A token: ``position`` counts characters, ``line`` from 1."""

    kind: Kind
    position: int
    value: str
    line: int

    def __str__(self) -> str:
        if self.kind is Kind.EOF:
            return "EOF"
        if self.kind is Kind.ERROR:
            return self.value
        if self.kind in _KEYWORDS:
            return f"<{self.value}>"
        if len(self.value) > 10:
            return quote(self.value[:10]) + "..."
        return quote(self.value)


class _Refusal(Exception):
    """The text is no token; carries Go's words."""


_SPACE = " \t\r\n"
_COMMENT_START = re.compile(r"\{\{(-[ \t\r\n])?/\*")
_NUMBER = re.compile(
    r"[+-]?(?:0[xX][0-9a-fA-F_]*(?:\.[0-9a-fA-F_]*)?(?:[pP][+-]?[0-9_]*)?"
    r"|0[oO][0-7_]*(?:\.[0-7_]*)?|0[bB][01_]*(?:\.[01_]*)?"
    r"|[0-9_]*(?:\.[0-9_]*)?(?:[eE][+-]?[0-9_]*)?)i?"
)
_MARKS = {"=": Kind.ASSIGN, "|": Kind.PIPE}


def tokens_of(text: str) -> list[Token]:
    """All tokens; the last is EOF or ERROR."""
    return _Lexer(text).run()


class _Lexer:
    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.line = 1
        self.depth = 0
        self.tokens: list[Token] = []

    def run(self) -> list[Token]:
        start = 0
        try:
            while self.position < len(self.text):
                start = self.position
                if self._text():
                    while True:
                        start = self.position
                        if self._inside():
                            break
        except _Refusal as refusal:
            self.tokens.append(Token(Kind.ERROR, start, str(refusal), self.line))
            return self.tokens
        self.tokens.append(Token(Kind.EOF, len(self.text), "EOF", self.line))
        return self.tokens

    def _emit(self, kind: Kind, end: int) -> None:
        value = self.text[self.position : end]
        self.tokens.append(Token(kind, self.position, value, self.line))
        self._skip(end)

    def _skip(self, end: int) -> None:
        self.line += self.text.count("\n", self.position, end)
        self.position = end

    def _char(self, position: int) -> str:
        return self.text[position : position + 1]

    def _text(self) -> bool:
        """Text and a left delimiter; True when an action begins there."""
        begin = self.text.find("{{", self.position)
        if begin < 0:
            self._emit(Kind.TEXT, len(self.text))
            return False
        trimmed = (
            self._char(begin + 2) == "-" and self._char(begin + 3) in _SPACE and begin + 3 < len(self.text)
        )
        end = begin
        if trimmed:
            end = self.position + len(self.text[self.position : begin].rstrip(_SPACE))
        if end > self.position:
            self._emit(Kind.TEXT, end)
        self._skip(begin)
        if _COMMENT_START.match(self.text, begin):
            self._comment(begin + (4 if trimmed else 2))
            return False
        self._emit(Kind.LEFT_DELIM, begin + 2)
        if trimmed:
            self._skip(begin + 4)
        self.depth = 0
        return True

    def _comment(self, begin: int) -> None:
        end = self.text.find("*/", begin + 2)
        if end < 0:
            raise _Refusal("unclosed comment")
        after = self._right_delim(end + 2)
        if after is None:
            raise _Refusal("comment ends before closing delimiter")
        self._skip(after)

    def _right_delim(self, position: int) -> int | None:
        """Where the text goes on after a right delimiter at the position; None: there is none."""
        if self.text.startswith("}}", position):
            return position + 2
        if (
            self._char(position)
            and self._char(position) in _SPACE
            and self.text.startswith("-}}", position + 1)
        ):
            rest = self.text[position + 4 :]
            return position + 4 + len(rest) - len(rest.lstrip(_SPACE))
        return None

    def _inside(self) -> bool:
        """One token of an action; True when it was the right delimiter."""
        text, position = self.text, self.position
        after = self._right_delim(position)
        if after is not None:
            if self.depth:
                raise _Refusal("unclosed left paren")
            if text[position] != "}":
                self._skip(position + 2)
            self._emit(Kind.RIGHT_DELIM, self.position + 2)
            self._skip(after)
            return True
        char = self._char(position)
        if not char:
            raise _Refusal("unclosed action")
        if char in _SPACE:
            self._space()
        elif char in _MARKS:
            self._emit(_MARKS[char], position + 1)
        elif char == ":":
            if self._char(position + 1) != "=":
                raise _Refusal("expected :=")
            self._emit(Kind.DECLARE, position + 2)
        elif char == '"':
            self._quoted(Kind.STRING, '"', "unterminated quoted string")
        elif char == "'":
            self._quoted(Kind.CHAR_CONSTANT, "'", "unterminated character constant")
        elif char == "`":
            end = text.find("`", position + 1)
            if end < 0:
                raise _Refusal("unterminated raw quoted string")
            self._emit(Kind.RAW_STRING, end + 1)
        elif char == "$":
            self._word(position + 1, Kind.VARIABLE, Kind.VARIABLE)
        elif char == "." and not ("0" <= self._char(position + 1) <= "9"):
            self._word(position + 1, Kind.FIELD, Kind.DOT)
        elif char in "+-." or "0" <= char <= "9":
            self._number()
        elif _is_alphanumeric(char):
            self._identifier()
        elif char == "(":
            self.depth += 1
            self._emit(Kind.LEFT_PAREN, position + 1)
        elif char == ")":
            if not self.depth:
                raise _Refusal("unexpected right paren")
            self.depth -= 1
            self._emit(Kind.RIGHT_PAREN, position + 1)
        elif "!" <= char <= "~":
            self._emit(Kind.CHAR, position + 1)
        else:
            raise _Refusal(f"unrecognized character in action: {_named(char)}")
        return False

    def _space(self) -> None:
        end = self.position
        while self._char(end) and self._char(end) in _SPACE:
            end += 1
        # the last space may belong to a right delimiter with a trim marker
        if self._right_delim(end - 1) is not None and end - 1 > self.position:
            end -= 1
        self._emit(Kind.SPACE, end)

    def _quoted(self, kind: Kind, mark: str, refusal: str) -> None:
        end = self.position + 1
        while True:
            char = self._char(end)
            if char == "\\":
                end += 1
                char = self._char(end)
                if char and char != "\n":
                    end += 1
                    continue
            if not char or char == "\n":
                raise _Refusal(refusal)
            end += 1
            if char == mark:
                break
        self._emit(kind, end)

    def _word(self, end: int, kind: Kind, alone: Kind) -> None:
        if self._at_terminator(end):
            self._emit(alone, end)
            return
        while self._char(end) and _is_alphanumeric(self._char(end)):
            end += 1
        if not self._at_terminator(end):
            raise _Refusal(f"bad character {_named(self._char(end))}")
        self._emit(kind, end)

    def _identifier(self) -> None:
        end = self.position
        while self._char(end) and _is_alphanumeric(self._char(end)):
            end += 1
        if not self._at_terminator(end):
            raise _Refusal(f"bad character {_named(self._char(end))}")
        word = self.text[self.position : end]
        if word in _WORDS:
            self._emit(_WORDS[word], end)
        else:
            self._emit(Kind.BOOL if word in ("true", "false") else Kind.IDENTIFIER, end)

    def _at_terminator(self, position: int) -> bool:
        char = self._char(position)
        return not char or char in _SPACE or char in ".,|:)(" or self.text.startswith("}}", position)

    def _number(self) -> None:
        kind = Kind.NUMBER
        end = self._scanned(self.position)
        if self._char(end) and self._char(end) in "+-":
            end = self._scanned(end)
            kind = Kind.COMPLEX
            if self.text[end - 1] != "i":
                raise _Refusal(f"bad number syntax: {quote(self.text[self.position : end])}")
        self._emit(kind, end)

    def _scanned(self, position: int) -> int:
        match = _NUMBER.match(self.text, position)
        end = match.end() if match else position
        if self._char(end) and _is_alphanumeric(self._char(end)):
            raise _Refusal(f"bad number syntax: {quote(self.text[self.position : end + 1])}")
        return end


def _is_alphanumeric(char: str) -> bool:
    return char == "_" or char.isalpha() or char.isdecimal()


def _named(char: str) -> str:
    if not char:
        return "U+FFFFFFFFFFFFFFFF"
    text = f"U+{ord(char):04X}"
    return f"{text} '{char}'" if char.isprintable() else text
