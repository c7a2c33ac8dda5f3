"""Walking a template's tree over data: what is written, and what is decided on the way.

:mod:`evaluation` gives the values of pipelines. Everything counts as steps, and what is written is
counted, too: at a limit the execution ends with an error (:mod:`limits`).
"""

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any

from tiphys.templating.errors import GoError, TemplateError
from tiphys.templating.gotemplate.evaluation import Evaluation
from tiphys.templating.gotemplate.limits import Limits
from tiphys.templating.gotemplate.nodes import (
    ActionNode,
    BranchNode,
    BreakNode,
    ContinueNode,
    ListNode,
    Node,
    TemplateNode,
    TextNode,
)
from tiphys.templating.gotemplate.printing import text_of
from tiphys.templating.gotemplate.quoting import quote
from tiphys.templating.gotemplate.values import (
    NO_VALUE,
    Boxed,
    Function,
    TypedList,
    is_true,
    sorted_items,
    type_of,
    unbox,
)


class _Leap(Enum):
    BREAK = "break"
    CONTINUE = "continue"


class Execution(Evaluation):
    """One execution; made for it."""

    def __init__(
        self,
        name: str,
        trees: Mapping[str, ListNode],
        functions: Mapping[str, Function],
        missing_key: str,
        limits: Limits,
        text: str,
    ) -> None:
        super().__init__(name, functions, missing_key, limits, text)
        self.trees = trees
        self.parts: list[str] = []
        self.written = 0
        self.depth = 0

    def run(self, data: Any) -> str:
        """The whole text.

        Raises:
            TemplateError: Go's text.
        """
        root = NO_VALUE if data is None else data
        self.variables = [("$", root)]
        try:
            self.walk_list(root, self.trees[self.name])
        except RecursionError:
            raise TemplateError(f"template: {self.name}: exceeded maximum template depth") from None
        return "".join(self.parts)

    def write(self, text: str) -> None:
        self.written += len(text)
        if self.written > self.limits.output:
            self.fail(f"output is longer than {self.limits.output} characters")
        self.parts.append(text)

    def walk_list(self, dot: Any, tree: ListNode) -> _Leap | None:
        for node in tree.nodes:
            leap = self.walk(dot, node)
            if leap is not None:
                return leap
        return None

    def walk(self, dot: Any, node: Node) -> _Leap | None:
        self.step(node)
        if isinstance(node, TextNode):
            self.write(node.text)
        elif isinstance(node, ActionNode):
            value = self.pipeline(dot, node.pipe)
            if not node.pipe.variables:
                self.at = node
                self.write(self.printed(node, value))
        elif isinstance(node, BranchNode):
            if node.word == "range":
                return self.walk_range(dot, node)
            return self.walk_branch(dot, node)
        elif isinstance(node, TemplateNode):
            self.walk_template(dot, node)
        elif isinstance(node, BreakNode):
            return _Leap.BREAK
        elif isinstance(node, ContinueNode):
            return _Leap.CONTINUE
        return None

    def printed(self, node: Node, value: Any) -> str:
        if type(value) is str:
            return value
        value = unbox(value)
        if value is NO_VALUE:
            return "<no value>"
        if isinstance(value, Function):
            self.fail(f"can't print {node} of type {type_of(value)}")
        try:
            return text_of(value)
        except GoError as error:
            raise self.failure(str(error)) from None

    def walk_branch(self, dot: Any, node: BranchNode) -> _Leap | None:
        mark = len(self.variables)
        value = self.pipeline(dot, node.pipe)
        leap = None
        if is_true(unbox(value)):
            leap = self.walk_list(value if node.word == "with" else dot, node.body)
        elif node.otherwise is not None:
            leap = self.walk_list(dot, node.otherwise)
        del self.variables[mark:]
        return leap

    def walk_range(self, dot: Any, node: BranchNode) -> _Leap | None:
        outer = len(self.variables)
        value = unbox(self.pipeline(dot, node.pipe))
        mark = len(self.variables)
        some = False
        for index, element in self.elements(node, value):
            some = True
            self.step(node)
            self.set_range_variables(node, index, element)
            leap = self.walk_list(element, node.body)
            del self.variables[mark:]
            if leap is _Leap.BREAK:
                break
        leap = None
        if not some and node.otherwise is not None:
            leap = self.walk_list(dot, node.otherwise)
        del self.variables[outer:]
        return leap

    def set_range_variables(self, node: BranchNode, index: Any, element: Any) -> None:
        names = [variable.names[0] for variable in node.pipe.variables]
        if not names:
            return
        given = (index, element) if len(names) > 1 else (element,)
        if node.pipe.assigns:
            for name, item in zip(names, given, strict=True):
                self.assign(name, item)
        else:
            for place, (name, item) in enumerate(zip(names, given, strict=True)):
                self.variables[len(self.variables) - len(names) + place] = (name, item)

    def elements(self, node: BranchNode, value: Any) -> Iterable[tuple[Any, Any]]:
        if value is NO_VALUE:
            return ()
        if isinstance(value, int) and not isinstance(value, bool):
            if len(node.pipe.variables) > 1:
                self.fail(f"can't use {value} to iterate over more than one variable")
            kind = type(value)
            return ((NO_VALUE, kind(number)) for number in range(value))
        if isinstance(value, list | bytes):
            boxed = isinstance(value, list) and not isinstance(value, TypedList)
            return ((place, Boxed(item) if boxed else item) for place, item in enumerate(value))
        if isinstance(value, dict):
            boxed = type_of(value) == "map[string]interface {}"
            return ((key, Boxed(item) if boxed else item) for key, item in sorted_items(value))
        raise self.failure(f"range can't iterate over {self.printed(node, value)}")

    def walk_template(self, dot: Any, node: TemplateNode) -> None:
        tree = self.trees.get(node.name)
        if tree is None:
            self.fail(f"template {quote(node.name)} not defined")
        if self.depth >= self.limits.depth:
            self.fail(f"exceeded maximum template depth ({self.limits.depth})")
        value = self.pipeline(dot, node.pipe) if node.pipe is not None else NO_VALUE
        outer = self.variables, self.name
        self.depth += 1
        self.variables, self.name = [("$", value)], node.name
        self.step(node)
        self.walk_list(value, tree)
        self.variables, self.name = outer
        self.depth -= 1
