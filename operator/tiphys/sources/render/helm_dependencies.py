"""Building a chart's missing dependencies: ``helm repo add``, ``registry login``, ``dependency build``.

``sources.md`` 9.5. Everything happens in a private folder with a private HOME, so credentials
given to Helm vanish with it.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from tiphys.settings.repositories import Repository
from tiphys.sources.errors import SourceError
from tiphys.sources.outgoing import proxy_environment
from tiphys.sources.render.files import digest
from tiphys.sources.render.helm_charts import Dependency
from tiphys.sources.render.request import RenderRequest
from tiphys.sources.render.tools import Tools

_UNREACHABLE = ("is not a valid chart repository or cannot be reached", "could not download")
_SECRET_FLAGS = re.compile(r"(--(?:username|password)) \S+")


def redacted(argv: Sequence[str]) -> str:
    """The command line for people."""
    return _SECRET_FLAGS.sub(r"\1 ******", " ".join(["helm", *argv[1:]]))


async def build_dependencies(
    tools: Tools,
    chart: Path,
    home: Path,
    dependencies: Sequence[Dependency],
    repositories: Sequence[Repository],
    request: RenderRequest,
    hide: Callable[[str], str],
) -> None:
    """Fills ``charts/`` of the chart. Raises SourceError."""
    plain_http = insecure = False
    tls: list[str] = []
    for wanted in dict.fromkeys(each.repository for each in dependencies):
        known = find_repository(wanted, repositories, request.templates)
        plain_http = plain_http or (known is not None and known.insecure_oci_force_http)
        insecure = insecure or (known is not None and known.insecure)
        if wanted.startswith(("@", "alias:")):
            if known is None:
                continue  # helm names the missing repository
            name = wanted.removeprefix("@").removeprefix("alias:")
            await _add(tools, chart, home, name, known.url, known, request, hide)
        elif wanted.startswith("https://"):
            await _add(tools, chart, home, wanted.replace("/", "-"), wanted, known, request, hide)
        elif wanted.startswith("oci://"):
            # Unlike repositories with a name, registries keep no certificates: those of the first count.
            tls = tls or tls_flags(known, wanted, tools, home)
            if known is not None and known.username and known.password:
                await _login(tools, chart, home, wanted, known, hide)
    argv = [tools.helm, "dependency", "build"]
    if insecure:
        argv.append("--insecure-skip-tls-verify")
    if plain_http:
        argv.append("--plain-http")
    argv += tls
    done = await tools.run(argv, cwd=chart, home=home, environment=proxy_environment(request.repository))
    if done.code == 0:
        return
    refused = refused_urls(dependencies, request)
    if refused and any(text in done.errors for text in _UNREACHABLE):
        raise SourceError(
            "PermissionDenied",
            f"helm repos {', '.join(refused)} are not permitted in project '{request.project}'",
        )
    raise SourceError(
        "Unknown",
        hide(
            f"error building helm chart dependencies: failed running helm: `{redacted(argv)}` "
            f"failed exit status {done.code}: {done.errors.strip()}"
        ),
    )


def find_repository(
    url: str, repositories: Sequence[Repository], templates: Sequence[Repository] = ()
) -> Repository | None:
    """Configured repository of equal URL or name (no normalisation), else the URL with the
    credentials of a template that it begins with, else an OCI repository around or below it."""
    name = url.removeprefix("@").removeprefix("alias:")
    bare = url.removeprefix("oci://")
    for each in repositories:
        if each.url.removeprefix("oci://") == bare or (each.name and each.name == name):
            return each
    for each in templates:
        if (url if each.type == "oci" else bare).startswith(each.url):
            return Repository(url=url, type="helm").inheriting(each)
    for each in repositories:
        if url.startswith("oci://") and each.enable_oci and each.url:
            other = each.url.removeprefix("oci://")
            if bare.startswith(other) or other.startswith(bare):
                return each
    return None


def refused_urls(dependencies: Sequence[Dependency], request: RenderRequest) -> list[str]:
    """Dependency URLs that the project does not permit."""
    permits = request.permits_source
    if permits is None:
        return []
    urls = dict.fromkeys(each.repository for each in dependencies if "://" in each.repository)
    return [url for url in urls if not url.startswith("file://") and not permits(url)]


def login_flags(repository: Repository, *, password_on_stdin: bool = False) -> list[str]:
    """User and password flags."""
    flags: list[str] = []
    if repository.username:
        flags += ["--username", repository.username]
    if repository.password:
        flags += ["--password-stdin"] if password_on_stdin else ["--password", repository.password]
    return flags


def tls_flags(repository: Repository | None, url: str, tools: Tools, home: Path) -> list[str]:
    """Flags for the authority of the URL's host and the repository's client certificate; the files
    are written below ``home``."""
    flags: list[str] = []
    certificate = repository.tls_client_cert_data if repository is not None else ""
    key = repository.tls_client_cert_key if repository is not None else ""
    for flag, text, name in (
        ("--ca-file", tools.roots_for(url), "ca.crt"),
        ("--cert-file", certificate, "client.crt"),
        ("--key-file", key, "client.key"),
    ):
        if text:
            # Helm notes the path beside the repository's name and reads the file later.
            path = home / f"{digest(url)[:16]}-{name}"
            path.touch(mode=0o600)
            path.write_text(text)
            flags += [flag, str(path)]
    return flags


async def _add(
    tools: Tools,
    chart: Path,
    home: Path,
    name: str,
    url: str,
    known: Repository | None,
    request: RenderRequest,
    hide: Callable[[str], str],
) -> None:
    argv = [tools.helm, "repo", "add"]
    if known is not None:
        argv += login_flags(known)
        if known.insecure:
            argv.append("--insecure-skip-tls-verify")
    argv += tls_flags(known, url, tools, home)
    if request.source.helm is not None and request.source.helm.pass_credentials:
        argv.append("--pass-credentials")
    argv += [name, url]
    done = await tools.run(argv, cwd=chart, home=home, environment=proxy_environment(known))
    if done.code != 0:
        refused = request.permits_source is not None and not request.permits_source(url)
        if refused and any(text in done.errors for text in _UNREACHABLE):
            raise SourceError(
                "PermissionDenied", f"helm repos {url} are not permitted in project '{request.project}'"
            )
        raise SourceError(
            "Unknown",
            hide(
                f"error adding helm repository: failed running helm: `{redacted(argv)}` "
                f"failed exit status {done.code}: {done.errors.strip()}"
            ),
        )


async def _login(
    tools: Tools,
    chart: Path,
    home: Path,
    url: str,
    known: Repository,
    hide: Callable[[str], str],
) -> None:
    host = url.removeprefix("oci://").partition("/")[0]
    argv = [tools.helm, "registry", "login", host, *login_flags(known, password_on_stdin=True)]
    argv += tls_flags(known, url, tools, home)
    if known.insecure_oci_force_http:
        argv.append("--plain-http")
    if known.insecure:
        argv.append("--insecure")
    done = await tools.run(
        argv,
        cwd=chart,
        home=home,
        environment=proxy_environment(known),
        stdin=known.password.encode(),
    )
    if done.code != 0:
        text = (
            f"failed running helm: `{redacted(argv)}` failed exit status {done.code}: {done.errors.strip()}"
        )
        raise SourceError("Unknown", hide(text.replace(known.password, "******")))
