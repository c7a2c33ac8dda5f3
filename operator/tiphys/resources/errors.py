"""What can be wrong with an API object that was handed to us."""


class InvalidObject(ValueError):
    """An object has a field of the wrong type.

    Attributes:
        kind: the kind it was read as, such as ``Application``.
        path: the field, such as ``spec.source.helm.parameters[0].value`` (``""``: the whole).
        problem: what is wrong, such as ``Expected `str`, got `int```.
    """

    def __init__(self, kind: str, path: str, problem: str) -> None:
        super().__init__(f"{kind} {path}: {problem}" if path else f"{kind}: {problem}")
        self.kind = kind
        self.path = path
        self.problem = problem
