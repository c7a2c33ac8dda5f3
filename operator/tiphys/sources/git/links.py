"""Symbolic links may never lead out of the repository, not even on the way (``sources.md`` 3). Pure.

The reference follows each link's text component by component. That misses links that pass through
other links, so here those are followed as well: what the operating system would do decides.
"""

from collections.abc import Mapping

from tiphys.sources.errors import OutOfBoundsSymlink

_MAX_LINKS = 255


def find_out_of_bounds(links: Mapping[str, str]) -> str | None:
    """The first link (in the order of paths) that leaves the root, or ``None``.

    ``links``: path of each link from the root → its target text. All links of the tree must be in it.
    """
    for path in sorted(links, key=lambda each: each.split("/")):
        if _leaves_lexically(path, links[path]) or _leaves_really(path, links):
            return path
    return None


def check_links(links: Mapping[str, str], what: str = "repository") -> None:
    """Raises OutOfBoundsSymlink with the reference's text; ``what``: repository, chart, oci image."""
    found = find_out_of_bounds(links)
    if found is not None:
        raise OutOfBoundsSymlink("Unknown", f"{what} contains out-of-bounds symlinks. file: {found}")


def resolve_link(path: str, links: Mapping[str, str]) -> str | None:
    """Where ``path`` (which may contain links anywhere) really lies: from the root, ``""`` is the
    root. ``None``: out of bounds, or links in a circle."""
    try:
        return _walk(path, links)
    except _TooManyLinks:
        return None


def _leaves_lexically(path: str, target: str) -> bool:
    if target.startswith("/"):
        return True
    depth = path.count("/")
    for part in target.split("/"):
        if part == "..":
            depth -= 1
            if depth < 0:
                return True
        elif part not in ("", "."):
            depth += 1
    return False


def _leaves_really(path: str, links: Mapping[str, str]) -> bool:
    try:
        return _walk(path, links) is None
    except _TooManyLinks:
        return False


class _TooManyLinks(Exception):
    """A circle or a bomb. Opening it fails everywhere (the system stops after 40 links), so it leads
    nowhere; the reference lets it pass, too."""


def _walk(path: str, links: Mapping[str, str]) -> str | None:
    """As the operating system walks; ``None`` as soon as it would leave the root."""
    here: list[str] = []
    todo = path.split("/")[::-1]
    followed = 0
    while todo:
        part = todo.pop()
        if part in ("", "."):
            continue
        if part == "..":
            if not here:
                return None
            here.pop()
            continue
        here.append(part)
        target = links.get("/".join(here))
        if target is None:
            continue
        if target.startswith("/"):
            return None
        followed += 1
        if followed > _MAX_LINKS:
            raise _TooManyLinks
        here.pop()
        todo.extend(target.split("/")[::-1])
    return "/".join(here)
