"""HOME/stack.json: where a running development stack tells its neighbours how to reach it."""

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from runtime.errors import Misconfigured
from runtime.home import write_private


class StackFile(BaseModel):
    """The addresses of a running stack; URLs where they are URLs. ``database`` contains its password."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    temporal: str
    """``host:port`` of the frontend."""
    temporal_ui: str | None = None
    gateway: str | None = None
    codec_server: str | None = None
    desk: str | None = None
    database: str
    """``postgresql+psycopg://…``"""
    pid: int
    """The process that runs the stack."""

    @staticmethod
    def path(home: Path) -> Path:
        return home / "stack.json"

    @classmethod
    def read(cls, home: Path) -> Self | None:
        """The stack of a home, or None when none was started there.

        Raises ``Misconfigured`` when the file is not one of ours.
        """
        try:
            return cls.model_validate_json(cls.path(home).read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise Misconfigured(f"{cls.path(home)} is not a stack file: {error}") from None

    def write(self, home: Path) -> None:
        write_private(self.path(home), self.model_dump_json(indent=2) + "\n")
