"""The methods of ``certificate.CertificateService``: list, create, delete (api.md 7, 9).

There are no rights for single hosts: the RBAC object is empty. All of a request is checked before
anything is written; known hosts, one text with many writers, are written under their version.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from tiphys.kube.errors import AlreadyExists, Conflict, NotFound
from tiphys.kube.writes import MERGE_PATCH
from tiphys.projects.glob import matches_path
from tiphys.resources.identity import GVK, Manifest
from tiphys.resources.messages.certificate import (
    RepositoryCertificateCreateRequest,
    RepositoryCertificateQuery,
)
from tiphys.resources.messages.stored_repositories import RepositoryCertificate, RepositoryCertificateList
from tiphys.server.api.calls import Call
from tiphys.server.api.failures import invalid_argument, unknown
from tiphys.server.api.rpc import Route, rpc
from tiphys.server.guard import Guard
from tiphys.server.services.certificates.authorities import (
    InvalidCertificate,
    blocks_of,
    check,
    described,
    is_host_name,
)
from tiphys.server.services.certificates.known_hosts import HostKey, InvalidHostKey, KnownHosts, host_name
from tiphys.server.services.one_by_one import OneByOne
from tiphys.server.state import State
from tiphys.settings.store import KNOWN_HOSTS, PART_OF, TLS_CERTS

_PATH = "/api/v1/certificates"
_CONFIG_MAP = GVK("", "v1", "ConfigMap")
_HOSTS_KEY = "ssh_known_hosts"
_ATTEMPTS = 5

Item = RepositoryCertificate


class _Edit(msgspec.Struct, frozen=True):
    """New data of one ConfigMap (None deletes a key) and what the caller is told."""

    data: Mapping[str, str | None]
    items: tuple[Item, ...]


class CertificateService:
    """See the module."""

    package, service = "certificate", "CertificateService"

    def __init__(self, state: State, guard: Guard):
        self._state = state
        self._turns = OneByOne()
        self._guard = guard

    @rpc("ListCertificates", Route("GET", _PATH))
    async def list_certificates(
        self, call: Call, request: RepositoryCertificateQuery
    ) -> RepositoryCertificateList:
        """Known hosts with fingerprints, then a line for each certificate with its issuer."""
        self._guard.enforce(call, "certificates", "get", "")
        settings = self._state.settings
        items: list[Item] = []
        if request.cert_type in ("", "*", "ssh"):
            hosts = KnownHosts(settings.ssh_known_hosts)
            items += [_ssh_item(key) for key in hosts.entries if _selects(request, key)]
        if request.cert_type in ("", "*", "https"):
            for host in sorted(settings.tls_certificates):
                if _matches_host(request, host):
                    listed = _https_items(host, settings.tls_certificates[host])
                    items += [item for item in listed if _matches_kind(request, item.cert_sub_type)]
        return RepositoryCertificateList(items=tuple(items))

    @rpc("CreateCertificate", Route("POST", _PATH, "certificates"))
    async def create_certificate(
        self, call: Call, request: RepositoryCertificateCreateRequest
    ) -> RepositoryCertificateList:
        """Add keys and certificates; what is stored already in the same words is left out of the
        answer.

        Raises:
            ApiFailure: Unknown, in the reference's words, for anything that cannot be taken.
        """
        self._guard.enforce(call, "certificates", "create", "")
        if request.certificates is None:
            raise invalid_argument("missing payload in request")
        items, upsert = request.certificates.items, request.upsert
        for item in items:
            _check_item(item)
        ssh = [item for item in items if item.cert_type == "ssh"]
        https = [item for item in items if item.cert_type == "https"]
        # both decided before the first write
        _added_hosts(self._state.settings.ssh_known_hosts, ssh, upsert)
        _added_bundles(self._state.settings.tls_certificates, https, upsert)
        created: list[Item] = []
        if ssh:
            created += await self._edit(
                KNOWN_HOSTS, lambda data: _added_hosts(data.get(_HOSTS_KEY, ""), ssh, upsert)
            )
        if https:
            created += await self._edit(TLS_CERTS, lambda data: _added_bundles(data, https, upsert))
        return RepositoryCertificateList(items=tuple(created))

    @rpc("DeleteCertificate", Route("DELETE", _PATH))
    async def delete_certificate(
        self, call: Call, request: RepositoryCertificateQuery
    ) -> RepositoryCertificateList:
        """Remove what the query selects; certificates go by host, with all their kinds."""
        self._guard.enforce(call, "certificates", "delete", "")
        removed: list[Item] = []
        if request.cert_type in ("", "*", "ssh"):
            removed += await self._edit(KNOWN_HOSTS, lambda data: _removed_hosts(data, request))
        if request.cert_type in ("", "*", "https"):
            removed += await self._edit(TLS_CERTS, lambda data: _removed_bundles(data, request))
        return RepositoryCertificateList(items=tuple(removed))

    async def _edit(self, name: str, decide: Callable[[Mapping[str, str]], _Edit]) -> tuple[Item, ...]:
        """Read, decide and write one ConfigMap; again when another replica wrote meanwhile."""
        async with self._turns.of(name):
            for attempt in range(_ATTEMPTS):
                held = await self._held(name)
                edit = decide((held or {}).get("data") or {})
                if not edit.data:
                    return edit.items
                try:
                    await self._write(name, held, edit.data)
                except (AlreadyExists, Conflict):
                    if attempt == _ATTEMPTS - 1:
                        raise
                    continue
                return edit.items
        raise AssertionError("unreachable")

    async def _held(self, name: str) -> Manifest | None:
        try:
            return await self._state.client.get(_CONFIG_MAP, self._state.namespace, name)
        except NotFound:
            return None

    async def _write(self, name: str, held: Manifest | None, data: Mapping[str, str | None]) -> None:
        namespace = self._state.namespace
        metadata: dict[str, Any]
        if held is None:
            metadata = {"name": name, "namespace": namespace, "labels": {PART_OF: "argocd"}}
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": dict(data)}
            answer = await self._state.client.create(body)
        else:
            metadata = {"resourceVersion": held["metadata"]["resourceVersion"]}
            body = {"metadata": metadata, "data": dict(data)}
            answer = await self._state.client.patch(_CONFIG_MAP, namespace, name, body, MERGE_PATCH)
        self._state.settings_store.put(answer)


# --- decisions -----------------------------------------------------------------------------------


def _check_item(item: Item) -> None:
    if item.cert_type not in ("https", "ssh"):
        raise unknown(f"unknown certificate type: {item.cert_type}")
    name = item.server_name
    if item.cert_type == "ssh":
        name = host_name(name)
    elif name.endswith("."):
        name = ""  # TLS has no absolute names
    if not is_host_name(name):
        raise unknown(f"invalid hostname in request: {item.server_name}")


def _added_hosts(text: str, items: list[Item], upsert: bool) -> _Edit:
    hosts, created = KnownHosts(text), list[Item]()
    for item in items:
        key = HostKey(item.server_name, item.cert_sub_type, item.cert_data.decode("utf-8", "replace").strip())
        held = hosts.find(key.host, key.kind)
        if held is not None and held.data == key.data:
            continue
        if held is not None and not upsert:
            raise unknown(
                f"key for '{key.host}' (subtype: '{key.kind}') already exists, and upsert was not specified"
            )
        try:
            key.check()
        except InvalidHostKey as error:
            raise unknown(str(error)) from None
        hosts = hosts.with_key(key)
        created.append(_ssh_item(key))
    return _Edit({_HOSTS_KEY: hosts.text} if created else {}, tuple(created))


def _added_bundles(data: Mapping[str, str], items: list[Item], upsert: bool) -> _Edit:
    changes: dict[str, str | None] = {}
    created: list[Item] = []
    for item in items:
        host, text = item.server_name, item.cert_data.decode("utf-8", "replace")
        held = changes.get(host, data.get(host))
        if held is not None and held != text and not upsert:
            raise unknown(f"TLS certificate for server '{host}' already exists, and upsert was not specified")
        for block in _blocks(text):
            if held != text:
                created.append(Item(server_name=host, cert_type="https", cert_data=block.encode()))
        if held != text:
            changes[host] = text
    return _Edit(changes, tuple(created))


def _blocks(text: str) -> tuple[str, ...]:
    try:
        blocks = blocks_of(text)
        for block in blocks:
            check(block)
    except InvalidCertificate as error:
        raise unknown(str(error)) from None
    if not blocks:
        raise unknown("no valid PEM data received")
    return blocks


def _removed_hosts(data: Mapping[str, str], query: RepositoryCertificateQuery) -> _Edit:
    hosts = KnownHosts(data.get(_HOSTS_KEY, ""))
    gone = [key for key in hosts.entries if _selects(query, key)]
    left = hosts.without(lambda key: _selects(query, key))
    return _Edit({_HOSTS_KEY: left.text} if gone else {}, tuple(_ssh_item(key) for key in gone))


def _removed_bundles(data: Mapping[str, str], query: RepositoryCertificateQuery) -> _Edit:
    gone = sorted(host for host in data if _matches_host(query, host))
    items = [item for host in gone for item in _https_items(host, data[host])]
    return _Edit(dict.fromkeys(gone), tuple(items))


def _selects(query: RepositoryCertificateQuery, key: HostKey) -> bool:
    return _matches_host(query, key.host) and _matches_kind(query, key.kind)


def _matches_host(query: RepositoryCertificateQuery, host: str) -> bool:
    pattern = query.host_name_pattern
    # "[name]:22" is a class of letters to the pattern language, and meant as it stands by people
    return not pattern or pattern == host or matches_path(pattern, host)


def _matches_kind(query: RepositoryCertificateQuery, kind: str) -> bool:
    return query.cert_sub_type in ("", "*", kind)


def _ssh_item(key: HostKey) -> Item:
    return Item(
        server_name=key.host,
        cert_type="ssh",
        cert_sub_type=key.kind,
        cert_data=key.data.encode(),
        cert_info=key.fingerprint,
    )


def _https_items(host: str, text: str) -> list[Item]:
    """A line for each certificate of a bundle; one that cannot be taken apart is shown as it is."""
    try:
        found = [described(block) for block in blocks_of(text)]
    except InvalidCertificate as error:
        return [Item(server_name=host, cert_type="https", cert_sub_type="invalid", cert_info=str(error))]
    return [
        Item(
            server_name=host,
            cert_type="https",
            cert_sub_type=each.kind,
            cert_data=each.pem.encode(),
            cert_info=each.issuer,
        )
        for each in found
    ]
