"""Why a page beside the methods does not answer: a status and a short text, in the reference's words
(api.md 14)."""


class Refused(Exception):
    """The answer to a request that is turned away."""

    def __init__(self, status: int, text: str):
        super().__init__(text)
        self.status = status
        self.text = text
