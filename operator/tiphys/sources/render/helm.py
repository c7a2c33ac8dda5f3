"""Helm: the real ``helm template``, on the chart and value files it can read and nothing else.

``sources.md`` 9. Planning resolves value files, reads what the chart depends on and puts every
option into a command line without paths of ours; the work materialises the closures (shared,
read-only), builds missing dependencies in a private copy, runs Helm and parses what it prints.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
import orjson

from tiphys.resources.source import ApplicationSourceHelm
from tiphys.settings.repositories import Repository
from tiphys.sources.errors import SourceError
from tiphys.sources.outgoing import proxy_environment
from tiphys.sources.render.environment import substitute
from tiphys.sources.render.files import Child, Entry, Files, digest
from tiphys.sources.render.helm_charts import Chart, read_chart
from tiphys.sources.render.helm_dependencies import build_dependencies
from tiphys.sources.render.helm_values import ValueFile, ValueFiles
from tiphys.sources.render.objects import objects_of
from tiphys.sources.render.request import Output, Plan, RenderRequest
from tiphys.sources.render.tools import NO_NETWORK, Tools, copy_tree, hide_paths

_MISSING_DEPENDENCIES = (
    "found in requirements.yaml, but missing in charts",
    "found in Chart.yaml, but missing in charts/ directory",
)
_VERSION = re.compile(r"v?(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:[-+].*)?")
_EXTRA = "<temp file with values from source.helm.values/valuesObject>"


class _Template(msgspec.Struct, frozen=True):
    """Everything ``run`` needs. ``flags`` and ``last_flags`` stand before and after the values."""

    tools: Tools
    roots: Mapping[str, Files]
    directory: Entry
    chart: Chart
    flags: tuple[str, ...]
    files: tuple[tuple[str, ValueFile], ...]
    """Parameter name and file of each ``--set-file``."""
    values: tuple[ValueFile, ...]
    extra_values: str
    last_flags: tuple[str, ...]
    repositories: tuple[Repository, ...]
    request: RenderRequest

    @property
    def uses_network(self) -> bool:
        """Only value files at URLs need it."""
        return any(file.url for file in (*self.values, *(file for _, file in self.files)))


async def plan_helm(
    tools: Tools,
    roots: Mapping[str, Files],
    directory: Entry,
    children: Mapping[str, Child],
    request: RenderRequest,
    options: ApplicationSourceHelm,
    environment: Mapping[str, str],
) -> Plan:
    """``roots``: ``""`` → the chart's repository, ref name → that source's. Raises SourceError."""
    if options.version not in ("", "v3", "v4"):
        raise SourceError("Unknown", f"helm version '{options.version}' is not supported")
    resolver = ValueFiles(roots, directory, environment, request.settings.helm_value_file_schemes)
    values = await resolver.resolve(options.value_files, ignore_missing=options.ignore_missing_value_files)
    named = {each.name: each.path for each in options.file_parameters}
    files = tuple([(name, await resolver.one(path)) for name, path in named.items()])
    chart = await read_chart(roots[""], directory, children)
    flags = _flags(request, options, environment)
    last_flags = _last_flags(request, options)
    extra = _extra_values(options)
    template = _Template(
        tools,
        roots,
        directory,
        chart,
        flags,
        files,
        values,
        extra,
        last_flags,
        request.repositories,
        request,
    )
    parts = [tools.helm, directory.path, *flags, digest(*last_flags), extra]
    for path in sorted(chart.directories):
        parts += (path, chart.directories[path])
    for path in sorted(chart.links):
        parts += (path, chart.links[path])
    for name, each in (*files, *(("", each) for each in values)):
        parts += (name, each.url, each.ref, each.path, each.oid)
        if each.url:
            parts.append(request.revision)  # its content is not ours to know
    return Plan("Helm", tuple(parts), lambda: _run(template), uses_revision=template.uses_network)


def release_name(request: RenderRequest, options: ApplicationSourceHelm) -> str:
    """``releaseName``, else the application's name without its namespace."""
    return options.release_name or request.app_name.rpartition("_")[2]


def _flags(
    request: RenderRequest, options: ApplicationSourceHelm, environment: Mapping[str, str]
) -> tuple[str, ...]:
    flags = ["--name-template", release_name(request, options)]
    if namespace := options.namespace or request.destination_namespace:
        flags += ["--namespace", namespace]
    if version := options.kube_version or request.kube_version:
        flags += ["--kube-version", kube_version(version)]
    plain: dict[str, str] = {}
    strings: dict[str, str] = {}
    for each in options.parameters:
        # The last of a name wins; both kinds of flag may name it, as in the reference.
        (strings if each.force_string else plain)[each.name] = escaped(substitute(each.value, environment))
    for flag, pairs in (("--set", plain), ("--set-string", strings)):
        for name, value in pairs.items():
            flags += [flag, f"{name}={value}"]
    return tuple(flags)


def _last_flags(request: RenderRequest, options: ApplicationSourceHelm) -> tuple[str, ...]:
    flags: list[str] = []
    for version in sorted(options.api_versions or request.api_versions):
        flags += ["--api-versions", version]
    if not options.skip_crds:
        flags.append("--include-crds")
    if options.skip_schema_validation:
        flags.append("--skip-schema-validation")
    if options.skip_tests:
        flags.append("--skip-tests")
    return tuple(flags)


def _extra_values(options: ApplicationSourceHelm) -> str:
    """``valuesObject`` replaces ``values``, even when empty."""
    if options.values_object is not None:
        return orjson.dumps(options.values_object).decode()  # JSON is YAML, and unambiguous
    return options.values


def kube_version(text: str) -> str:
    """``v1.30.3-gke.1`` → ``1.30.3``. Raises SourceError."""
    match = _VERSION.fullmatch(text.strip())
    if match is None:
        raise SourceError("Unknown", f"could not parse kubernetes version {text}: Invalid Semantic Version")
    return ".".join(part or "0" for part in match.groups())


def escaped(value: str) -> str:
    """Commas become ``\\,`` unless escaped already; ``{…}`` is passed untouched."""
    if value.startswith("{") and value.endswith("}"):
        return value
    return re.sub(r"(?<!\\),", r"\,", value)


# --- the work ------------------------------------------------------------------------------------


async def _run(template: _Template) -> Output:
    async with AsyncExitStack() as stack:
        folder = await stack.enter_async_context(template.tools.folder())
        checkouts = await _materialize(template, stack)
        root = checkouts[""]
        if template.chart.missing:
            root = checkouts[""] = await _built(template, root, folder)
        network = proxy_environment(template.request.repository) if template.uses_network else NO_NETWORK
        argv = _command(template, checkouts, folder)
        done = await template.tools.run(
            argv, cwd=root / template.directory.path, home=folder / "home", environment=network
        )
        unbuilt = done.code != 0 and not template.chart.missing
        if unbuilt and any(text in done.errors for text in _MISSING_DEPENDENCIES):
            root = checkouts[""] = await _built(template, root, folder)
            argv = _command(template, checkouts, folder)
            done = await template.tools.run(
                argv, cwd=root / template.directory.path, home=folder / "home", environment=network
            )
        shown = _hide(" ".join(["helm", *argv[1:]]), folder, checkouts)
        if done.code != 0:
            shown = re.sub(r"(?:--api-versions \S+ )+", "<api versions removed> ", shown)
            errors = _hide(done.errors.strip(), folder, checkouts)
            raise SourceError(
                "Unknown",
                "failed to execute helm template command: failed running helm: "
                f"`{shown}` failed exit status {done.code}: {errors}",
            )
        return Output(await objects_of(done.output, "helm"), (shown,))


async def _materialize(template: _Template, stack: AsyncExitStack) -> dict[str, Path]:
    paths: dict[str, set[str]] = {"": set(template.chart.directories) | set(template.chart.links)}
    for each in (*template.values, *(file for _, file in template.files)):
        if not each.url:
            paths.setdefault(each.ref, set()).add(each.path)
    return {
        ref: await stack.enter_async_context(template.roots[ref].materialize(sorted(wanted)))
        for ref, wanted in paths.items()
    }


async def _built(template: _Template, shared: Path, folder: Path) -> Path:
    """A private copy of the checkout with the chart's dependencies built."""
    root = folder / "files"
    await copy_tree(shared, root)
    await build_dependencies(
        template.tools,
        root / template.directory.path,
        folder / "home",
        template.chart.dependencies,
        template.repositories,
        template.request,
        lambda text: _hide(text, folder, {"": shared}),
    )
    return root


def _command(template: _Template, checkouts: Mapping[str, Path], folder: Path) -> list[str]:
    def place(file: ValueFile) -> str:
        return file.url or str(checkouts[file.ref] / file.path)

    argv = [template.tools.helm, "template", ".", *template.flags]
    for name, file in template.files:
        argv += ["--set-file", f"{name}={escaped(place(file))}"]
    for file in template.values:
        argv += ["--values", place(file)]
    if template.extra_values:
        extra = folder / "values.yaml"
        extra.write_text(template.extra_values)
        argv += ["--values", str(extra)]
    return [*argv, *template.last_flags]


def _hide(text: str, folder: Path, checkouts: Mapping[str, Path]) -> str:
    text = text.replace(str(folder / "values.yaml"), _EXTRA).replace(f"{folder / 'files'}", ".")
    others: Sequence[Path] = [path for ref, path in checkouts.items() if ref]
    return hide_paths(text, checkouts[""], [*others, folder])
