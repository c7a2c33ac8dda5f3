"""Reading fields of an object the way a typed Go decoder does.

The built-in checks read a handful of fields. The reference decodes the whole object into its Go
type first, so a field of the wrong type fails the assessment instead of being misread. These
readers give zero values for what is absent and raise :class:`FieldError`, naming the path, for
what has the wrong type.
"""

from typing import Any


class FieldError(Exception):
    """A field has the wrong JSON type; ``path`` says which, ``wanted`` what it should be."""

    def __init__(self, path: str, wanted: str, value: Any) -> None:
        super().__init__(f"{path}: expected {wanted}, not {_json_type(value)}")
        self.path = path
        self.wanted = wanted


def _json_type(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object" if isinstance(value, dict) else "null"


class Fields:
    """One JSON object and where it stands."""

    __slots__ = ("_path", "_value")

    def __init__(self, value: dict[str, Any], path: str = "") -> None:
        self._value = value
        self._path = path

    def _at(self, name: str) -> str:
        return f"{self._path}.{name}" if self._path else name

    def _get(self, name: str, kind: type | tuple[type, ...], wanted: str) -> Any:
        value = self._value.get(name)
        if value is None:
            return None
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise FieldError(self._at(name), wanted, value)
        return value

    def has(self, name: str) -> bool:
        """Whether the field is there and not null."""
        return self._value.get(name) is not None

    def text(self, name: str) -> str:
        return self._get(name, str, "string") or ""

    def flag(self, name: str) -> bool:
        return bool(self._get(name, bool, "boolean"))

    def optional_number(self, name: str) -> int | None:
        """A whole number, or ``None`` when absent."""
        value = self._get(name, (int, float), "integer")
        if value is None:
            return None
        if isinstance(value, float) and not value.is_integer():
            raise FieldError(self._at(name), "integer", value)
        return int(value)

    def number(self, name: str) -> int:
        return self.optional_number(name) or 0

    def inner(self, name: str) -> "Fields":
        """The object in a field; an empty one when absent."""
        return Fields(self._get(name, dict, "object") or {}, self._at(name))

    def items(self, name: str) -> list["Fields"]:
        """The objects in a list field (null entries read as empty objects)."""
        found = []
        for index, value in enumerate(self._get(name, list, "array") or []):
            path = f"{self._at(name)}[{index}]"
            if value is not None and not isinstance(value, dict):
                raise FieldError(path, "object", value)
            found.append(Fields(value or {}, path))
        return found

    def length(self, name: str) -> int:
        """How many entries a list field has."""
        return len(self._get(name, list, "array") or [])

    def texts(self, name: str) -> dict[str, str]:
        """A map of texts, such as annotations."""
        value = self._get(name, dict, "object") or {}
        for key, item in value.items():
            if item is not None and not isinstance(item, str):
                raise FieldError(f"{self._at(name)}[{key}]", "string", item)
        return {key: item or "" for key, item in value.items()}
