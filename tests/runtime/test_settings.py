"""Settings: the command line's home, then the environment, then the stack in the home."""

from pathlib import Path

import pytest

from runtime.errors import Misconfigured
from runtime.settings import Settings
from runtime.stackfile import StackFile
from runtime.temporal import connection

STACK = StackFile(
    temporal="127.0.0.1:7000", database="postgresql+psycopg://kaiji:s3cret@127.0.0.1:1/kaiji", pid=1
)


def test_a_running_stack_needs_no_environment(tmp_path: Path) -> None:
    STACK.write(tmp_path)
    (tmp_path / "webhook.secret").write_text("whsec_AAAA\n")
    settings = Settings.load(tmp_path)
    assert settings.database() == STACK.database
    assert [secret.get_secret_value() for secret in settings.webhook_secrets] == ["whsec_AAAA"]
    assert connection(settings) == {"target_host": "127.0.0.1:7000", "namespace": "default"}


def test_the_environment_wins_over_the_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    STACK.write(tmp_path)
    (tmp_path / "webhook.secret").write_text("whsec_AAAA\n")
    monkeypatch.setenv("KAIJI_DATABASE_URL", "postgresql+psycopg://elsewhere/kaiji")
    monkeypatch.setenv("KAIJI_WEBHOOK_SECRETS", "whsec_BBBB  whsec_CCCC")
    monkeypatch.setenv("TEMPORAL_ADDRESS", "temporal.example:7233")
    monkeypatch.setenv("TEMPORAL_NAMESPACE", "kaiji")
    settings = Settings.load(tmp_path)
    assert settings.database() == "postgresql+psycopg://elsewhere/kaiji"
    assert [secret.get_secret_value() for secret in settings.webhook_secrets] == ["whsec_BBBB", "whsec_CCCC"]
    assert connection(settings) == {"target_host": "temporal.example:7233", "namespace": "kaiji"}


def test_the_command_lines_home_wins_over_the_environments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAIJI_HOME", str(tmp_path / "environment"))
    assert Settings.load().home == tmp_path / "environment"
    assert Settings.load(tmp_path).home == tmp_path


def test_by_default_the_home_is_here_and_temporal_is_local(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings.load()
    assert settings.home == tmp_path / ".kaiji"
    assert settings.keyring_file == tmp_path / ".kaiji" / "keyring.json"
    assert connection(settings) == {"target_host": "localhost:7233", "namespace": "default"}
    with pytest.raises(Misconfigured, match="KAIJI_DATABASE_URL"):
        settings.database()


def test_temporals_own_file_gives_address_and_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "temporal.toml"
    file.write_text('[profile.default]\naddress = "cloud.example:7233"\napi_key = "k"\n')
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(file))
    found = connection(Settings.load(tmp_path))
    assert (found["target_host"], found["api_key"], found["tls"]) == ("cloud.example:7233", "k", True)
    file.write_text("[profile")
    with pytest.raises(Misconfigured, match="Temporal's settings"):
        connection(Settings.load(tmp_path))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KAIJI_WEBHOOK_SECRETS", "hunter2"),
        ("KAIJI_GATEWAY_PORT", "hunter2"),
        ("KAIJI_LOG_FORMAT", "hunter2"),
        ("KAIJI_VIRTUAL_ACCOUNTS", "123456"),
        ("KAIJI_VIRTUAL_ACCOUNTS", "1234567 12345678"),
        ("KAIJI_VIRTUAL_ACCOUNTS", "１２３４５６７"),
        ("KAIJI_VIRTUAL_ACCOUNTS", "101-7654321 1017654321"),
    ],
)
def test_a_wrong_value_is_named_but_not_shown(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(Misconfigured, match=name.removeprefix("KAIJI_").lower()) as failure:
        Settings.load()
    assert value not in str(failure.value)


def test_the_operators_packs_lie_in_the_home_unless_said_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Settings.load(tmp_path).packs_folder == tmp_path / "packs"
    monkeypatch.setenv("KAIJI_PACKS", "/etc/kaiji/packs")
    assert Settings.load(tmp_path).packs_folder == Path("/etc/kaiji/packs")


def test_virtual_accounts_are_digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings.load(tmp_path).virtual_accounts == ()
    monkeypatch.setenv("KAIJI_VIRTUAL_ACCOUNTS", "1111111 101-2222222  0001-101-3333333")
    assert Settings.load(tmp_path).virtual_accounts == ("1111111", "1012222222", "00011013333333")


def test_secrets_never_show(tmp_path: Path) -> None:
    STACK.write(tmp_path)
    settings = Settings.load(tmp_path)
    assert "s3cret" not in f"{settings!r} {settings}"
    assert StackFile.path(tmp_path).stat().st_mode & 0o777 == 0o600


def test_a_stack_file_that_is_none_is_refused_without_showing_it(tmp_path: Path) -> None:
    StackFile.path(tmp_path).write_text('{"database": "hunter2"}')
    with pytest.raises(Misconfigured, match="stack file") as failure:
        Settings.load(tmp_path)
    assert "hunter2" not in str(failure.value)
