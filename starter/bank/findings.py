"""What is wrong with a bank's file: every finding at once, and never a word of what a name field holds."""

from collections.abc import Iterable
from dataclasses import dataclass

MAX_FINDINGS = 1_000
"""How many findings are kept: a file of noise has one in every record, and memory is not for that."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason to refuse the file.

    ``record`` counts the file's records (XML: its entries) from 1, 0 for the file as a whole; ``position`` is
    the byte within that record as the banks' tables count it, from 1, 0 where no single byte is to blame.
    """

    record: int
    position: int
    field: str
    why: str

    def __str__(self) -> str:
        where = [f"record {self.record}"] if self.record else []
        where += [f"byte {self.position}"] if self.position else []
        return ", ".join([*where, f"{self.field}: {self.why}"])


class BankFileRefused(ValueError):
    """The file is refused as a whole; ``findings`` says why, and ``more`` how many were not kept."""

    def __init__(self, findings: Iterable[Finding], more: int = 0) -> None:
        self.findings = tuple(findings)
        self.more = more
        count = len(self.findings) + more
        super().__init__(f"the file is refused: {count} finding{'s' * (count != 1)}; {self.findings[0]}")


def refused(why: str, field: str = "file") -> BankFileRefused:
    """The refusal of a file as a whole, for one reason."""
    return BankFileRefused([Finding(0, 0, field, why)])


class Findings:
    """Collects findings up to a limit."""

    def __init__(self) -> None:
        self._kept: list[Finding] = []
        self._more = 0

    def __bool__(self) -> bool:
        return bool(self._kept)

    def add(self, record: int, position: int, field: str, why: str) -> None:
        if len(self._kept) < MAX_FINDINGS:
            self._kept.append(Finding(record, position, field, why))
        else:
            self._more += 1

    def refuse(self) -> None:
        """Raises ``BankFileRefused`` when there is any finding."""
        if self._kept:
            raise BankFileRefused(self._kept, self._more)
