"""Parameters of the roles: flags, environment variables and ``argocd-cmd-params-cm``.

``Params`` is the one table (operations.md 1.7 and 1.8, applications.md 26, sources.md 17.3),
written down role by role in ``params_*.py``: a line gives a field's type, where it comes from
(``rows.py``) and its default. ``Params.load`` is the only interpreter. A flag beats the
environment, that beats the ConfigMap, that beats the default. Text that cannot be read costs
nothing but a problem that names the place: the next source counts.

Two roles may share a flag (``--metrics-port``). Where several roles run in one process such a
flag says too little, and the role is put in front: ``--server-metrics-port``.
Durations are seconds (float), sizes are bytes.
"""

from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, get_args, get_type_hints

from tiphys.settings import values
from tiphys.settings.params_others import OtherParams
from tiphys.settings.rows import (
    ROLES,
    Row,
)
from tiphys.settings.secrecy import HIDDEN, redacted
from tiphys.settings.values import duration, integer, words


class ParamProblem(NamedTuple):
    """A text that could not be read: where it stands, and why (never a secret)."""

    place: str
    why: str

    def __str__(self) -> str:
        return f"{self.place}: {self.why}"


class Params(OtherParams, frozen=True, kw_only=True):
    """Every parameter of every role."""

    def __repr__(self) -> str:
        return redacted(self, frozenset(name for name, row in rows().items() if row.secret))

    @classmethod
    def load(
        cls,
        environ: Mapping[str, str],
        cm_data: Mapping[str, str],
        flags: Mapping[str, str] | None = None,
        roles: Collection[str] = ROLES,
    ) -> tuple["Params", list[ParamProblem]]:
        """Parameters from the data of ``argocd-cmd-params-cm``, the environment and the flags.

        ``flags`` maps ``--name`` to its text; ``roles`` are those that run in this process and
        decide which meaning an ambiguous flag has. Unknown flags are problems, unknown variables
        and keys are nobody's business.
        """
        return _load(cls, environ, cm_data, flags or {}, roles)

    @property
    def k8s_events_enabled(self) -> bool:
        return "none" not in self.enable_k8s_event

    def k8s_event_enabled(self, reason: str) -> bool:
        """Whether Events with this reason are posted (operations.md 7.2)."""
        return self.k8s_events_enabled and ("all" in self.enable_k8s_event or reason in self.enable_k8s_event)


def _parser_of(hint: Any) -> values.Parser:
    kinds = get_args(hint) or (hint,)
    if bool in kinds:
        return values.lenient_bool
    if int in kinds:
        return integer()
    if float in kinds:
        return duration
    if str in kinds and kinds[-1] is Ellipsis:
        return words(",")
    return values.text_value


@lru_cache(maxsize=1)
def _table() -> dict[str, tuple[Row, values.Parser]]:
    table: dict[str, tuple[Row, values.Parser]] = {}
    for name, hint in get_type_hints(Params, include_extras=True).items():
        inner, row = get_args(hint)
        table[name] = (row, row.parse or _parser_of(inner))
    return table


def rows() -> dict[str, Row]:
    """Field name → its row, in the order of the table."""
    return {name: row for name, (row, _) in _table().items()}


def flag_names(roles: Collection[str] = ROLES) -> frozenset[str]:
    """Every flag that :meth:`Params.load` understands when these roles run."""
    return frozenset(_flag_owners(frozenset(roles)))


@lru_cache(maxsize=32)
def _flag_owners(roles: frozenset[str]) -> dict[str, tuple[str, ...]]:
    """Flag → fields it sets; more than one field means that it is ambiguous."""
    owners: dict[str, tuple[str, ...]] = {}
    for name, row in rows().items():
        mine = [role for role in row.roles if role in roles]
        for flag in row.flags:
            for spelled in (flag, *(f"--{role}-{flag[2:]}" for role in mine)) if mine else ():
                owners[spelled] = (*owners.get(spelled, ()), name)
    return owners


def _load(
    cls: type[Params],
    environ: Mapping[str, str],
    cm_data: Mapping[str, str],
    flags: Mapping[str, str],
    roles: Collection[str],
) -> tuple[Params, list[ParamProblem]]:
    problems: list[ParamProblem] = []
    by_field: dict[str, list[tuple[str, str]]] = {}
    owners = _flag_owners(frozenset(roles))
    for flag, text in flags.items():
        fields = owners.get(flag, ())
        if not fields:
            problems.append(ParamProblem(f"flag {flag}", "no role that runs here has it"))
        elif len(fields) > 1 and not _same_for_all(flag, fields):
            spelled = ", ".join(_unambiguous(flag, field, roles) for field in fields)
            problems.append(ParamProblem(f"flag {flag}", f"several roles have it, say one of {spelled}"))
        else:
            for field in fields:
                by_field.setdefault(field, []).append((flag, text))
    found: dict[str, Any] = {}
    for name, (row, parse) in _table().items():
        for place, text, reader in _sources(row, parse, by_field.get(name, []), environ, cm_data):
            try:
                found[name] = reader(text)
            except ValueError as error:
                problems.append(ParamProblem(place, HIDDEN if row.secret else str(error)))
                continue
            break
    return cls(**found), problems


def _sources(
    row: Row,
    parse: values.Parser,
    flags: list[tuple[str, str]],
    environ: Mapping[str, str],
    cm_data: Mapping[str, str],
) -> Iterator[tuple[str, str, values.Parser]]:
    """Where a parameter is set, strongest first: (place, text, reader). Empty variables and keys
    do not count, because a Deployment passes an absent optional key as nothing."""
    for flag, text in flags:
        yield f"flag {flag}", text, row.parse_flag or parse
    for name in row.env:
        if text := environ.get(name, ""):
            yield f"environment {name}", text, parse
    for key in row.keys:
        if text := cm_data.get(key, ""):
            yield f"argocd-cmd-params-cm {key}", text, parse


_SHARED_MEANING = frozenset({"--loglevel", "--logformat"})
"""Flags that several roles have and that mean the same for all of them."""


def _same_for_all(flag: str, fields: tuple[str, ...]) -> bool:
    return flag in _SHARED_MEANING


def _unambiguous(flag: str, field: str, roles: Collection[str]) -> str:
    role = next(role for role in rows()[field].roles if role in roles)
    return f"--{role}-{flag[2:]}"
