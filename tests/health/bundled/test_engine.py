"""The language of the tables: what it refuses, and which table a kind gets."""

import pytest

from tiphys.health import Health, assess
from tiphys.health.bundled import find_check, rules
from tiphys.health.bundled.engine import RuleError, compile_check, compile_rules
from tiphys.resources.identity import GroupKind

OBJ = {"kind": "X", "metadata": {"name": "x"}, "status": {"a": 1.0, "b": None, "conditions": [None]}}

REFUSED = [
    ("no default", ["when True -> H"]),
    ("no rules", []),
    ("unknown word", ["when reads(status) -> H", "-> P"]),
    ("unknown name", ["when state == 1 -> H", "-> P"]),
    ("no arrow", ["when True", "-> P"]),
    ("no status", ["-> Healthy?"]),
    ("bad pattern", ["find Ready==True -> H", "-> P"]),
    ("unknown kind of rule", ["if True -> H", "-> P"]),
    ("not Python", ["when a b -> H", "-> P"]),
    ("method", ["when status.a.upper() -> H", "-> P"]),
]


@pytest.mark.parametrize("lines", [r[1] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_bad_tables_are_refused(lines: list[str]) -> None:
    with pytest.raises(RuleError):
        compile_rules("x/X", lines)


MESSAGES = [
    ("-> H", Health("Healthy")),
    ("-> H {status.b}", Health("Healthy")),
    ("-> H {status.b|none}", Health("Healthy", "none")),
    ("-> H n={status.a}", Health("Healthy", "n=1")),
    ("-> H {status.a}", Health()),
    ('-> H " x\\n"', Health("Healthy", " x\n")),
    ("-> none", Health()),
    ('-> ("Degraded" if status.a == 1 else "Healthy") m', Health("Degraded", "m")),
]


@pytest.mark.parametrize(("line", "health"), MESSAGES, ids=[m[0] for m in MESSAGES])
def test_messages(line: str, health: Health) -> None:
    assert compile_check("x/X", [line])(OBJ) == health


FAILING = ["-> H b={status.b}", "-> ERR because", "-> H {num(status.b)}", "-> H {1 if status.b < 2 else 2}"]


@pytest.mark.parametrize("line", FAILING)
def test_what_cannot_be_read_is_unknown(line: str) -> None:
    health = compile_check("x/X", [line])(OBJ)
    assert health.status == "Unknown"
    assert health.error == health.message
    assert health.message.startswith("cannot assess x/X: ")


@pytest.mark.parametrize(
    "status", ["text", [], {"conditions": "x"}, {"conditions": [3]}, {"conditions": {}}, 0]
)
def test_odd_objects_never_raise(status: object) -> None:
    for kind in ("cert-manager.io/Issuer", "kafka.strimzi.io/Kafka", "argoproj.io/Rollout"):
        group, _, name = kind.partition("/")
        assert assess({"apiVersion": f"{group}/v1", "kind": name, "metadata": {}, "status": status})


def test_exact_kinds_win_over_patterns() -> None:  # 3.4
    assert rules(GroupKind("pkg.crossplane.io", "Provider")) != rules(GroupKind("pkg.crossplane.io", "Lock"))
    assert rules(GroupKind("ec2.aws.upbound.io", "VPC")) is not None
    assert rules(GroupKind("upbound.io", "VPC")) is None


def test_kinds_without_rules() -> None:  # 1.5
    assert find_check(GroupKind("argoproj.io", "Application")) is None
    assert find_check(GroupKind("", "ConfigMap")) is None


def test_pending_deletion_comes_first() -> None:  # 1.2 step 1
    meta = {"deletionTimestamp": "x"}
    manifest = {"apiVersion": "cert-manager.io/v1", "kind": "Issuer", "metadata": meta}
    assert assess(manifest) == Health("Progressing", "Pending deletion")
