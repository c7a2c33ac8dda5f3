"""What an API server said about a Secret holds field names, never values."""

import pytest

from tiphys.compare.masking import without_values
from tiphys.resources.identity import ResourceKey

NUMBER = (
    "errors:\n"
    "  .data.a: expected string, got &value.valueUnstructured{Value:1}\n"
    "  .data.b: expected string, got &{[x\n y]}"
)
TOLD = "errors:\n  .data.a: expected string, got another type\n  .data.b: expected string, got another type"
DUMP = (
    ' "" is invalid: patch: Invalid value: "map[data:map[a:pass]\\"word metadata:map[annotations:map['
    'x:{\\"data\\":{\\"a\\":1}}\\n]]]": cannot restore slice from int64'
)
NO_DUMP = ' "" is invalid: patch: Invalid value: "": cannot restore slice from int64'
PLAIN = 'Secret "s" is invalid: data[tls.crt]: Required value'


@pytest.mark.parametrize(
    ("kind", "said", "told"),
    [
        (
            "Secret",
            NUMBER,
            TOLD,
        ),
        ("Secret", PLAIN, PLAIN),
        ("Secret", DUMP, NO_DUMP),
        ("ConfigMap", DUMP, NO_DUMP),
        ("Secret", "bad: map[a:pass]word]: no", "bad: : no"),
        ("ConfigMap", NUMBER, NUMBER),
    ],
)
def test_values_of_secrets_are_left_out(kind: str, said: str, told: str) -> None:
    assert without_values(ResourceKey("", kind, "ns", "s"), said) == told
