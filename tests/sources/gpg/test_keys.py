"""What gpg says of keys (sources.md 19)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sources.gpg.people import Person, people
from tiphys.sources.errors import SourceError
from tiphys.sources.gpg.keys import (
    MAX_BYTES,
    InvalidKey,
    describe_keys,
    key_id_of,
    parse_keys,
    separate_keys,
)


@pytest.fixture(scope="module")
def both() -> Iterator[list[Person]]:
    with people("Ada", "Bob") as made:
        yield made


async def test_a_key_is_described(both: list[Person]) -> None:
    [key] = await describe_keys(both[0].public)
    assert (key.key_id, key.fingerprint, key.owner, key.kind, key.armored) == (
        both[0].key_id,
        both[0].fingerprint,
        "Ada <ada@example.org>",
        "ed25519",
        "",
    )


async def test_rsa_says_its_size() -> None:
    with people("Eve", kind="rsa2048") as [eve]:
        [key] = await describe_keys(eve.public)
        assert key.kind == "rsa2048"


async def test_several_keys_come_apart(both: list[Person]) -> None:
    found = await separate_keys(both[0].public + both[1].public)
    assert sorted(key.key_id for key in found) == sorted(person.key_id for person in both)
    for key in found:
        [again] = await describe_keys(key.armored)
        assert again.key_id == key.key_id


async def test_a_secret_key_leaves_only_its_public_half(both: list[Person]) -> None:
    [key] = await separate_keys(both[0].secret)
    assert key.key_id == both[0].key_id
    assert "PUBLIC KEY BLOCK" in key.armored
    assert "PRIVATE" not in key.armored


@pytest.mark.parametrize("text", ["nothing", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n"])
async def test_no_key(text: str) -> None:
    for ask in (describe_keys, separate_keys):
        with pytest.raises(InvalidKey, match="no valid PGP public key found in input data"):
            await ask(text)


async def test_too_much(both: list[Person]) -> None:
    with pytest.raises(SourceError, match="larger than"):
        await separate_keys("x" * (MAX_BYTES + 1))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("4aee18f83afdeb23", "4AEE18F83AFDEB23"),
        (" 4AEE18F83AFDEB23 ", "4AEE18F83AFDEB23"),
        ("5DE3E0509C47EA3CF04A42D34AEE18F83AFDEB23", "4AEE18F83AFDEB23"),
        ("3AFDEB23", ""),
        ("4AEE18F83AFDEB2G", ""),
        ("../../etc/passwd", ""),
        ("", ""),
    ],
)
def test_names_of_keys(text: str, found: str) -> None:  # sources.md 19
    assert key_id_of(text) == found


def test_subkeys_are_no_keys() -> None:
    listing = (
        "pub:-:3072:1:AAAAAAAAAAAAAAAA:1:::-:::scSC::::::23::0:\n"
        "fpr:::::::::F1:\n"
        "uid:-::::1::X::J\\x3a \xc3\xb6 <j@x>::::::::::0:\n"
        "sub:-:3072:1:BBBBBBBBBBBBBBBB:1::::::e::::::23:\n"
        "fpr:::::::::F2:\n"
    )
    [key] = parse_keys(listing)
    assert (key.key_id, key.fingerprint, key.kind) == ("AAAAAAAAAAAAAAAA", "F1", "rsa3072")
    assert key.owner.startswith("J: ")
