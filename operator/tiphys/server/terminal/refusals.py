"""Why there is no terminal: a status and a short text, in the reference's words (api.md 14)."""


class Refused(Exception):
    """The answer to a request that gets no terminal."""

    def __init__(self, status: int, text: str):
        super().__init__(text)
        self.status = status
        self.text = text
