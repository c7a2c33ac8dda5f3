"""Answers of the API server become typed errors."""

import pytest

from tiphys.kube import errors


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        pytest.param(404, b'{"reason":"NotFound","code":404}', errors.NotFound, id="404"),
        pytest.param(409, b'{"reason":"AlreadyExists"}', errors.AlreadyExists, id="409-exists"),
        pytest.param(409, b'{"reason":"Conflict"}', errors.Conflict, id="409-conflict"),
        pytest.param(410, b'{"reason":"Expired"}', errors.Gone, id="410-expired"),
        pytest.param(422, b'{"reason":"Invalid"}', errors.Invalid, id="422"),
        pytest.param(403, b'{"reason":"Forbidden"}', errors.Forbidden, id="403"),
        pytest.param(401, b"", errors.Unauthorized, id="401-empty-body"),
        pytest.param(429, b'{"reason":"TooManyRequests"}', errors.TooManyRequests, id="429"),
        pytest.param(502, b"<html>bad gateway</html>", errors.ApiError, id="html-of-a-proxy"),
    ],
)
def test_status_becomes_a_type(status: int, body: bytes, kind: type[errors.ApiError]) -> None:
    error = errors.api_error(status, body)
    assert type(error) is kind
    assert error.status == status
    assert error.message


def test_fields_of_an_invalid_object_are_kept() -> None:
    body = b'{"reason":"Invalid","message":"bad","details":{"causes":[{"field":"spec.x"}]}}'
    error = errors.api_error(422, body)
    assert error.message == "bad"
    assert error.details["causes"][0]["field"] == "spec.x"


def test_wait_is_taken_from_the_header_or_the_details() -> None:
    assert errors.api_error(429, b"{}", retry_after=3.0).retry_after == 3.0
    assert errors.api_error(500, b'{"details":{"retryAfterSeconds":2}}').retry_after == 2.0
