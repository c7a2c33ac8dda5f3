"""``numbers.yaml`` as values: packages, their messages, the numbers and marks of their fields."""

import re
from collections.abc import Iterator
from importlib.resources import files

import msgspec
import yaml

_FIELD = re.compile(
    r"(?P<name>\w+)(?:\^(?P<lifted>\w+))?(?:>(?P<json>[\w.]+))?(?::(?P<type>[\w.]+))?"
    r"(?P<mark>[!?+]?)(?:@(?P<oneof>\w+))?=(?P<number>\d+)"
)


class FieldEntry(msgspec.Struct, frozen=True):
    """One field.

    Attributes:
        lifted: message whose fields are fields of the same struct, or ``""``.
        type: what to use in place of the annotation's usual type, or ``""``.
        mark: ``!``, ``?``, ``+`` or ``""``.
    """

    name: str
    json: str
    number: int
    lifted: str = ""
    type: str = ""
    mark: str = ""
    oneof: str = ""


class MessageEntry(msgspec.Struct, frozen=True):
    """One message and the name of the struct that defines it."""

    package: str
    name: str
    struct: str
    fields: tuple[FieldEntry, ...]

    @property
    def full_name(self) -> str:
        """``package.name``."""
        return f"{self.package}.{self.name}"


class PackageEntry(msgspec.Struct, frozen=True):
    """One package; ``syntax`` is ``proto2`` or ``proto3``."""

    name: str
    syntax: str
    messages: tuple[MessageEntry, ...]


def read_table() -> tuple[PackageEntry, ...]:
    """The whole table, in the order of the file."""
    text = files(__package__).joinpath("numbers.yaml").read_text("utf-8")
    return tuple(_packages(yaml.load(text, Loader=yaml.CSafeLoader)))


def _packages(content: dict[str, dict[str, str | None]]) -> Iterator[PackageEntry]:
    for heading, messages in content.items():
        package, syntax = heading.split(" ")
        yield PackageEntry(
            package,
            syntax,
            tuple(_message(package, title, fields or "") for title, fields in messages.items()),
        )


def _message(package: str, title: str, fields: str) -> MessageEntry:
    name, _, struct = title.partition("/")
    return MessageEntry(package, name, struct or name, tuple(map(_field, fields.split())))


def _field(text: str) -> FieldEntry:
    found = _FIELD.fullmatch(text)
    if found is None:
        raise ValueError(f"numbers.yaml: {text!r} is no field")
    parts = found.groupdict(default="")
    return FieldEntry(
        name=parts["name"],
        json=parts["json"] or parts["name"],
        number=int(parts["number"]),
        lifted=parts["lifted"],
        type=parts["type"],
        mark=parts["mark"],
        oneof=parts["oneof"],
    )
