"""Reading a bank's file, of whichever kind: all of it, or a refusal."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import BinaryIO

from starter.bank import camt, zengin
from starter.bank.camt import CamtFile
from starter.bank.deposits import BankDeposit, Fingerprint, Naming
from starter.bank.detect import Format, detect
from starter.bank.findings import refused
from starter.bank.zengin import ZenginFile
from starter.bank.zengin.lines import lines


@dataclass(frozen=True)
class BankFile:
    """A file that was checked as a whole and has no findings."""

    format: Format
    content: ZenginFile | CamtFile

    @property
    def digest(self) -> str:
        """SHA-256 of the bytes, in hex: the same file is known by it."""
        return self.content.digest

    @property
    def records(self) -> int:
        """Its records, or its entries."""
        return self.content.records

    @property
    def transactions(self) -> int:
        """How many lines it has at most: some say nothing of money."""
        return self.content.transactions

    @property
    def accounts(self) -> int:
        return self.content.accounts

    def lines(self, fingerprint: Fingerprint) -> Iterator[BankDeposit]:
        """Each line of money in the order of the file, each time with the same ids.

        Raises ``BankFileRefused`` where the file changed since it was read.
        """
        with Naming(fingerprint) as naming:
            if isinstance(self.content, ZenginFile):
                yield from lines(self.content, naming)
            else:
                yield from self.content.lines(naming)


def read(source: bytes | BinaryIO, today: date) -> BankFile:
    """The file, checked as a whole; ``source`` can seek, stays open and does not change while it is used.

    ``today`` is the day of import, near which the dates of Zengin files lie. Raises ``BankFileRefused`` with
    every finding; nothing of such a file may be applied.
    """
    match detect(source):
        case Format.TRANSFER:
            raise refused(
                "it is a transfer order (Zengin type 21), which goes to a bank: it tells of no deposit"
            )
        case (Format.NOTICE | Format.STATEMENT) as found:
            return BankFile(found, zengin.read(source, today))
        case found:
            return BankFile(found, camt.read(source, today))
