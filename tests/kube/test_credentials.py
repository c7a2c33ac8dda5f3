"""Where credentials come from, and that they are followed when they change."""

import stat
from pathlib import Path

import pytest

from tiphys.kube import credentials
from tiphys.kube.credentials import Credential, ExecPlugin, TokenFile
from tiphys.kube.errors import CredentialsUnavailable

SERVER = "https://cluster.example"


def script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


async def test_rotated_token_file_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "token"
    file.write_text("one\n")
    source = TokenFile(SERVER, file)
    assert (await source.current()).authorization == "Bearer one"
    file.write_text("two")
    assert (await source.current()).authorization == "Bearer one"  # within a minute: kept
    monkeypatch.setattr(credentials, "TOKEN_FILE_SECONDS", 0.0)
    assert (await source.current()).authorization == "Bearer two"


async def test_refused_token_is_read_again_at_once(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("one")
    source = TokenFile(SERVER, file)
    await source.current()
    file.write_text("two")
    assert source.forget()
    assert (await source.current()).authorization == "Bearer two"


async def test_missing_token_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CredentialsUnavailable, match=r"cannot read the token file .*/none"):
        await TokenFile(SERVER, tmp_path / "none").current()


async def test_exec_plugin_is_told_and_answers(tmp_path: Path) -> None:
    # operations.md 1.9: execProviderConfig with args, env and provideClusterInfo
    out = tmp_path / "info"
    command = script(
        tmp_path / "plugin",
        f'echo "$1 $COLOUR $KUBERNETES_EXEC_INFO" > {out}\n'
        'echo \'{"status":{"token":"t0","expirationTimestamp":"2999-01-01T00:00:00Z"}}\'',
    )
    plugin = ExecPlugin(SERVER, command, ["arg"], {"COLOUR": "blue"}, cluster_info={"server": SERVER})
    assert (await plugin.current()).authorization == "Bearer t0"
    assert out.read_text().startswith("arg blue ")
    assert SERVER in out.read_text()
    await plugin.current()
    assert plugin.calls == 1  # kept until it expires


async def test_expired_exec_credential_is_renewed(tmp_path: Path) -> None:
    text = 'echo \'{"status":{"token":"t","expirationTimestamp":"2001-01-01T00:00:00Z"}}\''
    plugin = ExecPlugin(SERVER, script(tmp_path / "plugin", text))
    await plugin.current()
    await plugin.current()
    assert plugin.calls == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("echo no such profile >&2; exit 3", "ended with code 3: no such profile", id="fails"),
        pytest.param("echo secret-thing", "printed no readable ExecCredential", id="prints-rubbish"),
        pytest.param("echo '{\"status\":{}}'", "without a token", id="prints-nothing-useful"),
    ],
)
async def test_failing_plugin_says_why_without_its_output(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(CredentialsUnavailable, match=message) as caught:
        await ExecPlugin(SERVER, script(tmp_path / "plugin", text)).current()
    assert "secret-thing" not in str(caught.value)


async def test_plugin_that_is_not_installed_shows_the_hint() -> None:
    with pytest.raises(CredentialsUnavailable, match=r"cannot be started.*install it from here"):
        await ExecPlugin(SERVER, "/no/such/plugin", install_hint="install it from here").current()


async def test_hanging_plugin_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "EXEC_TIMEOUT_SECONDS", 0.2)
    with pytest.raises(CredentialsUnavailable, match="did not end within"):
        await ExecPlugin(SERVER, script(tmp_path / "plugin", "exec sleep 60")).current()


def test_credentials_do_not_print_themselves() -> None:
    assert "secret" not in repr(Credential(authorization="Bearer secret", key="secret"))
