"""What Temporal recorded of every course, encrypted with a key of its own that is no secret."""

from pathlib import Path

from runtime.keys import Keyring

FOLDER = Path(__file__).parent
_KEYRING = FOLDER / "keyring.json"


def keyring() -> Keyring:
    """The keys the histories are encrypted with: for tests alone, and open to everybody."""
    return Keyring.from_json(_KEYRING.read_text(encoding="utf-8"))


def path(course: str) -> Path:
    """Where the histories of a course are kept: a list of workflow runs, one a line."""
    return FOLDER / f"{course}.json"


def recorded() -> dict[str, Path]:
    """The courses that have a history, and where."""
    return {file.stem: file for file in FOLDER.glob("*.json") if file != _KEYRING}
