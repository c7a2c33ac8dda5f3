"""YAML as Go reads it (sources.md 5), line by line of the sheet's table."""

import json
import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tiphys.sources.yamlgo import YamlError, load_documents, load_json, load_value

SCALARS: list[tuple[str, object]] = [
    *((text, True) for text in ("y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE")),
    *((text, False) for text in ("n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "FALSE")),
    *((text, None) for text in ("~", "null", "Null", "NULL", "")),
    ("yES", "yES"),
    ("0644", 420),
    ("0x1F", 31),
    ("0b101", 5),
    ("1_000", 1000),
    ("0o644", 420),
    ("-0o17", -15),
    ("0X1f", 31),
    ("0B11", 3),
    ("08", 8),
    ("09", 9),
    ("0128", 128),
    ("1e3", 1000),
    ("1E3", 1000),
    ("1e+3", 1000),
    ("1e-3", 0.001),
    ("1.5e3", 1500),
    ("1.e3", 1000),
    (".5e3", 500),
    ("12e03", 12000),
    ("5e12", 5_000_000_000_000),
    ("0e0", 0),
    ("-.5", -0.5),
    ("+.5", 0.5),
    ("1.", 1),
    ("1.0", 1),
    ("-1.0", -1),
    ("1e21", 1e21),
    ("1e400", "1e400"),
    ("123e4567", "123e4567"),
    ("1:30", "1:30"),
    ("22:22", "22:22"),
    ("10:00", "10:00"),
    ("2001-01-01", "2001-01-01"),
    ("2001-12-14t21:59:43.10-05:00", "2001-12-14t21:59:43.10-05:00"),
    ("2001-13-01", "2001-13-01"),
    ("=", "="),
    ("<<", "<<"),
    ("9223372036854775807", 9223372036854775807),
    ("-9223372036854775808", -9223372036854775808),
    ("9223372036854775808", 9223372036854775808.0),
    ("18446744073709551616", 18446744073709551616.0),
    ("1.2.3", "1.2.3"),
    ("+", "+"),
    (".", "."),
    ("0x", "0x"),
    ("1__0", 10),
    ("'1'", "1"),
    ('"yes"', "yes"),
    ("!foo v", "v"),
    ("!foo 5", "5"),
    ("!!binary aGVsbG8=", "hello"),
    ("!!float 3", 3),
    ("!!str 5", "5"),
    ("!!int '5'", 5),
    ("!!set {a, b}", {"a": None, "b": None}),
]


@pytest.mark.parametrize(("text", "value"), SCALARS, ids=[f"5-{text or 'empty'}" for text, _ in SCALARS])
def test_scalars(text: str, value: object) -> None:
    found = load_value(f"a: {text}\n".encode(), "f")["a"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("true", "true"),
        ("1", "1"),
        ("1.5", "1.5"),
        ("0x10", "16"),
        ("y", "true"),
        ("2001-01-01", "2001-01-01"),
    ],
)
def test_keys_become_text(text: str, key: str) -> None:
    assert load_value(f"{text}: v".encode(), "f") == {key: "v"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("a: 1\na: 2", {"a": 2}, id="5-duplicate-key"),
        pytest.param(
            "m: {a: 0, <<: &x {a: 1, b: 2}, b: 5}", {"m": {"a": 1, "b": 5}}, id="5-merge-at-position"
        ),
        pytest.param("m:\n  <<: [{a: 1}, {a: 2, b: 2}]", {"m": {"a": 1, "b": 2}}, id="5-merge-list"),
        pytest.param("a: 1\n'<<': {b: 2}", {"a": 1, "<<": {"b": 2}}, id="5-quoted-merge"),
        pytest.param("a: &x 1\nb: &x 2\nc: *x", {"a": 1, "b": 2, "c": 2}, id="5-duplicate-anchor"),
        pytest.param("a: 1\n...\nb: 2", {"a": 1}, id="5-rest-after-dots-is-dropped"),
        pytest.param("a: '\\/'", {"a": "\\/"}, id="5-slash-in-single-quotes"),
        pytest.param('a: "\\\\/"', {"a": "\\/"}, id="5-escaped-backslash-then-slash"),
        pytest.param("\ufeffa: 1", {"a": 1}, id="4-byte-order-mark"),
        pytest.param("a: |\n  x\n  y\nb: >-\n  x\n  y\n", {"a": "x\ny\n", "b": "x y"}, id="blocks"),
    ],
)
def test_structure(text: str, value: object) -> None:
    assert load_value(text.encode(), "f") == value


def test_halves_of_surrogate_pairs_in_json() -> None:  # 5
    text = b'{"kind": "A", "a": "\\ud800 \\ud83d\\ude00", "b": {"\\udfff": ["\\udc00x"]}}'
    expected = {"kind": "A", "a": "\ufffd \U0001f600", "b": {"\ufffd": ["\ufffdx"]}}
    assert load_documents(text, "f") == [expected]


def test_utf_16() -> None:  # 4
    assert load_documents("kind: Ä".encode("utf-16"), "f") == [{"kind": "Ä"}]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("a: .inf", "json: unsupported value: +Inf", id="5-inf"),
        pytest.param("a: -.inf", "json: unsupported value: -Inf", id="5-minus-inf"),
        pytest.param("a: .nan", "json: unsupported value: NaN", id="5-nan"),
        pytest.param("null: 1", "unsupported map key of type: ", id="5-null-key"),
        pytest.param("18446744073709551615: 1", "unsupported map key of type: uint64", id="5-uint64-key"),
        pytest.param("a: {{ x }}", "invalid map key: ", id="5-template"),
        pytest.param("%YAML 1.2\n---\na: 1", "found incompatible YAML document", id="5-yaml-1.2"),
        pytest.param('a: "\\/"', "found unknown escape character", id="5-slash-escape"),
        pytest.param("a: *x", "unknown anchor 'x' referenced", id="unknown-anchor"),
        pytest.param("a: &a [*a]", "anchor 'a' value contains itself", id="circle"),
        pytest.param("a: 1\nb: c: d", "line 2: mapping values are not allowed in this context", id="line"),
        pytest.param("!!int x: 1", "cannot decode !!str `x` as a !!int", id="tag"),
        pytest.param("a: !!binary '*'", "!!binary value contains invalid base64 data", id="base64"),
        pytest.param("a: " + "[" * 5000, "exceeded max", id="depth"),
        pytest.param("a: \x01", "control characters are not allowed", id="control"),
    ],
)
def test_refused(text: str, problem: str) -> None:
    with pytest.raises(YamlError) as caught:
        load_value(text.encode(), "f")
    assert problem in str(caught.value)


def test_alias_bomb_is_refused_fast() -> None:  # 5
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{','.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(12)
    )
    started = time.process_time()
    with pytest.raises(YamlError, match="document contains excessive aliasing"):
        load_value(bomb.encode(), "f")
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        pytest.param("kind: A\n---\nkind: B\n", ["A", "B"], id="two"),
        pytest.param(
            "---\n---\n# x\n---  \nkind: A\n--- # c\nkind: B\n---\nnull\n", ["A", "B"], id="empty-ones"
        ),
        pytest.param("kind: A\r\n---\r\nkind: B\r\n", ["A", "B"], id="crlf"),
        pytest.param(' {"kind":"A"}\n{"kind":"B"}', ["A", "B"], id="json-stream"),
        pytest.param('{"kind":"A"}\n---\nkind: B\n', ["A", "B"], id="json-then-yaml"),
        pytest.param("{kind: A}", ["A"], id="flow-yaml"),
        pytest.param("kind: A\n...\nkind: B\n---\nkind: C", ["A", "C"], id="dots"),
    ],
)
def test_documents(text: str, kinds: list[str]) -> None:
    assert [each["kind"] for each in load_documents(text.encode(), "f")] == kinds


@pytest.mark.parametrize(
    ("text", "document", "loaded", "problem"),
    [
        ("kind: A\n---\nb: c: d", 2, 1, "document 2: error converting YAML to JSON"),
        ("kind: A\n--- x\nkind: B", 2, 1, "document 2: invalid Yaml document separator: x"),
        ("a: 1", 1, 0, "Object 'Kind' is missing in '{\"a\":1}'"),
        ("- kind: A", 1, 0, "cannot unmarshal array into Go value"),
        ("null\n---\nkind: A\n---\nx", 3, 1, "cannot unmarshal string into Go value"),
        ("kind: ''", 1, 0, "Object 'Kind' is missing"),
    ],
)
def test_failures_name_the_document(text: str, document: int, loaded: int, problem: str) -> None:
    with pytest.raises(YamlError) as caught:
        load_documents(text.encode(), "f")
    error = caught.value
    assert (error.where, error.document, error.loaded) == ("f", document, loaded)
    assert problem in str(error)


def test_json_numbers() -> None:
    value = load_json(b'{"a": 1.0, "b": 18446744073709551616, "c": 1.5, "d": 1}', "f")
    assert value == {"a": 1, "b": 18446744073709551616.0, "c": 1.5, "d": 1}
    assert [type(each) for each in value.values()] == [int, float, float, int]
    with pytest.raises(YamlError):
        load_json(b'{"a": NaN}', "f")


BASIC = st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(BASIC),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.text(BASIC, max_size=8), inner, max_size=5)
    ),
    max_leaves=20,
)


@given(JSON)
def test_json_text_is_read_as_json(value: object) -> None:
    """JSON is YAML: both readers agree (YAML escapes name whole characters, no surrogates)."""
    text = json.dumps(value)
    assert load_json(text.encode(), "f") == value
    assert load_value(text.encode(), "f") == value


@given(JSON)
def test_quoted_yaml_is_read_back(value: object) -> None:
    text = yaml.safe_dump(value, default_style='"', allow_unicode=True)
    # PyYAML quotes every scalar and tags those that are no strings.
    assert load_value(text.encode(), "f") == value


def test_a_thousand_objects_in_about_a_second() -> None:
    one = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: cm\ndata:\n" + "".join(
        f"  key{n}: value-{n}-{'x' * 20}\n" for n in range(55)
    )
    text = "---\n".join([one] * 1000).encode()
    started = time.process_time()
    assert len(load_documents(text, "f")) == 1000
    assert time.process_time() - started < 1.5
