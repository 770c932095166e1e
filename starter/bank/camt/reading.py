"""Reading a message: the file as it stands after the first pass."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from io import BytesIO
from typing import BinaryIO

from starter.bank.camt.checking import Check
from starter.bank.camt.lines import Lines
from starter.bank.camt.walking import parts
from starter.bank.deposits import BankDeposit, Naming
from starter.bank.digest import digest_of


@dataclass(frozen=True)
class CamtFile:
    """A file without findings: its entries, and how many lines of money they make."""

    source: BinaryIO
    today: date
    digest: str
    """SHA-256 of the bytes, in hex: the same file is known by it."""
    records: int
    transactions: int
    accounts: int
    singly: bytes = field(repr=False)
    """For each entry, whether its transactions count one by one."""

    def lines(self, naming: Naming) -> Iterator[BankDeposit]:
        """Each booked or pending movement, in the order of the file."""
        return Lines(naming, self.singly).of(self.source)


def read(source: bytes | BinaryIO, today: date) -> CamtFile:
    """The file, checked as a whole. ``today`` is the day of import: no date may lie a year after it.

    Raises ``BankFileRefused`` with every finding; records are its entries, counted from 1.
    """
    stream = BytesIO(source) if isinstance(source, bytes) else source
    check = Check(today)
    for part in parts(stream):
        check.take(part)
    check.finish()
    return CamtFile(
        source=stream,
        today=today,
        digest=digest_of(stream),
        records=check.number,
        transactions=check.transactions,
        accounts=check.accounts,
        singly=bytes(check.singly),
    )
