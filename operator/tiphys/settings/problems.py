"""What is wrong with a setting: the key that says it and the cure, never a secret value."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import yaml

T = TypeVar("T")


class SettingError(ValueError):
    """A value that cannot be used. ``key`` names the setting, ``why`` says what is wrong."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__(f"{key}: {why}")
        self.key = key
        self.why = why


class Problems:
    """Collects problems while objects are read: key → sentence."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}

    def add(self, key: str, why: str) -> None:
        """One more; the first one of a key is kept."""
        self.found.setdefault(key, why)

    @contextmanager
    def catching(self, key: str) -> Iterator[None]:
        """A ``ValueError`` inside is a problem of this key (of its own key for ``SettingError``)."""
        try:
            yield
        except SettingError as error:
            self.add(error.key, error.why)
        except ValueError as error:
            self.add(key, str(error))

    def attempt(self, key: str, read: Callable[[], T], last_good: T) -> T:
        """What ``read`` gives, or ``last_good`` and a problem."""
        with self.catching(key):
            return read()
        return last_good


def load_yaml(text: str) -> Any:
    """The value of a YAML text; the message of a failure gives line and column, not the text.

    Raises:
        ValueError: no YAML, or more than one document.
    """
    try:
        return yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        where = error.problem_mark
        place = f" at line {where.line + 1}, column {where.column + 1}" if where else ""
        raise ValueError(f"not valid YAML{place}: {error.problem or error.context}") from None
    except (yaml.YAMLError, RecursionError, ValueError):
        raise ValueError("not valid YAML") from None


def mapping(value: Any) -> dict[str, Any]:
    """The value as a mapping; nothing is an empty one.

    Raises:
        ValueError: something else.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError(f"expected a map, not {type_name(value)}")
    return {str(key): item for key, item in value.items()}


def sequence(value: Any) -> list[Any]:
    """The value as a list; nothing is an empty one.

    Raises:
        ValueError: something else.
    """
    if value is None:
        return []
    if not isinstance(value, list):
        raise ValueError(f"expected a list, not {type_name(value)}")
    return value


def texts(value: Any) -> tuple[str, ...]:
    """A list of texts (numbers and booleans are written out).

    Raises:
        ValueError: something else.
    """
    found = []
    for item in sequence(value):
        if isinstance(item, dict | list) or item is None:
            raise ValueError(f"expected a list of texts, found {type_name(item)} in it")
        found.append(str(item))
    return tuple(found)


def type_name(value: Any) -> str:
    """How people call the type of a decoded value."""
    names = {
        dict: "a map",
        list: "a list",
        str: "text",
        bool: "a boolean",
        int: "a number",
        float: "a number",
    }
    return names.get(type(value), "nothing" if value is None else "something else")
