"""Every operation of the API, called with everything: what its document allows, and what it does not.

Whatever comes in, the answer is one of the sheet's: no operation fails with Internal, hangs, or tells how
it is made; and nobody without credentials gets further than the door.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import pytest_asyncio
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.controlplane import ControlPlane
from tests.server.conftest import unique_namespace
from tests.server.running import Running, running
from tiphys.server.api.failures import Code

TOLERANT = {"/api/version", "/api/v1/session", "/api/v1/session/userinfo", "/api/v1/settings"}
"""Paths where callers without credentials are let in as nobody (api.md 11)."""

EXAMPLES = 4

INSIDE = ("Traceback", "aiohttp", "msgspec", 'File "', ".py", "object at 0x", "NoneType", "asyncio")

Case = tuple[str, str, bytes | None]
"""Verb, path with query, body."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Running]:
    folder: Path = tmp_path_factory.mktemp("operations")
    async with running(control_plane, folder, unique_namespace("fuzz")) as started:
        yield started


class Caller:
    """Calls the server as somebody, and judges what comes back."""

    def __init__(self, server: Running):
        self._base = server.base
        self._session = requests.Session()
        self._session.headers["Content-Type"] = "application/json"
        if server.token:
            self._session.headers["Authorization"] = f"Bearer {server.token}"

    def judge(self, case: Case) -> requests.Response:
        """The answer, which is one that the API gives."""
        verb, path, body = case
        with self._session.request(
            verb, self._base + path, data=body, timeout=30, stream=True, allow_redirects=False
        ) as answer:
            is_open_stream = answer.status_code == 200 and ("/stream/" in path or "/logs" in path)
            text = "" if is_open_stream else answer.content.decode("utf-8", "replace")
        assert not any(word in text for word in INSIDE), (case, text)
        if answer.status_code >= 500:
            code = Code(json.loads(text)["code"])
            lacking = "error while marshaling: proto: required field" in text  # api.md 3
            wanted = (Code.UNKNOWN, Code.UNIMPLEMENTED, Code.UNAVAILABLE)
            assert code in wanted or (lacking and code is Code.INTERNAL), (case, text)
        return answer


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (verb.upper(), path, operation)
        for path, verbs in document["paths"].items()
        for verb, operation in verbs.items()
    ]


def without_dots(document: dict[str, Any]) -> dict[str, Any]:
    """The document with path parameters that Python can format (``{id.value}`` it cannot)."""
    paths = {}
    for path, verbs in document["paths"].items():
        for operation in verbs.values():
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "path":
                    parameter["name"] = parameter["name"].replace(".", "_")
        paths[re.sub(r"{[^}]*}", lambda name: name[0].replace(".", "_"), path)] = verbs
    return {**document, "paths": paths}


def try_all(case: st.SearchStrategy[Any], check: Callable[[Any], object], examples: int) -> None:
    """Check so many examples."""

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case)
    def run(drawn: Any) -> None:
        check(drawn)

    run()


texts = st.text(max_size=20) | st.sampled_from(
    ["", "0", "-1", "true", "%", "%2F", "../..", "\0", "null", "{}", "a" * 5000, "9" * 30, "[]", "*", "'\"`"]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)


@st.composite
def strange(
    draw: st.DrawFn, verb: str, path: str, operation: dict[str, Any], document: dict[str, Any]
) -> Case:
    """A request with the right names and wrong values."""
    query: list[tuple[str, str]] = []
    body: bytes | None = None
    for parameter in operation.get("parameters", ()):
        name = parameter["name"]
        if parameter["in"] == "path":
            path = path.replace(f"{{{name}}}", quote(draw(texts), safe=""))
        elif parameter["in"] == "query":
            query += [(name, value) for value in draw(st.lists(texts, max_size=2))]
        elif parameter["in"] == "body":
            names = list(_fields(document, parameter.get("schema", {})))
            whole: Any = draw(values)
            if names and draw(st.booleans()):
                whole = draw(st.dictionaries(st.sampled_from(names), values, max_size=4))
            body = json.dumps(whole).encode()
    return verb, f"{path}?{urlencode(query)}" if query else path, body


def _fields(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        schema = document["definitions"][schema["$ref"].rsplit("/", 1)[1]]
    found: dict[str, Any] = schema.get("properties", {})
    return found


@pytest.mark.controlplane
@pytest.mark.timeout(600)
async def test_requests_as_the_document_allows_them(server: Running) -> None:
    document = without_dots((await server.get("/swagger.json")).json)
    caller = Caller(server)

    def check(case: Any) -> None:
        body = None if not isinstance(case.body, dict | list | str | int | float | bool) else case.body
        url = requests.Request(case.method, "http://x" + case.formatted_path, params=case.query).prepare()
        caller.judge((case.method, url.path_url, None if body is None else json.dumps(body).encode()))

    def run() -> None:
        for result in schemathesis.openapi.from_dict(document).get_all_operations():
            operation = result.ok()
            try_all(operation.as_strategy(), check, EXAMPLES)

    await asyncio.to_thread(run)


@pytest.mark.controlplane
@pytest.mark.timeout(600)
async def test_requests_that_nobody_would_make(server: Running) -> None:
    document = (await server.get("/swagger.json")).json
    caller = Caller(server)

    def run() -> None:
        for verb, path, operation in operations(document):
            try_all(strange(verb, path, operation, document), caller.judge, EXAMPLES)

    await asyncio.to_thread(run)


@pytest.mark.controlplane
@pytest.mark.timeout(600)
async def test_nobody_gets_further_than_the_door(server: Running) -> None:
    """The same answer for everything, whatever is asked, and no work done before it."""
    document = (await server.get("/swagger.json")).json
    nobody = Caller(server.acting(""))

    def check(case: Case) -> None:
        answer = nobody.judge(case)
        if answer.status_code in (400, 404, 405) or "invalid URL escape" in answer.text:
            return  # not understood (api.md 2: escapes are looked at first)
        assert answer.status_code == 401, (case, answer.text)
        assert answer.json() == {
            "error": "no session information",
            "code": 16,
            "message": "no session information",
        }

    def run() -> None:
        for verb, path, operation in operations(document):
            if path not in TOLERANT:
                try_all(strange(verb, path, operation, document), check, EXAMPLES)

    await asyncio.to_thread(run)
