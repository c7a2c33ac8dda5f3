"""What goes wrong in an expression."""


class ExpressionError(Exception):
    """An expression that is none, or cannot be computed; the text says where."""


class Mistake(Exception):
    """A mistake whose place the caller knows."""


def located(text: str, source: str, position: int) -> ExpressionError:
    """An error with its line and column, and the line with a mark under it."""
    before = source[:position]
    line, column = before.count("\n") + 1, len(before.rpartition("\n")[2])
    shown = source.split("\n")[line - 1]
    return ExpressionError(f"{text} ({line}:{column + 1})\n | {shown}\n | {'.' * column}^")
