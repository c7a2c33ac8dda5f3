"""Tokens as something that can be computed: closures over a :class:`scope.Scope`.

One method for each level of the grammar; binary operators climb by :data:`_PRECEDENCE`.
"""

from collections.abc import Callable, Mapping
from typing import Any

from tiphys.templating.expr.errors import ExpressionError, Mistake, located
from tiphys.templating.expr.functions import (
    OPTIONAL_PREDICATE,
    PLAIN,
    WITH_PREDICATE,
    applied,
    elements_of,
    plain,
)
from tiphys.templating.expr.lexer import Token, tokens_of
from tiphys.templating.expr.operations import BINARY, call, member, negative, part, positive, truth
from tiphys.templating.expr.scope import Compute, Element, Scope
from tiphys.templating.gotemplate.limits import NESTING
from tiphys.templating.gotemplate.numbers import parse_float, parse_integer
from tiphys.templating.sprig.dates import Moment

_PRECEDENCE = {
    "|": 0,
    **dict.fromkeys(("or", "||"), 10),
    **dict.fromkeys(("and", "&&"), 15),
    **dict.fromkeys(("==", "!=", "<", ">", ">=", "<=", "in", "matches", "contains"), 20),
    **dict.fromkeys(("startsWith", "endsWith"), 20),
    "..": 25,
    **dict.fromkeys(("+", "-"), 30),
    **dict.fromkeys(("*", "/", "%"), 60),
    **dict.fromkeys(("**", "^"), 100),
    "??": 500,
}
_UNARY = {"not": 50, "!": 50, "-": 90, "+": 90}
_CHANGES: Mapping[str, Callable[[Any], Any]] = {
    "-": negative,
    "+": positive,
    **dict.fromkeys(("not", "!"), lambda value: not truth(value)),
}
_RIGHT = ("**", "^")
_NEGATABLE = ("in", "matches", "contains", "startsWith", "endsWith")
_CHAINED = ("<", ">", "<=", ">=")
_WORDS = {"true": True, "false": False, "nil": None}


class _NothingThere(Exception):
    """``?.`` of nil: the whole chain is nil."""


def parse(text: str) -> Compute:
    """The computation of an expression.

    Raises:
        ExpressionError: not an expression.
    """
    parser = _Parser(text)
    try:
        found = parser.sequence()
        if parser.token.kind != "end":
            raise parser.unexpected()
        return found
    except RecursionError:
        raise ExpressionError("expression is nested too deeply") from None


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokens_of(text)
        self.index = 0
        self.depth = 0

    @property
    def token(self) -> Token:
        return self.tokens[self.index]

    def next(self) -> Token:
        token = self.token
        self.index = min(self.index + 1, len(self.tokens) - 1)
        return token

    def at(self, *values: str) -> bool:
        return self.token.kind in ("mark", "name") and self.token.value in values

    def accept(self, *values: str) -> bool:
        found = self.at(*values)
        if found:
            self.next()
        return found

    def expect(self, value: str) -> Token:
        if not self.at(value):
            raise self.unexpected()
        return self.next()

    def fail(self, text: str, token: Token) -> ExpressionError:
        return located(text, self.text, token.position)

    def unexpected(self) -> ExpressionError:
        if self.token.kind == "end":
            return self.fail("unexpected token EOF", self.token)
        return self.fail(f'unexpected token {self.token.kind}("{self.token.value}")', self.token)

    def placed(self, token: Token, compute: Compute) -> Compute:
        """The computation, whose mistakes get the token's place."""

        def run(scope: Scope) -> Any:
            scope.step()
            try:
                return compute(scope)
            except Mistake as mistake:
                raise located(str(mistake), self.text, token.position) from None

        return run

    # Levels

    def sequence(self) -> Compute:
        """``let x = …; …``"""
        if self.at("let"):
            self.next()
            name = self.next()
            if name.kind != "name":
                raise self.fail(f'unexpected token {name.kind}("{name.value}")', name)
            if name.value in PLAIN or name.value in WITH_PREDICATE:
                raise self.fail(f"cannot redeclare builtin {name.value}", name)
            self.expect("=")
            value = self.expression()
            self.expect(";")
            rest = self.sequence()

            def run(scope: Scope) -> Any:
                outer = scope.local
                scope.local = {**outer, name.value: value(scope)}
                try:
                    return rest(scope)
                finally:
                    scope.local = outer

            return run
        return self.expression()

    def expression(self, least: int = 0) -> Compute:
        self.depth += 1
        if self.depth > NESTING:
            raise self.fail("expression is nested too deeply", self.token)
        left = self.operand()
        while True:
            operator = self.token
            negated = operator.kind == "name" and operator.value == "not"
            if negated:
                operator = self.tokens[min(self.index + 1, len(self.tokens) - 1)]
                if operator.value not in _NEGATABLE:
                    break
            known = operator.kind in ("mark", "name")
            precedence = _PRECEDENCE.get(operator.value) if known else None
            if precedence is None or precedence < least:
                break
            self.index += 2 if negated else 1
            left = self.binary(left, operator, precedence)
            if negated:
                left = self.placed(operator, _negated(left))
        if least == 0 and self.at("?"):
            left = self.conditional(left)
        self.depth -= 1
        return left

    def binary(self, left: Compute, operator: Token, precedence: int) -> Compute:
        name = operator.value
        if name == "|":
            return self.piped(left)
        right = self.expression(precedence if name in _RIGHT else precedence + 1)
        if name in _CHAINED and self.at(*_CHAINED):
            following = self.next()
            rest = self.binary(right, following, precedence)
            return self.placed(operator, _both(self.computed(operator, left, right), rest))
        match name:
            case "and" | "&&":
                return self.placed(operator, _both(left, right))
            case "or" | "||":
                return self.placed(operator, lambda scope: truth(left(scope)) or truth(right(scope)))
            case "??":
                return lambda scope: value if (value := left(scope)) is not None else right(scope)
        return self.computed(operator, left, right)

    def computed(self, operator: Token, left: Compute, right: Compute) -> Compute:
        apply = BINARY[operator.value]
        return self.placed(operator, lambda scope: apply(left(scope), right(scope)))

    def piped(self, left: Compute) -> Compute:
        name = self.next()
        if name.kind != "name":
            raise self.fail(f'unexpected token {name.kind}("{name.value}")', name)
        return self.postfix(self.called(name, [left]))

    def conditional(self, test: Compute) -> Compute:
        mark = self.next()
        if self.accept(":"):
            raise self.unexpected()
        yes = self.expression()
        self.expect(":")
        no = self.expression()
        return self.placed(mark, lambda scope: yes(scope) if truth(test(scope)) else no(scope))

    def operand(self) -> Compute:
        token = self.token
        if self.at(*_UNARY) and token.kind in ("mark", "name"):
            self.next()
            inner = self.expression(_UNARY[token.value])
            change = _CHANGES[token.value]
            return self.postfix(self.placed(token, lambda scope: change(inner(scope))))
        return self.postfix(self.primary())

    def primary(self) -> Compute:
        token = self.next()
        if token.kind == "number":
            return self.number(token)
        if token.kind == "string":
            return lambda scope: token.value
        if token.kind == "name":
            return self.named(token)
        match token.value if token.kind == "mark" else "":
            case "(":
                inner = self.sequence()
                self.expect(")")
                return inner
            case "[":
                items = self.arguments("]")
                return lambda scope: [item(scope) for item in items]
            case "{":
                return self.map()
            case "#":
                return self.pointer(token)
            case ".":
                name = self.next()
                if name.kind != "name":
                    raise self.fail(f'unexpected token {name.kind}("{name.value}")', name)
                return self.placed(name, lambda scope: member(scope.element().value, name.value))
        self.index -= token.kind != "end"
        raise self.unexpected()

    def pointer(self, token: Token) -> Compute:
        name = self.token
        # "#index": the word stands right behind the mark
        if name.kind == "name" and name.position == token.position + 1:
            self.next()
            if name.value not in ("index", "acc"):
                raise self.fail(f"unknown pointer #{name.value}", name)
            field = "accumulated" if name.value == "acc" else "index"
            return self.placed(token, lambda scope: getattr(scope.element(), field))
        return self.placed(token, lambda scope: scope.element().value)

    def number(self, token: Token) -> Compute:
        text = token.value.replace("_", "")
        number: int | float | None = parse_integer(text) if text.isalnum() else None
        if number is None and text.isdecimal():
            number = int(text)  # zeros in front mean nothing here
        if number is None:
            number = parse_float(text)
        if number is None or (isinstance(number, int) and number >= 1 << 63):
            raise self.fail(f"invalid number literal {token.value}", token)
        return lambda scope: number

    def map(self) -> Compute:
        pairs: list[tuple[Compute, Compute]] = []
        while not self.at("}"):
            key = self.next()
            name: Compute
            if key.kind in ("string", "name", "number"):
                name = _constant(key.value)
            elif key.kind == "mark" and key.value == "(":
                name = self.expression()
                self.expect(")")
            else:
                raise self.fail("a map key must be a name, a text, a number or in parentheses", key)
            self.expect(":")
            pairs.append((name, self.expression()))
            if not self.accept(","):
                break
        self.expect("}")
        return lambda scope: {str(key(scope)): value(scope) for key, value in pairs}

    def arguments(self, end: str) -> list[Compute]:
        found: list[Compute] = []
        while not self.at(end):
            found.append(self.expression())
            if not self.accept(","):
                break
        self.expect(end)
        return found

    # Names and calls

    def named(self, token: Token) -> Compute:
        name = token.value
        if name in _WORDS:
            return _constant(_WORDS[name])
        if name == "if":
            return self.branch(token)
        if self.at("("):
            return self.called(token, [])
        if name == "$env":
            return lambda scope: dict(scope.variables)
        return lambda scope: scope.local[name] if name in scope.local else scope.variables.get(name)

    def branch(self, token: Token) -> Compute:
        test = self.expression()
        self.expect("{")
        yes = self.sequence()
        self.expect("}")
        self.expect("else")
        if self.at("if"):
            no = self.branch(self.next())
        else:
            self.expect("{")
            no = self.sequence()
            self.expect("}")
        return self.placed(token, lambda scope: yes(scope) if truth(test(scope)) else no(scope))

    def called(self, token: Token, given: list[Compute]) -> Compute:
        self.expect("(")
        name = token.value
        if name in WITH_PREDICATE:
            return self.with_predicate(token, given)
        if name == "reduce":
            return self.reduced(token, given)
        args = [*given, *self.arguments(")")]
        if name == "now" and not args:
            return self.placed(token, lambda scope: Moment(scope.clock()))
        if name in PLAIN:
            least, most, _ = PLAIN[name]
            if not least <= len(args) <= most:
                quantity = "not enough" if len(args) < least else "too many"
                raise self.fail(f"{quantity} arguments to call {name}", token)

        def run(scope: Scope) -> Any:
            values = [arg(scope) for arg in args]
            scope.step(*values)
            function = scope.local.get(name, scope.variables.get(name))
            if function is None and name in PLAIN:
                return plain(name, values)
            return call(function, values)

        return self.placed(token, run)

    def with_predicate(self, token: Token, given: list[Compute]) -> Compute:
        name = token.value
        if not given:
            given = [self.expression()]
            if not self.at(")"):
                self.expect(",")
        if self.at(")") and name in OPTIONAL_PREDICATE:
            predicate: Compute = lambda scope: scope.element().value  # noqa: E731
        else:
            predicate = self.predicate()
        self.accept(",")
        self.expect(")")
        apply = WITH_PREDICATE[name]
        return self.placed(token, lambda scope: apply(scope, elements_of(name, given[0](scope)), predicate))

    def reduced(self, token: Token, given: list[Compute]) -> Compute:
        if not given:
            given = [self.expression()]
            self.expect(",")
        predicate = self.predicate()
        initial = self.expression() if self.accept(",") else None
        self.expect(")")

        def run(scope: Scope) -> Any:
            elements = elements_of("reduce", given[0](scope))
            begin = 0
            if initial is not None:
                found = initial(scope)
            elif elements:
                found, begin = elements[0], 1
            else:
                raise Mistake("reduce of empty array with no initial value")
            for index in range(begin, len(elements)):
                found = applied(scope, predicate, Element(elements[index], index, found))
            return found

        return self.placed(token, run)

    def predicate(self) -> Compute:
        if self.accept("{"):
            found = self.sequence()
            self.expect("}")
            return found
        return self.expression()

    # Members

    def postfix(self, value: Compute) -> Compute:
        optional = False
        while self.at(".", "?.", "["):
            mark = self.next()
            if mark.value == "?.":
                optional = True
                value = _or_nothing(value)
            if mark.value == "[" or (mark.value == "?." and self.accept("[")):
                value = self.indexed(mark, value)
                continue
            name = self.next()
            if name.kind != "name":
                raise self.fail(f'unexpected token {name.kind}("{name.value}")', name)
            value = self.fetched(name, value)
        return _until_nothing(value) if optional else value

    def fetched(self, name: Token, value: Compute) -> Compute:
        if self.accept("("):
            args = self.arguments(")")
            return self.placed(
                name, lambda scope: call(member(value(scope), name.value), [arg(scope) for arg in args])
            )
        return self.placed(name, lambda scope: member(value(scope), name.value))

    def indexed(self, mark: Token, value: Compute) -> Compute:
        begin = None if self.at(":") else self.expression()
        if not self.accept(":"):
            self.expect("]")
            assert begin is not None
            key = begin
            return self.placed(mark, lambda scope: member(value(scope), key(scope)))
        end = None if self.at("]") else self.expression()
        self.expect("]")
        return self.placed(
            mark,
            lambda scope: part(value(scope), begin(scope) if begin else None, end(scope) if end else None),
        )


def _constant(value: Any) -> Compute:
    return lambda scope: value


def _negated(value: Compute) -> Compute:
    return lambda scope: not truth(value(scope))


def _both(left: Compute, right: Compute) -> Compute:
    return lambda scope: truth(left(scope)) and truth(right(scope))


def _or_nothing(value: Compute) -> Compute:
    def run(scope: Scope) -> Any:
        found = value(scope)
        if found is None:
            raise _NothingThere
        return found

    return run


def _until_nothing(value: Compute) -> Compute:
    def run(scope: Scope) -> Any:
        try:
            return value(scope)
        except _NothingThere:
            return None

    return run
