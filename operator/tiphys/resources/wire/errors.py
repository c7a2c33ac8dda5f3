"""What can be wrong with the protobuf form of a message."""


class WireError(ValueError):
    """Bytes that are no message of the kind, or a message that has no protobuf form.

    Attributes:
        kind: the message, such as ``application.ApplicationQuery``.
        problem: what is wrong, fit for a client.
    """

    def __init__(self, kind: str, problem: str) -> None:
        super().__init__(f"{kind}: {problem}")
        self.kind = kind
        self.problem = problem
