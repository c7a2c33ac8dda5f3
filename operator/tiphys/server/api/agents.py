"""Which clients are too old (api.md 2): a pure check of what they say of themselves.

The published clients send ``argocd-client/<version>`` among the words of their ``user-agent``; the very old
ones only a ``grpc-go`` of their time. Whoever says anything else made a client of his own and is let in.
Versions are read as loosely as the reference does: ``v`` in front, parts left out, and what follows a ``-``
does not count.
"""

import re
from collections.abc import Sequence

from tiphys.server.api.failures import failed_precondition, invalid_argument

CLIENT = "argocd-client"
MINIMUM = (1, 4, 0)
LEGACY = ("grpc-go/1.15.0", "grpc-go/1.10.0")

_VERSION = re.compile(r"v?(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?(\+[0-9A-Za-z]+(?:\.[0-9A-Za-z]+)*)?")


def check_client(agents: Sequence[str]) -> None:
    """Refuse clients that are too old.

    Args:
        agents: the values of ``user-agent``; the first one counts.

    Raises:
        ApiFailure: FailedPrecondition for an old client, InvalidArgument for an unreadable version.
    """
    words = agents[0].split() if agents else []
    wanted = ".".join(map(str, MINIMUM))
    if len(words) == 1 and words[0] in LEGACY:
        raise failed_precondition(f"unsatisfied client version constraint: >= {wanted}")
    for word in words:
        name, *parts = word.split("/")
        if name != CLIENT or len(parts) != 1:
            continue
        found = _VERSION.fullmatch(parts[0].split("-")[0])
        if found is None:
            raise invalid_argument(f"could not parse version from user-agent: {word}")
        version = tuple(int(part or 0) for part in found.groups()[:3])
        if version < MINIMUM:
            text = ".".join(map(str, version)) + (found[4] or "")
            raise failed_precondition(f"unsatisfied client version constraint: {text} is less than {wanted}")
        return
