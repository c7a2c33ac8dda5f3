"""The functions that only ApplicationSets' templates know (applicationset.md 10, "Extra functions")."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import yaml
from text_unidecode import unidecode  # type: ignore[import-untyped]

from tiphys.templating.errors import GoError
from tiphys.templating.gotemplate.values import ANY, Function, from_json, type_of
from tiphys.templating.sprig.json_texts import to_json
from tiphys.templating.yaml_texts import to_yaml

_LONGEST_NAME = 253
_SLUG = 50
_WORDS = str.maketrans({"&": " and ", "@": " at ", '"': "", "'": "", "’": "", **dict.fromkeys("‒–—―", "-")})


def normalize(name: str) -> str:
    """A text as part of a Kubernetes name."""
    found = re.sub(r"[^-a-z0-9.]", "-", name.lower())
    return found[:_LONGEST_NAME].strip("-.")


def slug(text: str, longest: int = _SLUG, smart: bool = True) -> str:
    """A text as a slug; ``smart``: cut between words if there are some."""
    found = unidecode(text.strip().translate(_WORDS)).strip().lower()
    if not smart and len(found) >= longest:
        found = found[:longest]
    found = re.sub(r"[^a-z0-9-_]", "-", found)
    found = re.sub(r"-+", "-", found).strip("-_")
    if smart and len(found) > longest:
        cut = found.rfind("-", 0, longest + 1)
        found = found[:cut] if cut > 0 else found[:longest]
    return found


def slugify(*args: Any) -> str:
    """``slugify [max] [smart] text``."""
    *given, text = args or ("",)
    longest = given[0] if given else _SLUG
    smart = given[1] if len(given) > 1 else True
    for value, kind in ((text, str), (longest, int), (smart, bool)):
        if not isinstance(value, kind):
            name = {str: "string", int: "int", bool: "bool"}[kind]
            raise GoError(f"interface conversion: interface {{}} is {type_of(value)}, not {name}")
    return slug(normalize(text), longest, smart)


def functions(read_yaml: Callable[[str], Any]) -> Mapping[str, Function]:
    """Their table.

    Args:
        read_yaml: YAML as Go reads it; raises ValueError.
    """

    def read(text: str, kind: type, name: str) -> Any:
        try:
            found = read_yaml(text)
        except (ValueError, yaml.YAMLError) as error:
            raise GoError(f"error converting YAML to JSON: {error}") from None
        found = kind() if found is None else from_json(found)
        if not isinstance(found, kind):
            got = _JSON_NAMES.get(type(found), "object")
            raise GoError(
                "error unmarshaling JSON: while decoding JSON: "
                f"json: cannot unmarshal {got} into Go value of type {name}"
            )
        return found

    return {
        "fromYaml": Function(("string",), lambda text: read(text, dict, "map[string]interface {}")),
        "fromYamlArray": Function(("string",), lambda text: read(text, list, "[]interface {}")),
        "normalize": Function(("string",), normalize),
        "slugify": Function((ANY,), slugify, True),
        "toYaml": Function((ANY,), lambda value: to_yaml(to_json(value)).removesuffix("\n")),
    }


_JSON_NAMES = {str: "string", float: "number", bool: "bool", list: "array", dict: "object"}
