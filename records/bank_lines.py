"""Lines of banks' files as the ledger takes them, and what becomes of each.

A line is about money that arrived, or is expected, or was taken back; or about a payment of our own, for
which `records.refunds.PaidLine` stands.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from enum import StrEnum
from functools import cached_property

from pydantic import JsonValue

from policy.checkdigits import first_payment_reference
from policy.currency import YEN
from records.deposits import Suspense
from records.encoding import canonical_json


@dataclass(frozen=True)
class BankDeposit:
    """Money that arrived; that is expected, where it is ``preliminary``; that the bank took back, where it is
    ``cancelled``.

    ``amount`` in smallest units of the currency, above zero. ``deposit_id`` is the same however often banks'
    files tell of the same line. ``bank_likeness`` is the same for a deposit and for what takes it back.
    ``account`` is the one paid into, ``virtual_account`` the one of the bank's pool, where the bank tells it
    apart. ``number`` is the bank's own for this line, which may be another in the next file. ``details`` is
    whatever else the bank tells; it is sealed with the payer's words.

    ``entry`` is the same for lines that may be in one entry of a statement, ``entry_reference`` for those of
    which the bank says so; a ``lump`` is the sum of an entry of which it does not tell the payments.
    """

    deposit_id: str
    amount: int
    value_date: date
    account: str
    bank_likeness: str
    currency: str = YEN
    booked_on: date | None = None
    payer_name: str = ""
    reference: str = ""
    edi: str = ""
    virtual_account: str = ""
    number: str = ""
    details: Mapping[str, str] = field(default_factory=dict)
    preliminary: bool = False
    cancelled: bool = False
    entry: str = ""
    entry_reference: str = ""
    lump: bool = False

    @property
    def day(self) -> date:
        """The day from which the books know it."""
        return self.booked_on or self.value_date

    @cached_property
    def payment_reference(self) -> str | None:
        """Ours, in what the payer typed."""
        return first_payment_reference(*self.words)

    @property
    def words(self) -> tuple[str, str, str]:
        """Where a payer may have given a reference, in the order in which it is looked for."""
        return self.reference, self.edi, self.payer_name

    @cached_property
    def told(self) -> bytes:
        """What the line says: the same for the same line in another file of its kind."""
        return self._content({})

    @property
    def sealed(self) -> bytes:
        """All that is kept of it, sealed."""
        return self._content({"details": {**self.details}}) if self.details else self.told

    def _content(self, more: dict[str, JsonValue]) -> bytes:
        return canonical_json(
            {
                "deposit_id": self.deposit_id,
                "amount": self.amount,
                "currency": self.currency,
                "value_date": self.value_date.isoformat(),
                "booked_on": self.booked_on.isoformat() if self.booked_on else None,
                "account": self.account,
                "virtual_account": self.virtual_account,
                "payer_name": self.payer_name,
                "reference": self.reference,
                "edi": self.edi,
                **more,
            }
        )


class Doubt(StrEnum):
    """What of a file only a clerk can judge."""

    CONFLICT = "conflict"
    """A deposit is known by this id, and the same kind of file said something else of it."""
    SECOND_PAYMENT = "second_payment"
    """It is known under another number of the bank: a second, equal payment, where files have half days."""
    TOLD_OTHERWISE = "told_otherwise"
    """Another kind of file gave no reference for it, or another one."""
    NOT_FOUND = "not_found"
    """The bank took back a deposit that nobody told of."""
    ONE_OF_SEVERAL = "one_of_several"
    """The bank took back one of several deposits that are alike but for their references."""
    TWIN_TAKEN_BACK = "twin_taken_back"
    """The bank took back a deposit of which another source told as well: that one may be credited."""
    RETURN_UNKNOWN = "return_unknown"
    """A payment of ours came back, and no refund that the bank took is known that it could be."""
    REFUND_UNSURE = "refund_unsure"
    """A refund was paid or came back, and it could be one of several."""


class What(StrEnum):
    """What became of a line."""

    NEW = "new"
    SETTLED = "settled"
    PRELIMINARY = "preliminary"
    REPEATED = "repeated"
    TAKEN_BACK = "taken_back"
    REFUND_PAID = "refund_paid"
    REFUND_RETURNED = "refund_returned"
    OTHER = "other"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Outcome:
    """What became of one line, without a word of the payer's.

    ``deposit_id`` is the deposit it is about, where it is about one; ``request_id`` is whom that pays,
    ``found_by`` what told so, ``suspense_reason`` why something of it waits.
    """

    line: str
    deposit_id: str | None
    what: What
    amount: int
    currency: str
    day: date
    request_id: str | None = None
    found_by: str | None = None
    suspense_reason: Suspense | None = None
    doubt: Doubt | None = None


Seen = Callable[[Outcome], None]
"""Hears of each line what became of it."""


@dataclass(frozen=True)
class Recorded:
    """What became of the lines of a file, counted.

    ``new`` deposits, and ``preliminary`` ones; those ``settled`` that had been preliminary; lines
    ``repeated``, that is known; deposits ``taken_back``. Of the new and the settled ones, how many pay for a
    request (``matched``) and of how many something waits in ``suspense``. ``conflicts`` of those known by
    their id were told otherwise: nothing of them was recorded. Refunds ``paid`` and ``returned``; ``other``
    payments of ours, which are none of the ledger's. In ``doubts`` a clerk has to look.
    """

    new: int = 0
    settled: int = 0
    preliminary: int = 0
    repeated: int = 0
    taken_back: int = 0
    matched: int = 0
    suspense: int = 0
    conflicts: int = 0
    paid: int = 0
    returned: int = 0
    other: int = 0
    doubts: int = 0

    def __add__(self, other: "Recorded") -> "Recorded":
        return Recorded(**{name: count + getattr(other, name) for name, count in self.counts().items()})

    def counts(self) -> dict[str, int]:
        return {each.name: getattr(self, each.name) for each in fields(self)}

    @classmethod
    def of(cls, outcomes: list[Outcome]) -> "Recorded":
        """These outcomes, counted."""
        whats = [outcome.what for outcome in outcomes]
        doubts = [outcome.doubt for outcome in outcomes]
        arrived = [each for each in outcomes if each.what in (What.NEW, What.SETTLED)]
        return cls(
            new=whats.count(What.NEW),
            settled=whats.count(What.SETTLED),
            preliminary=whats.count(What.PRELIMINARY),
            repeated=whats.count(What.REPEATED),
            taken_back=whats.count(What.TAKEN_BACK),
            matched=sum(each.request_id is not None for each in arrived),
            suspense=sum(each.suspense_reason is not None for each in arrived),
            conflicts=doubts.count(Doubt.CONFLICT),
            paid=whats.count(What.REFUND_PAID),
            returned=whats.count(What.REFUND_RETURNED),
            other=whats.count(What.OTHER),
            doubts=len(doubts) - doubts.count(None),
        )
