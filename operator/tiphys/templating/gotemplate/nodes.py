"""What a template's text means: a tree. ``str`` of a node is how errors quote it."""

from collections.abc import Iterable

import msgspec


class Node(msgspec.Struct, frozen=True, eq=False):
    """Attributes: position: the character where errors point at."""

    position: int


class TextNode(Node, frozen=True, eq=False):
    """Text that is written as it is."""

    text: str

    def __str__(self) -> str:
        return self.text


class ListNode(Node, frozen=True, eq=False):
    """Nodes one after the other."""

    nodes: tuple[Node, ...]

    def __str__(self) -> str:
        return "".join(map(str, self.nodes))


class BoolNode(Node, frozen=True, eq=False):
    """``true`` or ``false``."""

    value: bool

    def __str__(self) -> str:
        return "true" if self.value else "false"


class DotNode(Node, frozen=True, eq=False):
    """``.``"""

    def __str__(self) -> str:
        return "."


class NilNode(Node, frozen=True, eq=False):
    """``nil``"""

    def __str__(self) -> str:
        return "nil"


class StringNode(Node, frozen=True, eq=False):
    """A string literal."""

    quoted: str
    text: str

    def __str__(self) -> str:
        return self.quoted


class NumberNode(Node, frozen=True, eq=False):
    """A number: what it can be taken for. ``constant`` is its value where nothing asks for a type; None
    for an integer that does not fit."""

    text: str
    constant: int | float | complex | None
    integer: int | None
    unsigned: int | None
    float_: float | None

    def __str__(self) -> str:
        return self.text


class FieldNode(Node, frozen=True, eq=False):
    """``.a.b``"""

    names: tuple[str, ...]

    def __str__(self) -> str:
        return "".join(f".{name}" for name in self.names)


class VariableNode(Node, frozen=True, eq=False):
    """``$x.a``: the first name with its ``$``."""

    names: tuple[str, ...]

    def __str__(self) -> str:
        return ".".join(self.names)


class IdentifierNode(Node, frozen=True, eq=False):
    """The name of a function."""

    name: str

    def __str__(self) -> str:
        return self.name


class ChainNode(Node, frozen=True, eq=False):
    """Fields of something in parentheses."""

    node: Node
    names: tuple[str, ...]

    def __str__(self) -> str:
        inner = f"({self.node})" if isinstance(self.node, PipeNode) else str(self.node)
        return inner + "".join(f".{name}" for name in self.names)


class CommandNode(Node, frozen=True, eq=False):
    """A function or a value, and arguments."""

    args: tuple[Node, ...]

    def __str__(self) -> str:
        return " ".join(f"({arg})" if isinstance(arg, PipeNode) else str(arg) for arg in self.args)


class PipeNode(Node, frozen=True, eq=False):
    """Commands, each the last argument of the next; what they give may go into variables."""

    commands: tuple[CommandNode, ...]
    variables: tuple[VariableNode, ...]
    assigns: bool

    def __str__(self) -> str:
        text = ""
        if self.variables:
            mark = " = " if self.assigns else " := "
            text = ", ".join(map(str, self.variables)) + mark
        return text + " | ".join(map(str, self.commands))


class ActionNode(Node, frozen=True, eq=False):
    """A pipeline whose value is printed."""

    pipe: PipeNode

    def __str__(self) -> str:
        return f"{{{{{self.pipe}}}}}"


class BreakNode(Node, frozen=True, eq=False):
    """Leaves a range."""

    def __str__(self) -> str:
        return "{{break}}"


class ContinueNode(Node, frozen=True, eq=False):
    """Goes on with a range's next element."""

    def __str__(self) -> str:
        return "{{continue}}"


class EndNode(Node, frozen=True, eq=False):
    """Closes a list of nodes; in no finished tree."""

    def __str__(self) -> str:
        return "{{end}}"


class ElseNode(Node, frozen=True, eq=False):
    """Closes a list of nodes; in no finished tree."""

    def __str__(self) -> str:
        return "{{else}}"


class BranchNode(Node, frozen=True, eq=False):
    """``if``, ``with`` or ``range`` (``word``)."""

    word: str
    pipe: PipeNode
    body: ListNode
    otherwise: ListNode | None

    def __str__(self) -> str:
        tail = f"{{{{else}}}}{self.otherwise}" if self.otherwise is not None else ""
        return f"{{{{{self.word} {self.pipe}}}}}{self.body}{tail}{{{{end}}}}"


class TemplateNode(Node, frozen=True, eq=False):
    """Executes another template."""

    name: str
    quoted: str
    pipe: PipeNode | None

    def __str__(self) -> str:
        tail = f" {self.pipe}" if self.pipe is not None else ""
        return f"{{{{template {self.quoted}{tail}}}}}"


def is_empty(nodes: Iterable[Node]) -> bool:
    """Whether a template has nothing but spaces; such a one may be defined once more."""
    return all(isinstance(node, TextNode) and not node.text.strip(" \t\r\n\v\f") for node in nodes)
