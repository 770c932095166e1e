"""Entries and their transactions, by the elements that matter, wherever a version of the message has them."""

import re
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from xml.etree.ElementTree import Element
from zoneinfo import ZoneInfo

from starter.bank.deposits import Movement, words

BOOKED, PENDING = "BOOK", "PDNG"
TRUE, FALSE = {"true", "1"}, {"false", "0", ""}
AMOUNTS = ("Amt", "AmtDtls/TxAmt/Amt", "AmtDtls/InstdAmt/Amt")
"""Where a transaction has its amount, the best place first; some of version 02 have the last one alone."""
_RETURN = "RRTN"
_TOKYO = ZoneInfo("Asia/Tokyo")
_AMOUNT = re.compile(r"\+?([0-9]{1,18}(?:\.[0-9]{1,5})?)")
_DAY = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:Z|[+-][0-9]{2}:[0-9]{2})?")
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:Z|[+-][0-9]{2}:[0-9]{2})?"
)


@dataclass(frozen=True, slots=True)
class Money:
    amount: Decimal
    currency: str


@dataclass(slots=True)
class Entry:
    """An entry as far as it has been parsed: its children by name, without the transactions."""

    number: int
    parts: dict[str, Element] = field(default_factory=dict)

    def text(self, path: str) -> str:
        name, _, rest = path.partition("/")
        return text_at(self.parts.get(name), rest)

    @property
    def money(self) -> Money | None:
        return money_of(self.parts.get("Amt"))

    @property
    def is_credit(self) -> bool:
        return self.text("CdtDbtInd") == "CRDT"

    @property
    def is_reversal(self) -> bool:
        return self.text("RvslInd") in TRUE

    @property
    def status(self) -> str:
        return self.text("Sts") or self.text("Sts/Cd")

    @property
    def booked(self) -> date | None:
        return day_of(self.parts.get("BookgDt"))

    @property
    def value_date(self) -> date | None:
        return day_of(self.parts.get("ValDt"))


@dataclass(frozen=True, slots=True)
class Transaction:
    """What one `TxDtls` says."""

    money: tuple[Money, ...]
    """In the order of preference: the entry's currency decides."""
    direction: str
    bank_reference: str
    end_to_end: str
    debtor: str
    creditor: str
    creditor_account: str
    structured: tuple[str, ...]
    unstructured: tuple[str, ...]
    returned: bool

    @property
    def tells(self) -> bool:
        """Whether it says who paid or what for."""
        return any((self.debtor, self.end_to_end, self.structured, self.unstructured))

    def amount_in(self, currency: str) -> Decimal | None:
        return next((money.amount for money in self.money if money.currency == currency), None)


def transaction_of(details: Element) -> Transaction:
    amounts = [money_of(at(details, path)) for path in AMOUNTS]
    end_to_end = text_at(details, "Refs/EndToEndId")
    return Transaction(
        money=tuple(money for money in amounts if money),
        direction=text_at(details, "CdtDbtInd"),
        bank_reference=text_at(details, "Refs/AcctSvcrRef"),
        end_to_end="" if end_to_end == "NOTPROVIDED" else end_to_end,
        debtor=_party(details, "Dbtr") or _party(details, "UltmtDbtr"),
        creditor=_party(details, "Cdtr") or _party(details, "UltmtCdtr"),
        creditor_account=account_of(at(details, "RltdPties/CdtrAcct")),
        structured=tuple(
            text
            for path in ("CdtrRefInf/Ref", "RfrdDocInf/Nb", "AddtlRmtInf")
            for block in all_at(details, "RmtInf/Strd")
            for text in texts_at(block, path)
        ),
        unstructured=tuple(texts_at(details, "RmtInf/Ustrd") or texts_at(details, "AddtlTxInf")),
        returned=text_at(details, "BkTxCd/Domn/Fmly/SubFmlyCd") == _RETURN
        or at(details, "RtrInf") is not None,
    )


NOTHING = Transaction((), "", "", "", "", "", "", (), (), False)


def together(transactions: list[Transaction]) -> Transaction | None:
    """One transaction that says what these say: of an entry that counts as a whole."""
    if len(transactions) < 2:
        return transactions[0] if transactions else None
    first = transactions[0]

    def common(values: list[str]) -> str:
        return values[0] if len(set(values)) == 1 else ""

    return Transaction(
        money=(),
        direction=first.direction,
        bank_reference="",
        end_to_end=" ".join(dict.fromkeys(transaction.end_to_end for transaction in transactions)),
        debtor=common([transaction.debtor for transaction in transactions]),
        creditor=common([transaction.creditor for transaction in transactions]),
        creditor_account=common([transaction.creditor_account for transaction in transactions]),
        structured=tuple(text for transaction in transactions for text in transaction.structured),
        unstructured=tuple(text for transaction in transactions for text in transaction.unstructured),
        returned=any(transaction.returned for transaction in transactions),
    )


def movement_of(entry: Entry, transaction: Transaction | None) -> Movement | None:
    """What the entry says of the money; None where nothing is said yet."""
    returned = entry.text("BkTxCd/Domn/Fmly/SubFmlyCd") == _RETURN or (transaction and transaction.returned)
    if entry.status == PENDING:
        is_deposit = entry.is_credit and not entry.is_reversal and not returned
        return Movement.PRELIMINARY if is_deposit else None
    if entry.status != BOOKED:
        return None
    if entry.is_credit:
        return Movement.RETURNED if entry.is_reversal or returned else Movement.SETTLED
    return Movement.TAKEN_BACK if entry.is_reversal else Movement.PAID


def all_at(element: Element | None, path: str) -> list[Element]:
    """The descendants at this path of local names; the element itself for no path."""
    found = [] if element is None else [element]
    for name in filter(None, path.split("/")):
        found = [child for parent in found for child in parent if str(child.tag).rpartition("}")[2] == name]
    return found


def at(element: Element | None, path: str) -> Element | None:
    return next(iter(all_at(element, path)), None)


def texts_at(element: Element | None, path: str) -> list[str]:
    """What the elements at this path say that have no others within."""
    return [
        text for found in all_at(element, path) if not len(found) and (text := (found.text or "").strip())
    ]


def text_at(element: Element | None, path: str) -> str:
    return next(iter(texts_at(element, path)), "")


def _party(details: Element, role: str) -> str:
    """The name of a person or a company, or since version 08 of a bank."""
    names = (text_at(details, f"RltdPties/{role}/{path}") for path in ("Nm", "Pty/Nm", "Agt/FinInstnId/Nm"))
    return next(filter(None, names), "")


def account_of(element: Element | None) -> str:
    return words(text_at(element, "Id/IBAN") or text_at(element, "Id/Othr/Id"))


def decimal_of(text: str) -> Decimal | None:
    found = _AMOUNT.fullmatch(text)
    return Decimal(found[1]) if found else None


def money_of(element: Element | None) -> Money | None:
    if element is None:
        return None
    amount, currency = decimal_of(text_at(element, "")), element.get("Ccy", "")
    return Money(amount, currency) if amount is not None and re.fullmatch("[A-Z]{3}", currency) else None


def day_of(element: Element | None) -> date | None:
    """The day in `Dt` or of the moment in `DtTm`, in Tokyo where that tells its offset."""
    text = text_at(element, "Dt") or text_at(element, "DtTm")
    try:
        if found := _DAY.fullmatch(text):
            return date.fromisoformat(found[1])
        if _MOMENT.fullmatch(text):
            at = datetime.fromisoformat(text)
            return (at.astimezone(_TOKYO) if at.tzinfo else at).date()
    except (ValueError, OverflowError):
        pass
    return None


def is_whole(pagination: Element | None) -> bool:
    """Whether a message, or a statement, is on one page."""
    return pagination is None or (
        text_at(pagination, "PgNb") in {"", "1"} and text_at(pagination, "LastPgInd") in {"", *TRUE}
    )
