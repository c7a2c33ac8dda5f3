"""What a webhook says, whoever sent it."""

import msgspec


class Push(msgspec.Struct, frozen=True):
    """Somebody pushed to a Git repository.

    Attributes:
        urls: web or clone addresses of the repository.
        revision: branch or tag name (``feature/x``), without ``refs/…/``.
        before, after: commits, ``""`` where the sender does not say.
        touches_default: the pushed branch is the repository's default.
        files: changed paths; None: not known, or known to be incomplete.
        full_name: ``owner/name`` at Bitbucket Cloud, which knows more than it sends; else ``""``.
    """

    urls: tuple[str, ...]
    revision: str
    before: str = ""
    after: str = ""
    touches_default: bool = True
    files: tuple[str, ...] | None = None
    full_name: str = ""


class ArtifactPush(msgspec.Struct, frozen=True):
    """Somebody pushed a tag to an OCI registry: ``host/repository:tag``."""

    host: str
    repository: str
    tag: str


Event = Push | ArtifactPush


class WebhookRefused(Exception):
    """The payload is not accepted; ``status`` and the text are the answer (sources.md 22.2)."""

    def __init__(self, status: int, text: str):
        super().__init__(text)
        self.status = status
        self.text = text


def failed() -> WebhookRefused:
    """A wrong signature, an event that is not ours, a payload of another shape."""
    return WebhookRefused(400, "Webhook processing failed")
