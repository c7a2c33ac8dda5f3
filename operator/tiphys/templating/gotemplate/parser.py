"""Tokens as trees: one for the text itself, one for each ``define`` and ``block``.

Go's texts of errors, with its lines: an error carries the line of the token that was read last.
"""

from collections.abc import Container

from tiphys.templating.errors import TemplateError
from tiphys.templating.gotemplate.lexer import Kind, Token, tokens_of
from tiphys.templating.gotemplate.limits import NESTING
from tiphys.templating.gotemplate.nodes import (
    ActionNode,
    BoolNode,
    BranchNode,
    BreakNode,
    ChainNode,
    CommandNode,
    ContinueNode,
    DotNode,
    ElseNode,
    EndNode,
    FieldNode,
    IdentifierNode,
    ListNode,
    NilNode,
    Node,
    NumberNode,
    PipeNode,
    StringNode,
    TemplateNode,
    TextNode,
    VariableNode,
    is_empty,
)
from tiphys.templating.gotemplate.numbers import NumberError, number_node
from tiphys.templating.gotemplate.quoting import QuoteError, quote, unquote

_OPERANDS = frozenset(
    (
        *(Kind.BOOL, Kind.CHAR_CONSTANT, Kind.COMPLEX, Kind.DOT, Kind.FIELD, Kind.IDENTIFIER, Kind.NUMBER),
        *(Kind.NIL, Kind.RAW_STRING, Kind.STRING, Kind.VARIABLE, Kind.LEFT_PAREN),
    )
)
_LITERALS = (BoolNode, DotNode, NilNode, NumberNode, StringNode)


def parse(name: str, text: str, functions: Container[str]) -> dict[str, ListNode]:
    """The trees of a text by their names.

    Raises:
        TemplateError: Go's text.
    """
    parser = _Parser(name, text, functions)
    try:
        parser.run()
    except RecursionError:
        parser.fail("max expression depth exceeded")
    return parser.trees


class _Scope:
    """What belongs to one tree while it is parsed: its variables, and how many ranges are open."""

    def __init__(self) -> None:
        self.variables = ["$"]
        self.ranges = 0


class _Parser:
    def __init__(self, name: str, text: str, functions: Container[str]) -> None:
        self.name = name
        self.functions = functions
        self.tokens = tokens_of(text)
        self.index = 0
        self.furthest = 0
        self.action_line = 0
        self.depth = 0
        self.scope = _Scope()
        self.trees: dict[str, ListNode] = {}

    # Tokens

    def next(self) -> Token:
        index = min(self.index, len(self.tokens) - 1)
        self.index += 1
        self.furthest = max(self.furthest, index)
        return self.tokens[index]

    def peek(self) -> Token:
        token = self.next()
        self.index -= 1
        return token

    def next_non_space(self) -> Token:
        while True:
            token = self.next()
            if token.kind is not Kind.SPACE:
                return token

    def peek_non_space(self) -> Token:
        token = self.next_non_space()
        self.index -= 1
        return token

    def expect(self, context: str, *kinds: Kind) -> Token:
        token = self.next_non_space()
        if token.kind not in kinds:
            self.unexpected(token, context)
        return token

    def fail(self, text: str) -> None:
        raise TemplateError(f"template: {self.name}:{self.tokens[self.furthest].line}: {text}")

    def unexpected(self, token: Token, context: str) -> None:
        if token.kind is Kind.ERROR:
            extra = ""
            if self.action_line and self.action_line != token.line:
                extra = f" in action started at {self.name}:{self.action_line}"
                if token.value.endswith(" action"):
                    extra = extra.removeprefix(" in action")
            self.fail(f"{token}{extra}")
        self.fail(f"unexpected {token} in {context}")

    def enter(self) -> None:
        self.depth += 1
        if self.depth > NESTING:
            self.fail("max expression depth exceeded")

    # Lists of nodes

    def run(self) -> None:
        nodes: list[Node] = []
        begin = self.peek().position
        while self.peek().kind is not Kind.EOF:
            if self.peek().kind is Kind.LEFT_DELIM:
                before = self.index
                self.next()
                if self.next_non_space().kind is Kind.DEFINE:
                    self.definition()
                    continue
                self.index = before
            node = self.text_or_action()
            if isinstance(node, EndNode | ElseNode):
                self.fail(f"unexpected {node}")
            nodes.append(node)
        self.add(self.name, ListNode(begin, tuple(nodes)))

    def add(self, name: str, tree: ListNode) -> None:
        known = self.trees.get(name)
        if known is None or is_empty(known.nodes):
            self.trees[name] = tree
        elif not is_empty(tree.nodes):
            self.fail(f"template: multiple definition of template {quote(name)}")

    def definition(self) -> None:
        name = self.unquoted(self.expect("define clause", Kind.STRING, Kind.RAW_STRING).value)
        self.expect("define clause", Kind.RIGHT_DELIM)
        self.separate(name, "define clause")

    def separate(self, name: str, context: str) -> None:
        """A tree of its own, up to its ``end``."""
        outer, self.scope = self.scope, _Scope()
        outer_line, self.action_line = self.action_line, 0
        tree, end = self.item_list()
        if not isinstance(end, EndNode):
            self.fail(f"unexpected {end} in {context}")
        self.add(name, tree)
        self.scope, self.action_line = outer, outer_line

    def item_list(self) -> tuple[ListNode, Node]:
        self.enter()
        nodes: list[Node] = []
        begin = self.peek_non_space().position
        while self.peek_non_space().kind is not Kind.EOF:
            node = self.text_or_action()
            if isinstance(node, EndNode | ElseNode):
                self.depth -= 1
                return ListNode(begin, tuple(nodes)), node
            nodes.append(node)
        self.fail("unexpected EOF")
        raise AssertionError

    def text_or_action(self) -> Node:
        token = self.next_non_space()
        if token.kind is Kind.TEXT:
            return TextNode(token.position, token.value)
        if token.kind is not Kind.LEFT_DELIM:
            self.unexpected(token, "input")
        self.action_line = token.line
        node = self.action()
        self.action_line = 0
        return node

    # Actions

    def action(self) -> Node:
        token = self.next_non_space()
        match token.kind:
            case Kind.BLOCK:
                return self.block()
            case Kind.BREAK | Kind.CONTINUE:
                return self.leap(token)
            case Kind.ELSE:
                following = self.peek_non_space()
                if following.kind not in (Kind.IF, Kind.WITH):
                    following = self.expect("else", Kind.RIGHT_DELIM)
                return ElseNode(following.position)
            case Kind.END:
                return EndNode(self.expect("end", Kind.RIGHT_DELIM).position)
            case Kind.IF | Kind.WITH | Kind.RANGE:
                return self.branch(token.kind)
            case Kind.TEMPLATE:
                return self.template()
        self.index -= 1
        return ActionNode(self.peek().position, self.pipeline("command", Kind.RIGHT_DELIM))

    def leap(self, token: Token) -> Node:
        following = self.next_non_space()
        if following.kind is not Kind.RIGHT_DELIM:
            self.unexpected(following, f"{{{{{token.value}}}}}")
        if not self.scope.ranges:
            self.fail(f"{{{{{token.value}}}}} outside {{{{range}}}}")
        return BreakNode(token.position) if token.kind is Kind.BREAK else ContinueNode(token.position)

    def branch(self, kind: Kind) -> BranchNode:
        self.enter()
        mark = len(self.scope.variables)
        pipe = self.pipeline(kind.value, Kind.RIGHT_DELIM)
        self.scope.ranges += kind is Kind.RANGE
        body, closing = self.item_list()
        self.scope.ranges -= kind is Kind.RANGE
        otherwise = None
        if isinstance(closing, ElseNode):
            if kind in (Kind.IF, Kind.WITH) and self.peek().kind is Kind.SPACE:
                self.peek_non_space()
            if kind in (Kind.IF, Kind.WITH) and self.peek().kind is kind:
                self.next()
                otherwise = ListNode(closing.position, (self.branch(kind),))
            else:
                otherwise, closing = self.item_list()
                if not isinstance(closing, EndNode):
                    self.fail(f"expected end; found {closing}")
        del self.scope.variables[mark:]
        self.depth -= 1
        return BranchNode(pipe.position, kind.value, pipe, body, otherwise)

    def block(self) -> TemplateNode:
        token = self.next_non_space()
        name = self.template_name(token, "block clause")
        pipe = self.pipeline("block clause", Kind.RIGHT_DELIM)
        self.separate(name, "block clause")
        return TemplateNode(token.position, name, quote(name), pipe)

    def template(self) -> TemplateNode:
        token = self.next_non_space()
        name = self.template_name(token, "template clause")
        pipe = None
        if self.next_non_space().kind is not Kind.RIGHT_DELIM:
            self.index -= 1
            pipe = self.pipeline("template clause", Kind.RIGHT_DELIM)
        return TemplateNode(token.position, name, quote(name), pipe)

    def template_name(self, token: Token, context: str) -> str:
        if token.kind not in (Kind.STRING, Kind.RAW_STRING):
            self.unexpected(token, context)
        return self.unquoted(token.value)

    def unquoted(self, literal: str) -> str:
        try:
            return unquote(literal)
        except QuoteError as error:
            self.fail(str(error))
            raise

    # Pipelines

    def pipeline(self, context: str, end: Kind) -> PipeNode:
        begin = self.peek_non_space().position
        variables, assigns = self.declarations(context)
        commands: list[CommandNode] = []
        while True:
            token = self.next_non_space()
            if token.kind is end:
                break
            if token.kind not in _OPERANDS:
                self.unexpected(token, context)
            self.index -= 1
            commands.append(self.command())
        if not commands:
            self.fail(f"missing value for {context}")
        for stage, command in enumerate(commands[1:], 2):
            if isinstance(command.args[0], _LITERALS):
                self.fail(f"non executable command in pipeline stage {stage}")
        return PipeNode(begin, tuple(commands), variables, assigns)

    def declarations(self, context: str) -> tuple[tuple[VariableNode, ...], bool]:
        found: list[VariableNode] = []
        while self.peek_non_space().kind is Kind.VARIABLE:
            # peeking went past spaces: they do not matter before a pipeline
            before = self.index
            variable = self.next_non_space()
            following = self.peek_non_space()
            if following.kind in (Kind.ASSIGN, Kind.DECLARE):
                self.next_non_space()
                found.append(self.declared(variable))
                return tuple(found), following.kind is Kind.ASSIGN
            if following.kind is not Kind.CHAR or following.value != ",":
                self.index = before
                break
            self.next_non_space()
            found.append(self.declared(variable))
            if context != "range" or len(found) >= 2:
                self.fail(f"too many declarations in {context}")
            if self.peek_non_space().kind not in (Kind.VARIABLE, Kind.RIGHT_DELIM, Kind.RIGHT_PAREN):
                self.fail("range can only initialize variables")
        return tuple(found), False

    def declared(self, token: Token) -> VariableNode:
        self.scope.variables.append(token.value)
        return VariableNode(token.position, (token.value,))

    def command(self) -> CommandNode:
        begin = self.peek_non_space().position
        args: list[Node] = []
        while True:
            self.peek_non_space()
            operand = self.operand()
            if operand is not None:
                args.append(operand)
            token = self.next()
            if token.kind is Kind.SPACE:
                continue
            if token.kind in (Kind.RIGHT_DELIM, Kind.RIGHT_PAREN):
                self.index -= 1
            elif token.kind is not Kind.PIPE:
                self.unexpected(token, "operand")
            break
        if not args:
            self.fail("empty command")
        return CommandNode(begin, tuple(args))

    def operand(self) -> Node | None:
        node = self.term()
        if node is None or self.peek().kind is not Kind.FIELD:
            return node
        position = self.peek().position
        names: list[str] = []
        while self.peek().kind is Kind.FIELD:
            names.append(self.next().value[1:])
        if isinstance(node, FieldNode):
            return FieldNode(position, (*node.names, *names))
        if isinstance(node, VariableNode):
            return VariableNode(position, (*node.names, *names))
        if isinstance(node, _LITERALS):
            self.fail(f"unexpected . after term {quote(str(node))}")
        return ChainNode(position, node, tuple(names))

    def term(self) -> Node | None:
        token = self.next_non_space()
        match token.kind:
            case Kind.IDENTIFIER:
                if token.value not in self.functions:
                    self.fail(f"function {quote(token.value)} not defined")
                return IdentifierNode(token.position, token.value)
            case Kind.DOT:
                return DotNode(token.position)
            case Kind.NIL:
                return NilNode(token.position)
            case Kind.VARIABLE:
                if token.value not in self.scope.variables:
                    self.fail(f"undefined variable {quote(token.value)}")
                return VariableNode(token.position, (token.value,))
            case Kind.FIELD:
                return FieldNode(token.position, (token.value[1:],))
            case Kind.BOOL:
                return BoolNode(token.position, token.value == "true")
            case Kind.CHAR_CONSTANT | Kind.COMPLEX | Kind.NUMBER:
                return self.number(token)
            case Kind.LEFT_PAREN:
                self.enter()
                pipe = self.pipeline("parenthesized pipeline", Kind.RIGHT_PAREN)
                self.depth -= 1
                return pipe
            case Kind.STRING | Kind.RAW_STRING:
                return StringNode(token.position, token.value, self.unquoted(token.value))
        self.index -= 1
        return None

    def number(self, token: Token) -> NumberNode:
        try:
            return number_node(
                token.position,
                token.value,
                character=token.kind is Kind.CHAR_CONSTANT,
                imaginary=token.kind is Kind.COMPLEX,
            )
        except NumberError as error:
            self.fail(str(error))
            raise
