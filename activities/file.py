"""What a letter draws on: the case file, opened for it."""

from dataclasses import dataclass
from datetime import date

from activities.letters.content import EnclosedOriginal, ServiceResponse
from policy.pack import Pack
from records.invoices import InvoiceRow
from records.receipts import Arrived
from records.requests import Parties, RequestRow


@dataclass(frozen=True)
class File:
    """What a letter draws on, read and opened in one transaction; forgotten when the letter is rendered.

    `credit_note` is the one by which nothing is owed on the invoice any more; `arrived` and `has_receipt` are
    what a receipt asks for.
    """

    letter_id: str
    pack: Pack
    request: RequestRow
    parties: Parties
    received_on: date | None
    invoice: InvoiceRow | None = None
    paid: int = 0
    virtual_account: str | None = None
    credit_note: str | None = None
    arrived: tuple[Arrived, ...] = ()
    has_receipt: bool = False
    responses: tuple[ServiceResponse, ...] = ()
    originals: tuple[EnclosedOriginal, ...] = ()
    reason: str | None = None
