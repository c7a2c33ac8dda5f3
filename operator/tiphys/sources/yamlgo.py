"""YAML as Go reads it: bytes of a file or of a tool's output in, JSON objects out.

Manifests are written for tools in Go, and Go's reader (go-yaml v2 behind a YAML-to-JSON step)
gives ``y``, ``0o17``, ``1:30``, ``2001-01-01`` and ``<<`` another meaning than PyYAML does, so
PyYAML's constructors cannot be used. libyaml's parser can: go-yaml is a port of it. This module
takes its events (C speed) and gives scalars, tags, keys, merges and aliases Go's meaning
(``sources.md`` 5), number typing included: what leaves here is what Go would have written as JSON.

Documents are split as the Kubernetes reader splits them, on lines that begin with ``---``, before
any YAML is parsed; of each chunk only the first document counts. Text that begins with ``{`` is
tried as a stream of JSON objects first.

Aliases share one Python value, with the size of its expansion counted beside it, so a bomb is
refused by Go's own rule before anything is expanded.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import yaml
from yaml._yaml import CParser

from tiphys.resources.identity import Manifest
from tiphys.sources.yamlscalars import TAG, Unreadable, key_text, resolve_plain, resolve_tagged

MAX_DEPTH: Final = 200
"""Nesting that we accept (the JSON writer ends at 254; the API server's objects are far below)."""

_UNPARSED: Final = object()
_NO_BLANKS: Final = {ord(c): None for c in " \t\r\n"}


class YamlError(ValueError):
    """Text that Go's reader would refuse.

    Attributes: ``where`` (file or tool), ``document`` (1-based, 0: unknown), ``loaded`` (objects
    read before the failure), ``problem``.
    """

    def __init__(self, where: str, document: int, problem: str) -> None:
        self.where = where
        self.document = document
        self.problem = problem
        self.loaded = 0
        super().__init__(f"document {document}: {problem}" if document > 1 else problem)


def load_documents(text: bytes, where: str) -> list[Manifest]:
    """All objects of ``text`` in order; empty documents are skipped.

    Each must be a mapping with a non-empty ``kind`` (``sources.md`` 5). ``where`` names the file.

    Raises:
        YamlError: names the document and the problem.
    """
    return list(iterate_documents(text, where))


def iterate_documents(text: bytes, where: str) -> Iterator[Manifest]:
    """As :func:`load_documents`, one object at a time."""
    loaded = 0
    try:
        for document, value in _values(decode_text(text, where), where):
            if value is None:
                continue
            problem = _object_problem(value)
            if problem:
                raise YamlError(where, document, problem)
            loaded += 1
            yield value
    except YamlError as error:
        error.loaded = loaded
        raise


def load_value(text: bytes, where: str) -> Any:
    """The value of the first document (any type; ``None`` for an empty one): values files,
    kustomizations, ``Chart.yaml``, ``.argocd-source.yaml``. Raises :class:`YamlError`."""
    body = decode_text(text, where)
    try:
        return _parse(body)
    except Unreadable as error:
        raise YamlError(where, 1, f"error converting YAML to JSON: yaml: {error}") from None


def decode_text(text: bytes, where: str) -> bytes:
    """UTF-8 without a byte order mark, from UTF-8 or UTF-16 with one."""
    if text.startswith(b"\xef\xbb\xbf"):
        return text[3:]
    if text.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return text.decode("utf-16").encode()
        except UnicodeDecodeError as error:
            raise YamlError(where, 1, f"yaml: invalid UTF-16: {error.reason}") from None
    return text


def _object_problem(value: Any) -> str:
    if not isinstance(value, dict):
        name = {list: "array", str: "string", bool: "bool"}.get(type(value), "number")
        return f"json: cannot unmarshal {name} into Go value of type map[string]interface {{}}"
    kind = value.get("kind")
    if not isinstance(kind, str) or not kind:
        return f"Object 'Kind' is missing in '{json.dumps(value, separators=(',', ':'))[:1024]}'"
    return ""


# --- splitting -----------------------------------------------------------------------------------


def _values(text: bytes, where: str) -> Iterator[tuple[int, Any]]:
    document = 0
    if text.lstrip()[:1] == b"{":
        # JSON first; what does not decode as JSON is YAML from that position on.
        for value, rest in _json_stream(text):
            if value is _UNPARSED:
                text = rest
                break
            document += 1
            yield document, value
        else:
            return
    for chunk in _chunks(text, where, document):
        document += 1
        try:
            yield document, _parse(chunk)
        except Unreadable as error:
            raise YamlError(where, document, f"error converting YAML to JSON: yaml: {error}") from None


def _json_stream(text: bytes) -> Iterator[tuple[Any, bytes]]:
    try:
        source = text.decode()
    except UnicodeDecodeError:
        yield _UNPARSED, text
        return
    position, end = 0, len(source)
    while True:
        while position < end and source[position] in " \t\r\n":
            position += 1
        if position >= end:
            return
        try:
            value, position = _JSON.raw_decode(source, position)
        except (ValueError, RecursionError):
            yield _UNPARSED, source[position:].encode()
            return
        yield _whole(value) if "\\u" in source else value, b""


def _whole(value: Any) -> Any:
    """A JSON value with U+FFFD for halves of surrogate pairs, as Go's reader has it: such texts
    could not be written again."""
    if isinstance(value, str):
        return (
            value
            if value.isascii()
            else value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        )
    if isinstance(value, dict):
        return {_whole(name): _whole(item) for name, item in value.items()}
    return [_whole(item) for item in value] if isinstance(value, list) else value


_SEPARATOR = re.compile(rb"^---(.*)$", re.MULTILINE)


def _chunks(text: bytes, where: str, document: int) -> Iterator[bytes]:
    start = 0
    for match in _SEPARATOR.finditer(text):
        after = match.group(1).strip()
        chunk = text[start : match.start()]
        if chunk.strip():
            document += 1
            yield chunk
        if after and not after.startswith(b"#"):
            problem = f"invalid Yaml document separator: {after.decode(errors='replace')}"
            raise YamlError(where, document + 1, problem)
        start = match.end() + 1
    chunk = text[start:]
    if chunk.strip():
        yield chunk


# --- one document --------------------------------------------------------------------------------


def _parse(chunk: bytes) -> Any:
    try:
        return _Builder(chunk).document()
    except yaml.MarkedYAMLError as error:
        line = 0
        for mark in (error.context_mark, error.problem_mark):
            if mark is not None and mark.line:
                line = mark.line + (1 if isinstance(error, yaml.scanner.ScannerError) else 0)
                break
        raise Unreadable(f"line {line}: {error.problem}" if line else str(error.problem)) from None
    except yaml.YAMLError as error:
        raise Unreadable(" ".join(str(getattr(error, "reason", error)).split())) from None
    except UnicodeDecodeError:
        raise Unreadable("invalid UTF-8 text") from None


class _Builder:
    """Builds one document from events. ``decoded`` and ``aliased`` count values as Go's decoder
    would meet them, aliases expanded."""

    def __init__(self, chunk: bytes) -> None:
        self._chunk = chunk
        self._next: Callable[[], Any] = CParser(chunk).get_event
        self._anchors: dict[str, tuple[Any, int] | None] = {}
        self._decoded = 0
        self._aliased = 0
        self._check_escapes = b"\\/" in chunk
        self._text = ""

    def document(self) -> Any:
        while True:
            event = self._next()
            kind = type(event)
            if kind is yaml.DocumentStartEvent:
                if event.version is not None and event.version != (1, 1):
                    raise Unreadable("found incompatible YAML document")
                return self._value(self._next(), 0)
            if kind is yaml.StreamEndEvent or event is None:
                return None

    def _value(self, event: Any, depth: int) -> Any:
        kind = type(event)
        if kind is yaml.ScalarEvent:
            self._decoded += 1
            value = self._scalar(event)
            if event.anchor is not None:
                self._anchors[event.anchor] = (value, 1)
            return value
        if kind is yaml.AliasEvent:
            return self._alias(event.anchor)
        if depth >= MAX_DEPTH:
            raise Unreadable(f"exceeded max depth of {MAX_DEPTH}")
        anchor = event.anchor
        if anchor is not None:
            self._anchors[anchor] = None
        before = self._decoded
        self._decoded += 1
        value = self._mapping(depth) if kind is yaml.MappingStartEvent else self._sequence(depth)
        if anchor is not None:
            self._anchors[anchor] = (value, self._decoded - before)
        return value

    def _alias(self, anchor: str) -> Any:
        if anchor not in self._anchors:
            raise Unreadable(f"unknown anchor '{anchor}' referenced")
        known = self._anchors[anchor]
        if known is None:
            raise Unreadable(f"anchor '{anchor}' value contains itself")
        value, size = known
        self._decoded += size
        self._aliased += size
        if (
            self._aliased > 100
            and self._decoded > 1000
            and self._aliased / self._decoded > _allowed_alias_ratio(self._decoded)
        ):
            raise Unreadable("document contains excessive aliasing")
        return value

    def _sequence(self, depth: int) -> list[Any]:
        items: list[Any] = []
        following, value = self._next, self._value
        event = following()
        while type(event) is not yaml.SequenceEndEvent:
            items.append(value(event, depth + 1))
            event = following()
        return items

    def _mapping(self, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        following, value = self._next, self._value
        event = following()
        while type(event) is not yaml.MappingEndEvent:
            if type(event) is yaml.ScalarEvent:
                if event.value == "<<" and (event.implicit[0] or event.tag == "tag:yaml.org,2002:merge"):
                    self._merge(value(following(), depth + 1), result)
                    event = following()
                    continue
                self._decoded += 1
                key = key_text(self._scalar(event, key=True))
                if event.anchor is not None:
                    self._anchors[event.anchor] = (key, 1)
            else:
                key = key_text(value(event, depth + 1))
            result[key] = value(following(), depth + 1)
            event = following()
        return result

    def _merge(self, value: Any, into: dict[str, Any]) -> None:
        """At its position: overwrites earlier keys; of a list, earlier elements win."""
        parts = value if isinstance(value, list) else [value]
        if not all(isinstance(part, dict) for part in parts):
            raise Unreadable("map merge requires map or sequence of maps as the value")
        for part in reversed(parts):
            into.update(part)

    def _scalar(self, event: Any, *, key: bool = False) -> Any:
        text: str = event.value
        tag: str | None = event.tag
        if tag is None:
            if event.implicit[0]:
                return resolve_plain(text, key)
            if self._check_escapes and event.style == '"':
                self._refuse_slash_escape(event)
            return text
        if tag == TAG + "binary":
            try:
                return base64.b64decode(text.translate(_NO_BLANKS), validate=True).decode(errors="replace")
            except (binascii.Error, ValueError):
                raise Unreadable("!!binary value contains invalid base64 data") from None
        return resolve_tagged(tag, text)

    def _refuse_slash_escape(self, event: Any) -> None:
        """Go's scanner knows no ``\\/``; libyaml's does."""
        if not self._text:
            self._text = self._chunk.decode()
        raw = self._text[event.start_mark.index : event.end_mark.index]
        if re.search(r"(?<!\\)(?:\\\\)*\\/", raw):
            raise Unreadable(f"line {event.start_mark.line + 1}: found unknown escape character")


def _allowed_alias_ratio(decoded: int) -> float:
    if decoded <= 400_000:
        return 0.99
    if decoded >= 4_000_000:
        return 0.10
    return 0.99 - 0.89 * (decoded - 400_000) / 3_600_000


# --- JSON ----------------------------------------------------------------------------------------


def _json_int(text: str) -> int | float:
    value = int(text)
    return value if -(1 << 63) <= value < 1 << 63 else float(text)


def _json_float(text: str) -> int | float:
    value = float(text)
    return int(value) if value.is_integer() and -(2.0**63) <= value < 2.0**63 else value


def _no_constant(text: str) -> Any:
    raise ValueError(f"invalid character in {text}")


_JSON = json.JSONDecoder(parse_int=_json_int, parse_float=_json_float, parse_constant=_no_constant)


def load_json(text: bytes, where: str) -> Any:
    """One JSON value that fills ``text``, numbers as Go types them. Raises :class:`YamlError`."""
    try:
        return _JSON.decode(decode_text(text, where).decode())
    except json.JSONDecodeError as error:
        if error.msg.startswith("Extra data"):
            raise YamlError(where, 2, "more than one value") from None
        raise YamlError(where, 1, f"{error.msg} (line {error.lineno} column {error.colno})") from None
    except (ValueError, RecursionError) as error:
        raise YamlError(where, 1, str(error)) from None
