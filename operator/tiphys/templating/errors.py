"""What goes wrong in a user's text."""


class TemplateError(Exception):
    """A template that cannot be parsed or executed; the text is the one that Go gives."""


class GoError(Exception):
    """An error (or panic) of a function that a template called; execution says where."""
