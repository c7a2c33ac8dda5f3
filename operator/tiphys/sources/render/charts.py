"""Charts from chart repositories: which version a range means, and the unpacked chart.

``sources.md`` 9.6. The index of an HTTP repository is fetched once per period for all who ask; a
chart is pulled by Helm once per (repository, chart, version) and unpacked into a folder that nobody
changes. Unpacking trusts nothing: sizes, names and links are checked.
"""

import asyncio
import base64
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

import aiohttp
import msgspec

from tiphys.resources.semver import InvalidVersion, is_constraint, is_version, max_matching
from tiphys.settings.repositories import Repository
from tiphys.sources.errors import AccessDenied, DiskFull, RepositoryUnreachable, RevisionNotFound, SourceError
from tiphys.sources.git.flights import Flights
from tiphys.sources.outgoing import client_tls, proxy_environment, proxy_for, through
from tiphys.sources.processes import is_disk_full
from tiphys.sources.render.files import FolderFiles, digest
from tiphys.sources.render.helm_dependencies import login_flags, redacted, tls_flags
from tiphys.sources.render.request import RenderRequest
from tiphys.sources.render.tools import Tools
from tiphys.sources.yamlgo import YamlError, load_value

_INDEX_SECONDS = 180.0


class ChartOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes in bytes, times in seconds; defaults are the reference's (``sources.md`` 17.3)."""

    index_seconds: float = 0.0
    """``ARGOCD_HELM_INDEX_CACHE_DURATION``; 0: as long as revisions of Git."""
    index_timeout: float = 60.0
    max_index_size: int = 1 << 30
    max_extracted_size: int = 1 << 30
    """0: unlimited."""
    max_files: int = 20_000
    max_age: float = 24 * 3600.0
    user_agent: str = "tiphys"
    """``ARGOCD_HELM_USER_AGENT``"""


class _Index(msgspec.Struct, frozen=True):
    began: float
    versions: Mapping[str, tuple[str, ...]]
    """Chart → versions, as listed."""


class _Chart(msgspec.Struct):
    folder: Path
    whole: str
    pulled: float


class ChartStore:
    """Indexes in memory, unpacked charts below ``root``."""

    def __init__(self, root: Path, tools: Tools, options: ChartOptions) -> None:
        self._root = root
        self._tools = tools
        self._options = options
        self._indexes: dict[str, _Index] = {}
        self._charts: dict[str, _Chart] = {}
        self._reading: Flights[_Index] = Flights()
        self._pulling: Flights[_Chart] = Flights()
        self.requests = 0
        """Conversations with repositories so far."""
        self.index_seconds = options.index_seconds or _INDEX_SECONDS
        """How long an index answers; may change at any time."""

    def set_certificates(self, certificates: Mapping[str, str]) -> None:
        """Host name → PEM bundle that replaces the system's roots for it, from now on."""
        self._tools.roots.clear()
        self._tools.roots.update(certificates)

    def set_revision_cache(self, seconds: float) -> None:
        """How long an index answers from now on, unless the options say it."""
        self.index_seconds = self._options.index_seconds or seconds

    async def close(self) -> None:
        """Ends running downloads."""
        await self._reading.close()
        await self._pulling.close()

    async def resolve(self, repository: Repository, chart: str, revision: str, *, fresh: bool = False) -> str:
        """The version that ``revision`` means: a version is taken verbatim, a constraint means the
        highest match, anything else must be listed. Raises SourceError, RevisionNotFound."""
        if is_version(revision):
            return revision
        if "://" not in repository.url:
            raise SourceError(
                "Unimplemented",
                f"version ranges of OCI charts are not supported yet: name a version instead of {revision}",
            )
        index = await self._index(repository, fresh=fresh)
        versions = index.versions.get(chart)
        if versions is None:
            raise RevisionNotFound("Unknown", f"chart '{chart}' not found in index", revision=revision)
        try:
            if is_constraint(revision):
                found = max_matching(revision, versions)
                if found is not None:
                    return found
            elif revision in versions:
                return revision
            else:
                raise InvalidVersion(
                    f"failed to determine semver constraint: improper constraint: {revision}"
                )
        except InvalidVersion as error:
            raise RevisionNotFound("Unknown", f"invalid revision: {error}", revision=revision) from None
        text = f"invalid revision: version matching constraint not found in {len(versions)} tags"
        raise RevisionNotFound("Unknown", text, revision=revision)

    async def versions(self, repository: Repository, *, fresh: bool = False) -> Mapping[str, tuple[str, ...]]:
        """Chart → versions of an HTTP repository. Raises SourceError."""
        return (await self._index(repository, fresh=fresh)).versions

    async def check_registry(self, repository: Repository) -> None:
        """Log in to an OCI registry of charts with its user and password; without them there is
        nothing to ask it (``sources.md`` 9.6). Raises SourceError."""
        if "/" in repository.url:
            raise SourceError("Unknown", "OCI Helm repository URL should include hostname and port only")
        if repository.username and repository.password:
            self.requests += 1
            async with self._tools.folder() as folder:
                await self._login(repository, folder, folder / "home")

    async def files(self, request: RenderRequest) -> FolderFiles:
        """The unpacked chart of a request. Raises SourceError."""
        repository, chart, version = request.repository, request.source.chart, request.revision
        key = digest(repository.url, repository.credential_digest, chart, version)
        now = asyncio.get_running_loop().time()
        found = self._charts.get(key)
        if found is None or request.no_cache or now - found.pulled > self._options.max_age:
            pass_credentials = bool(request.source.helm and request.source.helm.pass_credentials)
            found = await self._pulling.share(
                key, lambda: self._pull(repository, chart, version, pass_credentials)
            )
            self._charts[key] = found
        name = chart.rstrip("/").rpartition("/")[2]
        return FolderFiles(found.folder / name, found.whole)

    # --- index -----------------------------------------------------------------------------------

    async def _index(self, repository: Repository, *, fresh: bool) -> _Index:
        key = digest(repository.url, repository.credential_digest)
        now = asyncio.get_running_loop().time()
        known = self._indexes.get(key)
        if known is not None and not fresh and now - known.began < self.index_seconds:
            return known
        index = await self._reading.share(key, lambda: self._read_index(repository, now))
        self._indexes[key] = index
        return index

    async def _read_index(self, repository: Repository, now: float) -> _Index:
        body = await self._get(repository, repository.url.rstrip("/") + "/index.yaml")
        try:
            versions = await asyncio.to_thread(_versions, body)
        except YamlError as error:
            raise RepositoryUnreachable(
                "Unknown", f"failed to get index: {error}", repository=repository.url
            ) from None
        return _Index(now, versions)

    async def _get(self, repository: Repository, url: str) -> bytes:
        headers = {"User-Agent": self._options.user_agent}
        if repository.username or repository.password:
            pair = f"{repository.username}:{repository.password}".encode()
            headers["Authorization"] = "Basic " + base64.b64encode(pair).decode()
        timeout = aiohttp.ClientTimeout(total=self._options.index_timeout)
        self.requests += 1
        try:
            context = await asyncio.to_thread(client_tls, url, repository, self._tools.roots)
            connector, proxy = through(proxy_for(url, repository))
            async with (
                aiohttp.ClientSession(headers=headers, timeout=timeout, connector=connector) as session,
                session.get(url, ssl=context, proxy=proxy) as answer,
            ):
                if answer.status != 200:
                    kind = AccessDenied if answer.status in (401, 403) else RepositoryUnreachable
                    text = f"failed to get index: {answer.status} {answer.reason}"
                    raise kind("Unknown", text, repository=repository.url)
                body = bytearray()
                async for part in answer.content.iter_chunked(1 << 18):
                    body += part
                    if len(body) > self._options.max_index_size:
                        raise SourceError(
                            "ResourceExhausted", "failed to get index: it exceeds the size limit"
                        )
                return bytes(body)
        except (aiohttp.ClientError, TimeoutError, ValueError, OSError) as error:
            why = str(error) or "no answer in time"
            raise RepositoryUnreachable(
                "Unknown", f"failed to get index: {why}", repository=repository.url
            ) from None

    # --- charts ----------------------------------------------------------------------------------

    async def _pull(self, repository: Repository, chart: str, version: str, pass_credentials: bool) -> _Chart:
        self.requests += 1
        async with self._tools.folder() as folder:
            home, target = folder / "home", folder / "archive"
            target.mkdir()
            argv = [self._tools.helm, "pull", "--destination", str(target), "--version", version]
            oci = "://" not in repository.url
            if oci:
                if repository.username and repository.password:
                    await self._login(repository, folder, home)
                argv.append(f"oci://{repository.url.rstrip('/')}/{chart}")
                if repository.insecure_oci_force_http:
                    argv.append("--plain-http")
            else:
                argv += [*login_flags(repository), "--repo", repository.url, chart]
                if pass_credentials:
                    argv.append("--pass-credentials")
            argv += tls_flags(repository, repository.url, self._tools, home)
            if repository.insecure:
                argv.append("--insecure-skip-tls-verify")
            done = await self._tools.run(
                argv, cwd=folder, home=home, environment=proxy_environment(repository)
            )
            if done.code != 0:
                raise SourceError(
                    "Unknown",
                    f"failed to pull chart: failed running helm: `{redacted(argv)}` failed exit status "
                    f"{done.code}: {_without(done.errors.strip(), repository)}".replace(str(folder), "."),
                    repository=repository.url,
                    revision=version,
                )
            archives = list(target.iterdir())
            if len(archives) != 1:
                raise SourceError("Unknown", f"expected 1 file, found {len(archives)}")
            whole = digest("chart", repository.url, chart, version, str(archives[0].stat().st_size))
            unpacked = await asyncio.to_thread(self._unpack, archives[0], chart)
        return _Chart(unpacked, whole, asyncio.get_running_loop().time())

    async def _login(self, repository: Repository, folder: Path, home: Path) -> None:
        host = repository.url.partition("/")[0]
        argv = [self._tools.helm, "registry", "login", host, *login_flags(repository, password_on_stdin=True)]
        argv += tls_flags(repository, repository.url, self._tools, home)
        if repository.insecure_oci_force_http:
            argv.append("--plain-http")
        if repository.insecure:
            argv.append("--insecure")
        done = await self._tools.run(
            argv,
            cwd=folder,
            home=home,
            environment=proxy_environment(repository),
            stdin=repository.password.encode(),
        )
        if done.code != 0:
            text = f"failed running helm: `{redacted(argv)}` failed exit status {done.code}: "
            text += done.errors.strip()
            raise AccessDenied("Unknown", _without(text, repository), repository=repository.url)

    def _unpack(self, archive: Path, chart: str) -> Path:
        limit = self._options.max_extracted_size
        try:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder = Path(tempfile.mkdtemp(prefix="chart-", dir=self._root))
            total = count = 0
            with tarfile.open(archive, "r:*") as packed:
                for member in packed:
                    total += member.size
                    count += 1
                    if limit and total > limit:
                        raise SourceError(
                            "ResourceExhausted", f"chart {chart} exceeds the extracted size limit"
                        )
                    if count > self._options.max_files:
                        raise SourceError("ResourceExhausted", f"chart {chart} holds too many files")
                    packed.extract(member, folder, filter="data")
        except tarfile.FilterError:
            raise SourceError("Unknown", f"chart contains out-of-bounds symlinks or names: {chart}") from None
        except (tarfile.TarError, EOFError) as error:
            raise SourceError("Unknown", f"could not unpack chart {chart}: {error}") from None
        except OSError as error:
            if is_disk_full(error):
                raise DiskFull("Internal", f"no space left on device while unpacking chart {chart}") from None
            raise SourceError("Internal", f"could not unpack chart {chart}: {error.strerror}") from None
        return folder


def _versions(body: bytes) -> dict[str, tuple[str, ...]]:
    value = load_value(body, "index.yaml")
    entries = value.get("entries") if isinstance(value, dict) else None
    result: dict[str, tuple[str, ...]] = {}
    for name, listed in (entries or {}).items():
        if isinstance(listed, list):
            result[name] = tuple(
                str(each["version"]) for each in listed if isinstance(each, dict) and each.get("version")
            )
    return result


def _without(text: str, repository: Repository) -> str:
    return text.replace(repository.password, "******") if repository.password else text
