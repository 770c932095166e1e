"""Settings: `KAIJI_*` environment variables, completed by the stack that runs in the same home.

The Temporal connection is not among them: it has Temporal's own `TEMPORAL_*` variables and file
(`runtime.temporal`).
"""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, IPvAnyNetwork, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from runtime.errors import Misconfigured
from runtime.stackfile import StackFile

Port = Annotated[int, Field(ge=1, le=65535)]
Rate = Annotated[int, Field(ge=1, le=1_000_000)]


class Settings(BaseSettings):
    """What differs from one installation to the next. Secrets never show in a repr or an error."""

    model_config = SettingsConfigDict(
        env_prefix="KAIJI_", frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

    home: Path = Path(".kaiji")
    """All embedded state; absolute once loaded."""
    database_url: SecretStr | None = None
    """``postgresql+psycopg://…``; from the environment, else from the stack in the home."""
    webhook_secrets: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    """``whsec_…``, separated by spaces, several while rotating; else HOME/webhook.secret."""
    keyring: SecretStr | None = None
    """The keyring's JSON itself, where secrets come as environment variables; wins over the file."""
    keyring_path: Path | None = None
    """The keyring's file; HOME/keyring.json unless set."""
    destruction_log: Path | None = None
    """The file that no restore of the database takes back; HOME/destructions.log unless set."""
    audit_heads: Path | None = None
    """The file of the audit trail's signed checkpoints, which no restore of the database takes back either;
    HOME/audit-heads.jsonl unless set."""
    certificates: Path | None = None
    """The folder of certificates of destruction, a file for each case; HOME/certificates unless set."""
    virtual_accounts: Annotated[tuple[str, ...], NoDecode] = ()
    """The bank's pool of accounts for one invoice each, separated by spaces: 7 digits, with the branch's code
    before them 10, with bank and branch 14; hyphens as one likes."""
    packs: Path | None = None
    """The folder of the operator's own policy packs; HOME/packs unless set."""
    orderer_code: Annotated[str, Field(pattern="^[0-9]{10}$")] | None = None
    """The 10 digits by which the bank knows who orders transfers (委託者コード); refund files need it."""
    gateway_host: str = "127.0.0.1"
    gateway_port: Port = 8700
    gateway_proxies: Annotated[tuple[IPvAnyNetwork, ...], NoDecode] = ()
    """Addresses and networks of the proxies before the gateway, separated by spaces: these alone are believed
    about who calls (`X-Forwarded-For`)."""
    notices_per_minute: Rate = 1200
    """Signed notices from one address; as many may come at once."""
    notices_per_minute_total: Rate = 6000
    strangers_per_minute: Rate = 60
    """Calls of one address before a signature of it held."""
    strangers_per_minute_total: Rate = 3000
    codec_server: bool = False
    """Whether the gateway decodes payloads for the Temporal UI: in development only."""
    codec_origin: str | None = None
    """The one web origin whose pages may ask it to: the Temporal UI's, ``http://127.0.0.1:8233``."""
    health_host: str = "127.0.0.1"
    health_port: Port = 8701
    """Where the worker tells whether it is alive."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"
    actor: str | None = None
    """The staff id on whose behalf the command line acts when `--by` is not given."""

    @field_validator("webhook_secrets", "gateway_proxies", "virtual_accounts", mode="before")
    @classmethod
    def _separate(cls, value: object) -> object:
        return tuple(value.split()) if isinstance(value, str) else value

    @field_validator("webhook_secrets")
    @classmethod
    def _recognisable(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if not all(secret.get_secret_value().startswith("whsec_") for secret in value):
            raise ValueError("each webhook secret starts with whsec_")
        return value

    @field_validator("virtual_accounts")
    @classmethod
    def _accounts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        accounts = tuple(account.replace("-", "") for account in value)
        if not all(re.fullmatch("(?:(?:[0-9]{4})?[0-9]{3})?[0-9]{7}", account) for account in accounts):
            raise ValueError("each virtual account has 7 digits, or 10 or 14 with branch or bank and branch")
        if len(set(accounts)) < len(accounts):
            raise ValueError("a virtual account is listed twice")
        return accounts

    @property
    def keyring_file(self) -> Path:
        return self.keyring_path or self.home / "keyring.json"

    @property
    def destruction_log_file(self) -> Path:
        return self.destruction_log or self.home / "destructions.log"

    @property
    def audit_heads_file(self) -> Path:
        return self.audit_heads or self.home / "audit-heads.jsonl"

    @property
    def certificates_folder(self) -> Path:
        return self.certificates or self.home / "certificates"

    @property
    def packs_folder(self) -> Path:
        return self.packs or self.home / "packs"

    @property
    def webhook_secret_file(self) -> Path:
        return self.home / "webhook.secret"

    @classmethod
    def load(cls, home: Path | None = None) -> Self:
        """Settings from the environment; what it leaves open comes from the stack running in the home.

        ``home`` (the command line's) wins over `KAIJI_HOME`. Raises ``Misconfigured``.
        """
        try:
            settings = cls() if home is None else cls(home=home)
        except ValidationError as error:
            raise Misconfigured(f"KAIJI_* settings: {error}") from None
        found: dict[str, object] = {"home": settings.home.expanduser().absolute()}
        settings = settings.model_copy(update=found)
        if settings.database_url is None and (stack := settings.stack()):
            found["database_url"] = SecretStr(stack.database)
        if not settings.webhook_secrets and settings.webhook_secret_file.exists():
            secrets = settings.webhook_secret_file.read_text(encoding="utf-8").split()
            found["webhook_secrets"] = tuple(SecretStr(secret) for secret in secrets)
        return settings.model_copy(update=found)

    def stack(self) -> StackFile | None:
        """The development stack of this home, if one runs."""
        return StackFile.read(self.home)

    def database(self) -> str:
        """The database URL in clear, for whoever connects. Raises ``Misconfigured`` when there is none."""
        if self.database_url is None:
            raise Misconfigured(
                f"no database: set KAIJI_DATABASE_URL, or run `kaiji dev` with home {self.home}"
            )
        return self.database_url.get_secret_value()
