"""The values of pipelines: variables, fields, and calls with arguments of the right types.

Go's rules of types stay visible in its errors, so values carry whether they came out of an
``interface {}`` (:class:`values.Boxed`), and functions name the types of their parameters.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from tiphys.templating.errors import GoError, TemplateError
from tiphys.templating.gotemplate.builtins import BUILTINS, SHORT_CIRCUIT
from tiphys.templating.gotemplate.limits import WEIGHT, Limits
from tiphys.templating.gotemplate.nodes import (
    BoolNode,
    ChainNode,
    CommandNode,
    DotNode,
    FieldNode,
    IdentifierNode,
    NilNode,
    Node,
    NumberNode,
    PipeNode,
    StringNode,
    VariableNode,
)
from tiphys.templating.gotemplate.quoting import quote
from tiphys.templating.gotemplate.values import (
    ANY,
    NO_VALUE,
    VALUE,
    Boxed,
    Function,
    GoObject,
    Int64,
    StringMap,
    argument,
    is_true,
    type_of,
    unbox,
)

_MISSING = object()  # no value comes from the pipeline
_NILLABLE = ("[]", "map[", "*", "interface {}", "func", VALUE)
_CALL = BUILTINS["call"]


class Evaluation:
    """The part of an execution that has values (see the module)."""

    def __init__(
        self,
        name: str,
        functions: Mapping[str, Function],
        missing_key: str,
        limits: Limits,
        text: str,
    ) -> None:
        self.base = self.name = name
        self.functions = functions
        self.missing_key = missing_key
        self.limits = limits
        self.steps = 0
        self.at: Node | None = None
        self.text = text
        self.variables: list[tuple[str, Any]] = []

    # Errors and limits

    def fail(self, text: str) -> NoReturn:
        raise self.failure(text)

    def failure(self, text: str) -> TemplateError:
        """An error at the node that is evaluated."""
        if self.at is None:
            return TemplateError(f"template: {self.name}: {text}")
        place = f"{self.base}:{self.place(self.at)}"
        return TemplateError(f"template: {place}: executing {quote(self.name)} at <{self.at}>: {text}")

    def place(self, node: Node) -> str:
        """Line and column (in bytes)."""
        before = self.text[: node.position]
        line = before.rpartition("\n")[2]
        return f"{before.count(chr(10)) + 1}:{len(line.encode('utf-8', 'surrogateescape'))}"

    def step(self, node: Node, count: int = 1) -> None:
        self.at = node
        self.steps += count
        if self.steps > self.limits.steps:
            self.fail(f"execution takes more than {self.limits.steps} steps")

    # Variables

    def assign(self, name: str, value: Any) -> None:
        for place in range(len(self.variables) - 1, -1, -1):
            if self.variables[place][0] == name:
                self.variables[place] = (name, value)
                return
        self.fail(f"undefined variable: {name}")

    def variable(self, name: str) -> Any:
        for known, value in reversed(self.variables):
            if known == name:
                return value
        raise self.failure(f"undefined variable: {name}")

    # Pipelines

    def pipeline(self, dot: Any, pipe: PipeNode) -> Any:
        self.at = pipe
        value: Any = _MISSING
        for command in pipe.commands:
            value = unbox(self.command(dot, command, value))
        for variable in pipe.variables:
            if pipe.assigns:
                self.assign(variable.names[0], value)
            else:
                self.variables.append((variable.names[0], value))
        return value

    def command(self, dot: Any, command: CommandNode, final: Any) -> Any:
        first = command.args[0]
        if isinstance(first, FieldNode):
            return self.field_node(dot, first, command.args, final)
        if isinstance(first, ChainNode):
            return self.chain(dot, first, command.args, final)
        if isinstance(first, IdentifierNode):
            return self.function(dot, first, command, command.args, final)
        if isinstance(first, PipeNode):
            self.no_arguments(command.args, final)
            return self.pipeline(dot, first)
        if isinstance(first, VariableNode):
            return self.variable_node(dot, first, command.args, final)
        self.at = first
        self.no_arguments(command.args, final)
        if isinstance(first, NilNode):
            self.fail("nil is not a command")
        return self.literal(dot, first)

    def literal(self, dot: Any, node: Node) -> Any:
        if isinstance(node, BoolNode):
            return node.value
        if isinstance(node, DotNode):
            return dot
        if isinstance(node, StringNode):
            return node.text
        assert isinstance(node, NumberNode)
        if node.constant is None:
            self.at = node
            self.fail(f"{node.text} overflows int")
        return node.constant

    def no_arguments(self, args: Sequence[Node], final: Any) -> None:
        if len(args) > 1 or final is not _MISSING:
            self.fail(f"can't give argument to non-function {args[0]}")

    # Fields

    def field_node(self, dot: Any, node: FieldNode, args: Sequence[Node], final: Any) -> Any:
        self.at = node
        return self.fields(dot, dot, node, node.names, args, final)

    def variable_node(self, dot: Any, node: VariableNode, args: Sequence[Node], final: Any) -> Any:
        self.at = node
        value = self.variable(node.names[0])
        if len(node.names) == 1:
            self.no_arguments(args or (node,), final)
            return value
        return self.fields(dot, value, node, node.names[1:], args, final)

    def chain(self, dot: Any, node: ChainNode, args: Sequence[Node], final: Any) -> Any:
        self.at = node
        if isinstance(node.node, NilNode):
            self.fail(f"indirection through explicit nil in {node}")
        return self.fields(dot, self.argument(dot, None, node.node), node, node.names, args, final)

    def fields(
        self, dot: Any, receiver: Any, node: Node, names: Sequence[str], args: Sequence[Node], final: Any
    ) -> Any:
        for name in names[:-1]:
            receiver = self.field(dot, name, node, (), _MISSING, receiver)
        return self.field(dot, names[-1], node, args, final, receiver)

    def field(self, dot: Any, name: str, node: Node, args: Sequence[Node], final: Any, receiver: Any) -> Any:
        if receiver is NO_VALUE:
            if self.missing_key == "error":
                self.fail(f"nil data; no entry for key {quote(name)}")
            return NO_VALUE
        boxed = type(receiver) is Boxed
        value = receiver.value if boxed else receiver
        if value is None:
            self.fail(f"nil pointer evaluating interface {{}}.{name}")
        has_arguments = len(args) > 1 or final is not _MISSING
        methods = getattr(value, "go_methods", None)
        if methods is not None:
            method = methods().get(name)
            if method is not None:
                return self.call(dot, method, node, name, args, final)
        if isinstance(value, GoObject):
            known = value.go_fields()
            if name in known:
                if has_arguments:
                    self.fail(f"{name} has arguments but cannot be invoked as function")
                return known[name]
        if isinstance(value, dict):
            if has_arguments:
                self.fail(f"{name} is not a method but has arguments")
            return self.entry(value, name)
        raise self.failure(f"can't evaluate field {name} in type {ANY if boxed else type_of(value)}")

    def entry(self, value: Mapping[str, Any], name: str) -> Any:
        typed = isinstance(value, StringMap)
        if name in value:
            return value[name] if typed else Boxed(value[name])
        if self.missing_key == "error":
            self.fail(f"map has no entry for key {quote(name)}")
        if self.missing_key == "zero":
            return "" if typed else Boxed(None)
        return NO_VALUE

    # Calls

    def function(
        self, dot: Any, node: IdentifierNode, command: Node, args: Sequence[Node], final: Any
    ) -> Any:
        self.at = node
        return self.call(dot, self.functions[node.name], command, node.name, args, final)

    def call(
        self, dot: Any, function: Function, node: Node, name: str, args: Sequence[Node], final: Any
    ) -> Any:
        given = args[1:]
        count = len(given) + (final is not _MISSING)
        fixed = len(function.parameters) - function.variadic
        if count < fixed or (count > fixed and not function.variadic):
            if function.variadic:
                self.fail(f"wrong number of args for {name}: want at least {fixed} got {len(given)}")
            self.fail(f"wrong number of args for {name}: want {fixed} got {count}")
        if function in SHORT_CIRCUIT:
            return self.short_circuit(dot, name, given, final)
        values = [
            self.argument(dot, function.parameters[min(place, len(function.parameters) - 1)], arg)
            for place, arg in enumerate(given)
        ]
        if final is not _MISSING:
            place = min(len(values), len(function.parameters) - 1)
            values.append(self.validated(final, function.parameters[place]))
        if function is _CALL:
            values.insert(0, str(given[0]) if given else type_of(unbox(final)))
        # what a function walks through counts, too
        sizes = sum(
            len(value) >> 8 for value in map(argument, values) if isinstance(value, str | list | dict)
        )
        self.step(self.at or node, function.cost + sizes)
        return self.called(function, node, name, values)

    def called(self, function: Function, node: Node, name: str, values: list[Any]) -> Any:
        if function.parameters[:1] != (VALUE,):
            values = [argument(value) for value in values]
        try:
            result = function.call(*values)
        except GoError as error:
            self.at = node
            self.fail(f"error calling {name}: {error}")
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, MemoryError) as error:
            # Go turns panics of functions into errors
            self.at = node
            self.fail(f"error calling {name}: {error}")
        if type(result) is str and len(result) > WEIGHT:
            self.at = node
            self.fail(f"error calling {name}: value too large")
        return NO_VALUE if result is None else result

    def short_circuit(self, dot: Any, name: str, given: Sequence[Node], final: Any) -> Any:
        value: Any = NO_VALUE
        for arg in given:
            value = self.argument(dot, VALUE, arg)
            if is_true(unbox(value)) == (name == "or"):
                return value
        return value if final is _MISSING else final

    # Arguments

    def argument(self, dot: Any, kind: str | None, node: Node) -> Any:
        self.at = node
        if isinstance(node, DotNode):
            return self.validated(dot, kind)
        if isinstance(node, NilNode):
            if kind is None or kind.startswith(_NILLABLE):
                return NO_VALUE
            self.fail(f"cannot assign nil to {kind}")
        if isinstance(node, FieldNode):
            return self.validated(self.field_node(dot, node, (node,), _MISSING), kind)
        if isinstance(node, VariableNode):
            return self.validated(self.variable_node(dot, node, (), _MISSING), kind)
        if isinstance(node, PipeNode):
            return self.validated(self.pipeline(dot, node), kind)
        if isinstance(node, IdentifierNode):
            return self.validated(self.function(dot, node, node, (), _MISSING), kind)
        if isinstance(node, ChainNode):
            return self.validated(self.chain(dot, node, (), _MISSING), kind)
        if kind is None or kind in (ANY, VALUE):
            return self.literal(dot, node)
        return self.typed(kind, node)

    def typed(self, kind: str, node: Node) -> Any:
        """A literal as an argument of a type."""
        match kind:
            case "bool":
                if isinstance(node, BoolNode):
                    return node.value
                self.fail(f"expected bool; found {node}")
            case "float64":
                if isinstance(node, NumberNode) and node.float_ is not None:
                    return node.float_
                self.fail(f"expected float; found {node}")
            case "int" | "int64":
                if isinstance(node, NumberNode) and node.integer is not None:
                    return Int64(node.integer) if kind == "int64" else node.integer
                self.fail(f"expected integer; found {node}")
            case "uint32":
                if isinstance(node, NumberNode) and node.unsigned is not None:
                    return node.unsigned
                self.fail(f"expected unsigned integer; found {node}")
            case "string":
                if isinstance(node, StringNode):
                    return node.text
                self.fail(f"expected string; found {node}")
        raise self.failure(f"can't handle {node} for arg of type {kind}")

    def validated(self, value: Any, kind: str | None) -> Any:
        """A value as an argument of a type."""
        if kind is None or kind in (ANY, VALUE):
            return value
        if value is NO_VALUE:
            if kind.startswith(_NILLABLE):
                return value
            self.fail(f"invalid value; expected {kind}")
        if type(value) is Boxed:
            if value.value is None:
                self.fail(f"wrong type for value; expected {kind}; got {ANY}")
            value = value.value
        got = type_of(value)
        if got != kind:
            self.fail(f"wrong type for value; expected {kind}; got {got}")
        return value
