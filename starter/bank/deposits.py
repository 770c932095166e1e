"""One line of money, whichever kind of file it came from, and the id by which it is known again.

**The id.** The same money must have the same id in every file that tells of it, and two payments two ids.

- Where the bank gives each booking a reference of its own that stays (camt's ``AcctSvcrRef``), the id is made
  of account, booking day, amount and that reference.
- Elsewhere it is made of what the line says: account, booking day, amount, the payer's words. Lines of one
  file that agree in all of that are numbered in order, so two equal payments of one day are two, and a file
  that overlaps another gives the same ids, provided that each file has whole days.
- The inquiry numbers of Zengin files are not part of it: they may be counted anew in each file, and the
  notice and the statement of one day may number the same deposit differently. The number is kept in
  ``bank_reference``: a line that is already known under another number may be a second, equal payment out of
  a file with half a day, and is worth a clerk's look.

What the id is made of goes through a keyed fingerprint: it reveals nothing. ``likeness`` is a second one, of
account, amount and payer, by which the deposit is found that a line takes back.

**The entry.** One kind of camt file may book as a lump sum what the other lists payment by payment: lines
with other amounts and other ids tell of the same money. A third fingerprint, of the account, the day and the
amount of the entry they are in, is what such lines have in common. Zengin files have no entries.
"""

import json
import sqlite3
import unicodedata
from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from enum import StrEnum
from types import TracebackType
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from policy.deposit import DepositId

Fingerprint = Callable[[bytes], str]
"""A keyed fingerprint, written with the characters of ids: the keyring's, for a purpose of its own."""

MAX_WORDS = 1_000
"""Characters of a text that are kept; far more than any bank passes on for one payment."""
_ID_CHARACTERS = 40

_Words = Annotated[str, Field(max_length=MAX_WORDS)]


class Movement(StrEnum):
    """What the line says of the money: the first three of deposits, the others of our own payments."""

    PRELIMINARY = "preliminary"
    SETTLED = "settled"
    TAKEN_BACK = "taken_back"
    PAID = "paid"
    RETURNED = "returned"


_IN = frozenset({Movement.PRELIMINARY, Movement.SETTLED, Movement.TAKEN_BACK})


class BankDeposit(BaseModel):
    """A line of a bank's file: money that arrived, that was taken back, or that we paid.

    ``amount`` is exact, in units of ``currency``. ``party`` is who paid, or was paid; it, ``reference``,
    ``edi`` and ``virtual_account`` are personal data.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    deposit_id: DepositId
    likeness: str
    movement: Movement
    account: Annotated[str, Field(min_length=1, max_length=64)]
    amount: Annotated[Decimal, Field(gt=0)]
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    booked: date
    value_date: date
    party: _Words = ""
    reference: _Words = ""
    edi: _Words = ""
    virtual_account: _Words = ""
    """Zengin's payer code, camt's creditor account: which it was, where a bank offers one per invoice."""
    bank_reference: _Words = ""
    """The bank's own reference or inquiry number; empty where it gave none."""
    entry: str = ""
    """Equal for what may be in the same entry of an account; empty where there are none."""
    entry_reference: str = ""
    """Keyed: the bank's own reference of that entry; empty where it gave none."""
    lump: bool = False
    """Whether it is the sum of an entry that tells nothing of the payments in it."""

    @property
    def is_deposit(self) -> bool:
        """Whether it is about money from a payer, not about a payment of our own."""
        return self.movement in _IN

    @property
    def yen(self) -> int | None:
        """The amount in yen; None in any other currency, which pays nothing."""
        return int(self.amount) if self.currency == "JPY" else None


class Naming:
    """Gives the lines of one file their ids; a context manager, for it counts equal lines on disk.

    A file of 100,000 payments has as many counts, and memory stays the same: they are in a database of SQLite
    that has no name, holds fingerprints alone and is gone when it is closed.
    """

    def __init__(self, fingerprint: Fingerprint) -> None:
        self._fingerprint = fingerprint
        self._counts = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._counts.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = FILE;"
            "CREATE TABLE counts (line TEXT PRIMARY KEY, count INTEGER) WITHOUT ROWID; BEGIN;"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._counts.close()

    def id_of(self, movement: Movement, content: Sequence[str]) -> str:
        """The id of the next line with this content.

        A preliminary line and the settled one that follows it have the same id; other movements have others.
        """
        told = "in" if movement in {Movement.PRELIMINARY, Movement.SETTLED} else movement.value
        line = self._digest([told, *content])
        count = self._counts.execute(
            "INSERT INTO counts VALUES (?, 1) ON CONFLICT DO UPDATE SET count = count + 1 RETURNING count",
            [f"{movement} {line}"],
        ).fetchone()[0]
        return "b-" + self._digest([line, str(count)])[:_ID_CHARACTERS]

    def likeness(self, account: str, amount: Decimal, currency: str, party: str) -> str:
        """Equal for lines that may be about the same money: of one account, amount and payer."""
        return self._digest(["like", account, f"{amount:f}", currency, _folded(party)])

    def entry(self, account: str, booked: date, amount: Decimal, currency: str) -> str:
        """Equal for entries that may be the same: credits of one account, day and amount."""
        return self._digest(["entry", account, booked.isoformat(), f"{amount:f}", currency])

    def entry_reference(self, reference: str) -> str:
        """Equal for equal references of the bank's."""
        return self._digest(["entry reference", reference]) if reference else ""

    def _digest(self, content: Sequence[str]) -> str:
        return self._fingerprint(json.dumps(content).encode())


def words(*texts: str) -> str:
    """These texts as one line, without control characters, cut to what is kept."""
    text = " ".join(" ".join(texts).split())
    return "".join(c for c in text if unicodedata.category(c) not in {"Cc", "Cs", "Zl", "Zp"})[:MAX_WORDS]


def _folded(party: str) -> str:
    return "".join(unicodedata.normalize("NFKC", party).casefold().split())
