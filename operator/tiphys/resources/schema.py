"""CustomResourceDefinitions out of the structs, so that both always say the same.

``python -m tiphys.resources.schema crds/`` writes one file per kind; a test compares them with
what is committed. The schemas are structural: types, ``required`` lists (``Mandatory``), free
JSON (``Any``) and int-or-string; no defaults and hardly a constraint, because the reference has
none and what users wrote for it must pass (``applications.md`` 1, ``applicationset.md`` 1).

Descriptions are the docstrings of the classes and the string under an attribute. The schema of
ApplicationSet goes without: it repeats the Application's schema in every generator and would be
too large for anybody.
"""

import ast
import inspect
import sys
import types
from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec
import yaml

from tiphys.resources.application import GROUP, VERSION, Application
from tiphys.resources.applicationset import ApplicationSet
from tiphys.resources.meta import LabelSelector, ObjectMeta
from tiphys.resources.project import AppProject
from tiphys.resources.times import Timestamp

Schema = dict[str, Any]

_SCALARS: dict[Any, Schema] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer", "format": "int64"},
    Timestamp: {"type": "string", "format": "date-time"},
    Any: {"x-kubernetes-preserve-unknown-fields": True},
}

_INT_OR_STRING: Schema = {
    "anyOf": [{"type": "integer"}, {"type": "string"}],
    "x-kubernetes-int-or-string": True,
}


class CrdKind(msgspec.Struct, frozen=True):
    """What a CRD says beside its schema."""

    struct: type[msgspec.Struct]
    plural: str
    short_names: tuple[str, ...]
    columns: tuple[tuple[str, str, int], ...] = ()
    """Name, JSON path and priority of the printer columns."""
    subresources: dict[str, Any] | None = None
    described: bool = True

    @property
    def kind(self) -> str:
        return self.struct.__name__

    @property
    def file_name(self) -> str:
        return f"{self.kind.lower()}-crd.yaml"


KINDS = (
    CrdKind(
        Application,
        "applications",
        ("app", "apps"),
        columns=(
            ("Sync Status", ".status.sync.status", 0),
            ("Health Status", ".status.health.status", 0),
            ("Revision", ".status.sync.revision", 10),
            ("Project", ".spec.project", 10),
        ),
        subresources={},
    ),
    CrdKind(
        ApplicationSet,
        "applicationsets",
        ("appset", "appsets"),
        subresources={"status": {}},
        described=False,
    ),
    CrdKind(AppProject, "appprojects", ("appproj", "appprojs")),
)


def crd(kind: CrdKind) -> dict[str, Any]:
    """The CustomResourceDefinition of a kind."""
    version: dict[str, Any] = {"name": VERSION}
    if kind.columns:
        version["additionalPrinterColumns"] = [
            {"name": name, "type": "string", "jsonPath": path} | ({"priority": priority} if priority else {})
            for name, path, priority in kind.columns
        ]
    version["schema"] = {"openAPIV3Schema": root_schema(kind.struct, described=kind.described)}
    version |= {"served": True, "storage": True}
    if kind.subresources is not None:
        version["subresources"] = kind.subresources
    name = f"{kind.plural}.{GROUP}"
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": name,
            "labels": {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "argocd"},
        },
        "spec": {
            "group": GROUP,
            "names": {
                "kind": kind.kind,
                "listKind": f"{kind.kind}List",
                "plural": kind.plural,
                "shortNames": list(kind.short_names),
                "singular": kind.kind.lower(),
            },
            "scope": "Namespaced",
            "versions": [version],
        },
    }


def root_schema(struct: type[msgspec.Struct], *, described: bool = True) -> Schema:
    """The schema of a whole object."""
    schema = schema_of(struct, described=described)
    schema["properties"]["metadata"] = {"type": "object"}
    return schema


def schema_of(annotation: Any, *, described: bool = True) -> Schema:
    """The structural schema of a type of the structs.

    Raises:
        TypeError: the type has no meaning in a schema.
    """
    if annotation in _SCALARS:
        return dict(_SCALARS[annotation])
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        schema = schema_of(arguments[0], described=described)
        for meta in arguments[1:]:
            schema |= meta.extra_json_schema or {}
        return schema
    if origin in (Union, types.UnionType):
        given = [argument for argument in arguments if argument is not type(None)]
        if set(given) == {int, str}:
            return dict(_INT_OR_STRING)
        if len(given) == 1:
            return schema_of(given[0], described=described)
    if origin is tuple:
        return {"type": "array", "items": schema_of(arguments[0], described=described)}
    if origin is dict and arguments == (str, Any):
        return {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    if origin is Mapping:
        return {
            "type": "object",
            "additionalProperties": schema_of(arguments[1], described=described),
        }
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return _schema_of_struct(annotation, described)
    raise TypeError(f"no schema for {annotation!r}")


def _schema_of_struct(struct: type[msgspec.Struct], described: bool) -> Schema:
    if struct is ObjectMeta:
        return {"type": "object"}
    hints = get_type_hints(struct, include_extras=True)
    docs = attribute_docs(struct) if described else {}
    properties: dict[str, Schema] = {}
    required: list[str] = []
    for field in msgspec.structs.fields(struct):
        part = schema_of(hints[field.name], described=described)
        if field.name in docs:
            part.pop("description", None)
            part = {"description": docs[field.name]} | part
        properties[field.encode_name] = part
        if _is_mandatory(hints[field.name]):
            required.append(field.encode_name)
    schema: Schema = {"type": "object", "properties": dict(sorted(properties.items()))}
    if described:
        schema = {"description": one_line(struct.__doc__ or "")} | schema
    if required:
        schema["required"] = sorted(required)
    if struct is LabelSelector:
        _make_atomic(schema)
    return schema


def _make_atomic(selector: Schema) -> None:
    """Label selectors are replaced as a whole by server-side apply, as everywhere in Kubernetes."""
    selector["x-kubernetes-map-type"] = "atomic"
    expressions = selector["properties"]["matchExpressions"]
    expressions["x-kubernetes-list-type"] = "atomic"
    expressions["items"]["properties"]["values"]["x-kubernetes-list-type"] = "atomic"


def _is_mandatory(annotation: Any) -> bool:
    return get_origin(annotation) is Annotated and any(
        (meta.extra or {}).get("required") for meta in get_args(annotation)[1:]
    )


@cache
def attribute_docs(struct: type[msgspec.Struct]) -> Mapping[str, str]:
    """The string that stands under an attribute in the source."""
    body = _classes(struct.__module__)[struct.__name__].body
    docs: dict[str, str] = {}
    for statement, following in pairwise(body):
        if (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and isinstance(following, ast.Expr)
            and isinstance(following.value, ast.Constant)
            and isinstance(following.value.value, str)
        ):
            docs[statement.target.id] = one_line(following.value.value)
    return docs


@cache
def _classes(module: str) -> Mapping[str, ast.ClassDef]:
    """The classes of a module as they stand in its source."""
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


def one_line(text: str) -> str:
    return " ".join(text.replace("``", "").split())


def render(kind: CrdKind) -> str:
    """The YAML file of a kind."""
    text: str = yaml.dump(crd(kind), Dumper=_Plain, sort_keys=False, width=100, allow_unicode=True)
    return f"# Generated by `python -m tiphys.resources.schema crds/`; do not edit.\n{text}"


class _Plain(yaml.SafeDumper):
    """Writes repeated parts out instead of by anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def write(directory: Path) -> None:
    """Write one file per kind into ``directory``."""
    directory.mkdir(parents=True, exist_ok=True)
    for kind in KINDS:
        (directory / kind.file_name).write_text(render(kind), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1] if len(sys.argv) > 1 else "crds"))
