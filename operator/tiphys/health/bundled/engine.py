"""Rules of health, one line each, compiled once to a function of the object.

A check is a block of lines, tried from top to bottom; the first whose condition holds decides.
::

    need spec                                    absent: the check fails (health Unknown)
    let p = status.phase                         a name for what follows
    when p == "Failed" -> D Failed: {status.message}
    find Stalled=True -> D {message}             the first such condition of the whole list
    walk Ready=False -> D {message}              neighbouring walk lines go through the list once:
    walk Ready=True & c.reason == "Ok" -> H      the earliest condition that fits one of them decides
    find Valid!=True @ status.items -> D         another list than status.conditions
    -> P Waiting                                 always

The letter is the status (Healthy, Progressing, Degraded, Suspended, Unknown, Missing), or an
expression in parentheses that gives one; ``none`` is a health without content, ``ERR why`` a
failure of the assessment. The text may stand
in quotes (for spaces at its ends and ``\\n``). ``{field}`` alone is a message that may be absent;
inside more text it must be there; ``{field|text}`` says what stands for an absent one. In ``find``
and ``walk`` lines ``c`` is the condition, ``message``, ``reason`` and ``type`` are its fields.

Conditions are Python expressions over ``obj``, ``meta``, ``spec``, ``status``, ``kind`` and
``conditions``, where a dot reads a field and nothing fails on absent ones, with the words of
``vocabulary.py`` and these about conditions: ``seen("Ready=True", reason="x")``, ``count(…)``,
``first(…)``, ``last(…)``. The tables are part of the program: nothing that users write is compiled.
"""

import ast
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tiphys.health.bundled.vocabulary import WORDS, NotText, Unreadable, fail, matcher
from tiphys.health.model import DEGRADED, HEALTHY, MISSING, PROGRESSING, SUSPENDED, UNKNOWN, Health, failed
from tiphys.resources.identity import Manifest

Check = Callable[[Manifest], Health]

LETTERS = {
    "H": HEALTHY,
    "P": PROGRESSING,
    "D": DEGRADED,
    "S": SUSPENDED,
    "U": UNKNOWN,
    "M": MISSING,
}

_ROOTS = {
    "obj": "obj",
    "meta": "at(obj, 'metadata')",
    "spec": "at(obj, 'spec')",
    "status": "at(obj, 'status')",
    "kind": "at(obj, 'kind')",
    "conditions": "items(at(at(obj, 'status'), 'conditions'))",
}
_OF_CONDITION = frozenset({"message", "reason", "type"})
_ABOUT_CONDITIONS = frozenset({"seen", "count", "first", "last"})
_HEALTH = re.compile(r"(none\b|ERR\b|[HPDSUM]\b|\()")


class RuleError(Exception):
    """A line of the tables is wrong; names the check and the line."""


class _Expression(ast.NodeTransformer):
    """Turns dots into reads that do not fail, and names into what they stand for."""

    def __init__(self, code: "_Code", in_walk: bool) -> None:
        self._code = code
        self._in_walk = in_walk

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        return _call("at", self.visit(node.value), ast.Constant(node.attr))

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        if isinstance(node.slice, ast.Slice):
            return self.generic_visit(node)
        word = "nth" if isinstance(node.slice, ast.Constant | ast.UnaryOp) else "at"
        if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
            word = "at"
        return _call(word, self.visit(node.value), self.visit(node.slice))

    def visit_Call(self, node: ast.Call) -> ast.AST:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name in _ABOUT_CONDITIONS:
            return self._about_conditions(name, node)
        if name not in self._code.space:
            raise RuleError(f"unknown word {ast.unparse(node.func)}")
        node.args = [self.visit(argument) for argument in node.args]
        node.keywords = [self.visit(keyword) for keyword in node.keywords]
        return node

    def _about_conditions(self, name: str, node: ast.Call) -> ast.AST:
        pattern = node.args[0]
        if not isinstance(pattern, ast.Constant):
            raise RuleError(f"{name} wants a pattern")
        fits = self._code.constant(_with_fields(matcher(str(pattern.value)), node.keywords))
        if len(node.args) > 1:
            return _call(f"_{name}", _call("items", self.visit(node.args[1])), ast.Name(fits))
        self._code.roots.add("conditions")
        return _call(f"_{name}", ast.Name("conditions", ast.Load()), ast.Name(fits))

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if isinstance(node.ctx, ast.Store):
            self._code.names.add(node.id)
            return node
        if node.id in self._code.names or node.id in self._code.space:
            return node
        if self._in_walk and node.id == "c":
            return node
        if self._in_walk and node.id in _OF_CONDITION:
            return _call("at", ast.Name("c"), ast.Constant(node.id))
        if node.id in _ROOTS:
            self._code.roots.add(node.id)
            return node
        raise RuleError(f"unknown name {node.id}")

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        self._code.names.update(argument.arg for argument in node.args.args)
        node.body = self.visit(node.body)
        return node

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> ast.AST:
        return self._comprehension(node)

    def visit_ListComp(self, node: ast.ListComp) -> ast.AST:
        return self._comprehension(node)

    def _comprehension(self, node: Any) -> ast.AST:
        node.generators = [self.visit(generator) for generator in node.generators]
        node.elt = self.visit(node.elt)
        return node  # type: ignore[no-any-return]

    def visit_comprehension(self, node: ast.comprehension) -> ast.AST:
        node.iter = self.visit(node.iter)
        node.target = self.visit(node.target)
        node.ifs = [self.visit(condition) for condition in node.ifs]
        return node


def _call(name: str, *arguments: ast.AST) -> ast.Call:
    return ast.Call(ast.Name(name), list(arguments), [])  # type: ignore[arg-type]


def _with_fields(fits: Callable[[Any], bool], keywords: list[ast.keyword]) -> Callable[[Any], bool]:
    wanted = [(keyword.arg, ast.literal_eval(keyword.value)) for keyword in keywords]
    if not wanted:
        return fits

    def matches(condition: Any) -> bool:
        return fits(condition) and all(
            condition.get(name) in value if isinstance(value, tuple) else condition.get(name) == value
            for name, value in wanted
        )

    return matches


def _seen(found: Sequence[Any], fits: Callable[[Any], bool]) -> bool:
    return any(fits(condition) for condition in found)


def _count(found: Sequence[Any], fits: Callable[[Any], bool]) -> int:
    return sum(1 for condition in found if fits(condition))


def _first(found: Sequence[Any], fits: Callable[[Any], bool]) -> Any:
    return next((condition for condition in found if fits(condition)), None)


def _last(found: Sequence[Any], fits: Callable[[Any], bool]) -> Any:
    return _first(found[::-1], fits)


class _Code:
    """The function of one check while it is written."""

    def __init__(self, traced: bool) -> None:
        self.roots: set[str] = set()
        self.names: set[str] = set()
        self.lines: list[str] = []
        self.space: dict[str, Any] = {
            **WORDS,
            "Health": Health,
            "fail": fail,
            "_seen": _seen,
            "_count": _count,
            "_first": _first,
            "_last": _last,
        }
        self._traced = traced
        self._loop = ""

    def constant(self, value: Any) -> str:
        name = f"_k{len(self.space)}"
        self.space[name] = value
        return name

    def expression(self, text: str, in_walk: bool = False) -> str:
        try:
            tree = ast.parse(text.strip(), mode="eval")
        except SyntaxError as error:
            raise RuleError(f"{text.strip()!r}: {error.msg}") from None
        return ast.unparse(ast.fix_missing_locations(_Expression(self, in_walk).visit(tree)))

    def rule(self, number: int, line: str) -> None:
        """One line of a block.

        Raises:
            RuleError: it is not a rule.
        """
        word, _, rest = line.partition(" ")
        walk_list = self._loop
        self._loop = ""
        match word:
            case "need":
                self.lines.append(f" needed({self.expression(rest)}, {rest.strip()!r})")
            case "let":
                name, equals, value = rest.partition(" = ")
                if not equals:
                    raise RuleError("let wants a name and ' = '")
                self.lines.append(f" {name.strip()} = {self.expression(value)}")
                self.names.add(name.strip())
            case "->":
                self.lines.append(f" return {self._result(number, rest, False)}")
            case "when":
                condition, result = _halves(rest)
                self.lines.append(f" if {self.expression(condition)}:")
                self.lines.append(f"  return {self._result(number, result, False)}")
            case "find" | "walk":
                pattern, result = _halves(rest)
                pattern, _, extra = pattern.partition(" & ")
                pattern, _, where = pattern.partition(" @ ")
                source = self.expression(f"items({where})") if where else "conditions"
                if not where:
                    self.roots.add("conditions")
                if word == "find" or walk_list != source:
                    self.lines.append(f" for c in {source}:")
                self._loop = source if word == "walk" else ""
                tests = _inline(pattern.strip())
                if extra:
                    tests.append(f"({self.expression(extra, in_walk=True)})")
                self.lines.append(f"  if {' and '.join(tests) or 'True'}:")
                self.lines.append(f"   return {self._result(number, result, True)}")
            case _:
                raise RuleError(f"unknown kind of rule {word!r}")

    def _result(self, number: int, text: str, in_walk: bool) -> str:
        text = text.strip()
        head = _HEALTH.match(text)
        if head is None:
            raise RuleError(f"no status in {text!r}")
        if head[0] == "ERR":
            return f"fail({text.removeprefix('ERR').strip()!r}, {number})"
        if head[0] == "(":
            end = _closing(text)
            code, rest = self.expression(text[:end], in_walk), text[end:]
        elif head[0] == "none":
            code, rest = "''", ""
        else:
            code, rest = repr(LETTERS[head[0]]), text[1:]
        fixed, message = self._message(rest.strip(), in_walk)
        if fixed and head[0] != "(":
            health = self.constant(Health(ast.literal_eval(code), ast.literal_eval(message)))
        else:
            health = f"Health({code}, {message})"
        return f"({number}, {health})" if self._traced else health

    def _message(self, text: str, in_walk: bool) -> tuple[bool, str]:
        """Whether a message is always the same, and the code that gives it."""
        if text.startswith('"') and text.endswith('"') and len(text) > 1:
            text = text[1:-1].replace("\\n", "\n").replace('\\"', '"')
        pieces = _pieces(text)
        if not any(is_field for is_field, _ in pieces):
            return True, repr(text)
        if len(pieces) == 1 and pieces[0][0]:
            field, bar, default = pieces[0][1].partition("|")
            read = self.expression(field, in_walk)
            return False, f"alone({_or_default(read, default) if bar else read})"
        parts = []
        for is_field, piece in pieces:
            if not is_field:
                parts.append(repr(piece))
                continue
            field, bar, default = piece.partition("|")
            read = self.expression(field, in_walk)
            parts.append(f"written({_or_default(read, default) if bar else read}, {field!r})")
        return False, " + ".join(parts)

    def function(self, name: str, arguments: Sequence[str] = ()) -> Callable[..., Any]:
        roots = [f" {root} = {_ROOTS[root]}" for root in sorted(self.roots) if root != "obj"]
        source = "\n".join([f"def check({', '.join(['obj', *arguments])}):", *roots, *self.lines])
        exec(compile(source, f"<health {name}>", "exec"), self.space)
        return self.space["check"]  # type: ignore[no-any-return]


def _inline(pattern: str) -> list[str]:
    """Tests of a pattern as expressions over ``c``; checked by the vocabulary's reader."""
    matcher(pattern)
    types, operator, statuses = pattern, "", ""
    for sign in ("!=", "="):
        if sign in pattern:
            types, operator, statuses = (*pattern.partition(sign),)
            break
    tests = []
    if types != "*":
        wanted = types.split("|")
        tests.append(
            f"c.get('type') == {wanted[0]!r}" if len(wanted) == 1 else f"c.get('type') in {wanted!r}"
        )
    if operator:
        wanted = statuses.split("|")
        negated = "not " if operator == "!=" else ""
        tests.append(f"c.get('status') {negated}in {tuple(wanted)!r}")
    return tests


def _or_default(code: str, default: str) -> str:
    return f"({default!r} if (_v := {code}) is None else _v)"


def _halves(text: str) -> tuple[str, str]:
    condition, arrow, result = text.partition("->")
    if not arrow:
        raise RuleError("no '->'")
    return condition, result


def _closing(text: str) -> int:
    depth = 0
    for index, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return index + 1
    raise RuleError(f"no ')' in {text!r}")


def _pieces(text: str) -> list[tuple[bool, str]]:
    """Text between braces (fields) and around them, in order."""
    split = re.split(r"\{([^{}]*)\}", text)
    return [(index % 2 == 1, piece) for index, piece in enumerate(split) if piece]


def lines_of(block: str) -> list[str]:
    """The rules of a block, one a line, without blank lines and comments."""
    stripped = (line.strip() for line in block.splitlines())
    return [line for line in stripped if line and not line.startswith("#")]


def compile_rules(name: str, rules: Sequence[str], *, traced: bool = False) -> Callable[[Manifest], Any]:
    """The function of a check. With ``traced`` it gives (number of the deciding rule, health).

    Raises:
        RuleError: a line is wrong, or the block may end without a verdict.
    """
    code = _Code(traced)
    for number, line in enumerate(rules):
        try:
            code.rule(number, line)
        except (RuleError, ValueError) as error:
            raise RuleError(f"{name}: {line!r}: {error}") from None
    if not rules or not rules[-1].startswith("->"):
        raise RuleError(f"{name}: the last rule must hold always")
    return code.function(name)


def compile_expression(
    text: str, *, names: Sequence[str] = (), words: Mapping[str, Any] | None = None
) -> Callable[..., Any]:
    """One expression of the language as a function of the object and of values for ``names``.

    Raises:
        RuleError: it is not an expression.
    """
    code = _Code(traced=False)
    code.names.update(names)
    code.space.update(words or {})
    code.lines.append(f" return {code.expression(text)}")
    return code.function(text, names)


def compile_check(name: str, rules: Sequence[str]) -> Check:
    """The check of a kind, which never raises for what an object holds."""
    function = compile_rules(name, rules)

    def check(manifest: Manifest) -> Health:
        try:
            return function(manifest)  # type: ignore[no-any-return]
        except NotText:
            return Health()
        except Unreadable as error:
            return failed(f"cannot assess {name}: {error}")
        except (TypeError, ValueError, AttributeError, KeyError, IndexError, OverflowError) as error:
            return failed(f"cannot assess {name}: a field is absent or has another type ({error})")

    return check
