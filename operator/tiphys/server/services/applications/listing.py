"""Listing Applications (api.md 8.2 "List"), and what lists can beyond the reference.

The answer is its items' fragments joined, so it costs what it returns. ``fields`` are selected from the
same fragments and kept with them, since those who select ask for the same again and again.

Over REST a list also takes ``limit`` and ``continue`` (pages: ``metadata.continue`` and
``metadata.remainingItemCount``) and ``sort`` (``name``, ``namespace``, ``project``, ``created``,
``sync``, ``health``; with ``-`` in front the other way round), and has an ETag.
"""

import asyncio
import base64
import hashlib
from array import array
from collections.abc import Callable, Mapping, Sequence

import msgspec

from tiphys.reconcile.namespaces import is_namespace_enabled
from tiphys.resources.application import Application, ApplicationList
from tiphys.resources.gojson import dumps
from tiphys.resources.messages.application import ApplicationQuery
from tiphys.resources.meta import ListMeta
from tiphys.resources.wire.codec import encode
from tiphys.server.api.calls import Call
from tiphys.server.api.failures import invalid_argument, unknown
from tiphys.server.api.rpc import Encoded, Route, rpc
from tiphys.server.guard import Guard
from tiphys.server.http.answers import encode_plain
from tiphys.server.http.app_fields import AppFields
from tiphys.server.state import State
from tiphys.server.streams.catalog import Catalog, Entry, Filters
from tiphys.server.streams.fragments import Fragment, compact, join_proto, varint
from tiphys.server.streams.selectors import Selector, SelectorError

SLICE = 30
"""Items encoded anew at a stretch, before others have their turn: some milliseconds."""

Key = tuple[str, str, str]

_SORTS: Mapping[str, Callable[[Application], str]] = {
    "name": lambda app: "",
    "namespace": lambda app: app.metadata.namespace,
    "project": lambda app: app.spec.project_name,
    "created": lambda app: app.metadata.creation_timestamp,
    "sync": lambda app: app.status.sync.status,
    "health": lambda app: app.status.health.status,
}


class Page(msgspec.Struct, frozen=True):
    """A part of a list: its entries, where the next one begins, and how many are left."""

    entries: Sequence[Entry]
    next: str = ""
    left: int | None = None


class ApplicationListing:
    """``List``."""

    package, service = "application", "ApplicationService"

    def __init__(self, state: State, guard: Guard, catalog: Catalog):
        self._state = state
        self._guard = guard
        self._catalog = catalog

    @rpc("List", Route("GET", "/api/v1/applications"))
    async def list(self, call: Call, request: ApplicationQuery) -> ApplicationList | Encoded:
        """Shows what the caller may ``get``."""
        settings = self._state.settings
        filters = Filters(
            name=request.name or "",
            namespace=request.app_namespace or "",
            projects=projects_of(request),
            repo=request.repo or "",
            selector=read_selector(request.selector, "error parsing the selector: "),
            namespaces=lambda namespace: is_namespace_enabled(namespace, settings),
        )
        permits = self._guard.permits(call, "applications", "get")
        who = (call.identity.user_id, call.identity.groups, call.identity.is_unrestricted)
        found = self._catalog.find(filters, permits, (who, self._guard.generation))
        page = page_of(found, call.parameter("sort"), call.parameter("limit"), call.parameter("continue"))
        fragments = [entry.fragment for entry in page.entries]
        await encoded(fragments, json=call.transport == "rest")
        if fields := call.parameter("fields"):
            await selected(fragments, AppFields.parse(fields.split(",")))
        meta = ListMeta(
            resource_version=str(self._state.apps.newest),
            continue_=page.next,
            remaining_item_count=page.left,
        )
        return answer_of(meta, fragments, etag_of(page, call.query))


def projects_of(request: ApplicationQuery) -> frozenset[str]:
    """The projects that a request is limited to; the older spelling wins."""
    return frozenset(request.project or request.projects)


def read_selector(text: str | None, prefix: str = "") -> Selector:
    """The selector of a request.

    Raises:
        ApiFailure: Unknown, it is none.
    """
    try:
        return Selector(text or "")
    except SelectorError as error:
        raise unknown(f"{prefix}{error}") from error


async def encoded(fragments: Sequence[Fragment[Application]], *, json: bool) -> None:
    """Encode what is not yet, letting others have their turn in between."""
    missing = [fragment for fragment in fragments if not fragment.has(json=json)]
    for number, fragment in enumerate(missing):
        _ = fragment.json if json else fragment.proto
        if number % SLICE == SLICE - 1:
            await asyncio.sleep(0)


async def selected(fragments: Sequence[Fragment[Application]], wanted: AppFields) -> None:
    """Select what is not yet, in the same way."""
    missing = [fragment for fragment in fragments if not _has(fragment, wanted)]
    for number, fragment in enumerate(missing):
        _selected(fragment, wanted)
        if number % SLICE == SLICE - 1:
            await asyncio.sleep(0)


def answer_of(meta: ListMeta, fragments: Sequence[Fragment[Application]], etag: str) -> Encoded:
    """The list in whatever form it is asked for."""

    def pieces() -> list[bytes]:
        head = b'{"metadata":%b,"items":' % dumps(meta)
        return listed(head, [fragment.json for fragment in fragments], b"}\n")

    def json() -> bytes:
        return b"".join(pieces())

    def proto() -> bytes:
        head = encode(meta)
        head = b"".join((b"\x0a", varint(len(head)), head))
        return join_proto(b"\x12", [fragment.proto for fragment in fragments], head)

    def select(fields: Sequence[str]) -> bytes:
        wanted = AppFields.parse(fields)
        items = [_selected(fragment, wanted) for fragment in fragments]
        return b"".join(listed(b'{"items":', items, b',"metadata":%b}\n' % dumps(meta)))

    return Encoded(json, proto, select=select, pieces=pieces, etag=etag)


def listed(head: bytes, items: Sequence[bytes], tail: bytes) -> list[bytes]:
    """The parts of a JSON array between two texts; ``null`` where there is nothing."""
    if not items:
        return [head, b"null", tail]
    parts = [head, b"["]
    for item in items:
        parts += (item, b",")
    parts[-1] = b"]"
    parts.append(tail)
    return parts


def _selected(fragment: Fragment[Application], wanted: AppFields) -> bytes:
    """The selected parts of an item; the last selection of each is kept."""
    if _has(fragment, wanted):
        kept: bytes = fragment.extra[1]
        return kept
    body = compact(encode_plain(wanted.of(msgspec.json.decode(fragment.json)), sort=True))
    fragment.extra = (wanted.paths, body)
    return body


def _has(fragment: Fragment[Application], wanted: AppFields) -> bool:
    return fragment.extra is not None and fragment.extra[0] == wanted.paths


def page_of(found: Sequence[Entry], sort: str, limit: str, begin: str) -> Page:
    """Sort, and cut out the page that is asked for.

    Raises:
        ApiFailure: InvalidArgument for a parameter that cannot be read.
    """
    key_of = _key(sort.removeprefix("-"))
    backwards = sort.startswith("-")
    if sort not in ("", "name"):
        found = sorted(found, key=key_of, reverse=backwards)
    if begin:
        last = _read_continue(begin)
        found = [each for each in found if (key_of(each) < last if backwards else key_of(each) > last)]
    if not limit:
        return Page(found)
    if not limit.isdecimal() or not limit.isascii() or len(limit) > 9:
        raise invalid_argument(f'invalid limit "{limit}": must be a number')
    size = int(limit)
    if not size or len(found) <= size:
        return Page(found)
    return Page(found[:size], _continue(key_of(found[size - 1])), len(found) - size)


def _key(sort: str) -> Callable[[Entry], Key]:
    of = _SORTS.get(sort or "name")
    if of is None:
        raise invalid_argument(f'invalid sort "{sort}": must be one of {", ".join(_SORTS)}')
    return lambda entry: (of(entry.app), *entry.order)


def _continue(key: Key) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).decode().rstrip("=")


def _read_continue(text: str) -> Key:
    try:
        key: Key = msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=Key)
        return key
    except (ValueError, msgspec.DecodeError):
        raise invalid_argument(
            "invalid continue: take it from metadata.continue of the page before"
        ) from None


def etag_of(page: Page, query: Mapping[str, Sequence[str]]) -> str:
    """Names the content of a list: the versions of its items in their order, and how it is shown."""
    stamps = array("Q", [entry.version for entry in page.entries])
    shown = "\0".join(f"{name}={value}" for name in ("fields", "sort") for value in query.get(name, ()))
    digest = hashlib.blake2b(stamps.tobytes(), digest_size=12, key=b"applications")
    digest.update(shown.encode("utf-8", "replace"))
    digest.update(f"{page.next} {page.left}".encode())
    return digest.hexdigest()
