"""Required fields as the sender of a message sees them (api.md 3, 6)."""

import msgspec
import pytest

from tiphys.resources.application import Application
from tiphys.resources.messages.application import (
    ApplicationCreateRequest,
    ApplicationManifestQueryWithFiles,
    ApplicationManifestQueryWithFilesWrapper,
    ApplicationPatchRequest,
    ApplicationQuery,
    ApplicationRollbackRequest,
    LogEntry,
    ResourceActionParameters,
    ResourceActionRunRequestV2,
)
from tiphys.resources.messages.session import SessionCreateRequest
from tiphys.resources.wire.required import missing_required

ACTION = ResourceActionRunRequestV2(name="a", resource_name="b", version="v1", kind="Pod", action="restart")


@pytest.mark.parametrize(
    ("message", "field"),
    [
        pytest.param(ApplicationQuery(), "", id="none-required"),
        pytest.param(SessionCreateRequest(), "", id="proto3"),
        pytest.param(LogEntry(content=""), "podName", id="last-first"),
        pytest.param(ApplicationPatchRequest(name="a", patch="", patch_type=""), "", id="empty-is-set"),
        pytest.param(ApplicationRollbackRequest(name="a", id=0), "", id="zero-is-set"),
        pytest.param(ApplicationRollbackRequest(name="a"), "id", id="missing-number"),
        pytest.param(ApplicationCreateRequest(), "application", id="missing-message"),
        pytest.param(ApplicationCreateRequest(application=Application()), "", id="kinds-require-nothing"),
        pytest.param(
            ApplicationManifestQueryWithFilesWrapper(query=ApplicationManifestQueryWithFiles(name="a")),
            "checksum",
            id="inside",
        ),
        pytest.param(ACTION, "", id="empty-list"),
        pytest.param(
            msgspec.structs.replace(
                ACTION,
                resource_action_parameters=(
                    ResourceActionParameters(name="x", value="1"),
                    ResourceActionParameters(name="y"),
                ),
            ),
            "value",
            id="in-a-list",
        ),
    ],
)
def test_the_field_that_is_missing(message: msgspec.Struct, field: str) -> None:
    assert missing_required(message) == (f'proto: required field "{field}" not set' if field else "")
