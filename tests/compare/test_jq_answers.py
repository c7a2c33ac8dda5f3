"""What jq may answer where an object is expected (sync.md 5.1): each is told, and ignores nothing."""

from __future__ import annotations

import pytest

from tiphys.compare.jqpaths import JqError, compile_path

OBJECT = {"spec": {"a": 1, "list": [1, 2]}}

ANSWERS = {
    "an index into a number": (".spec.a.b", 'JQ patch returned error: Cannot index number with "b"'),
    "an error of a program": (".spec[0]", "JQ patch returned error: Cannot"),
    "an error of one's own": ('error("no")', "JQ patch returned error: no"),
    "several objects": (".spec.a), (del(.spec)", "JQ patch returned multiple objects"),
    "nothing": (".spec.a) | empty | (.", "JQ patch did not return any data"),
    "no object": (".spec.a) | .spec.list | (.", "JQ patch did not return an object"),
}


@pytest.mark.parametrize(("expression", "text"), ANSWERS.values(), ids=ANSWERS.keys())
def test_what_is_told(expression: str, text: str) -> None:
    path = compile_path(expression)
    with pytest.raises(JqError) as caught:
        path.delete_from(OBJECT, 10.0)
    assert str(caught.value).startswith(text)
    assert OBJECT == {"spec": {"a": 1, "list": [1, 2]}}
