"""The first pass over a message: gathers what is wrong, and decides how each entry counts."""

from datetime import date, timedelta
from decimal import Decimal
from xml.etree.ElementTree import Element

from policy.currency import YEN, smallest
from policy.deposit import MAX_AMOUNT
from starter.bank.camt.elements import (
    AMOUNTS,
    BOOKED,
    FALSE,
    PENDING,
    TRUE,
    Entry,
    Money,
    account_of,
    at,
    day_of,
    is_whole,
    money_of,
    transaction_of,
)
from starter.bank.camt.totals import CREDIT, DEBIT, Totals
from starter.bank.camt.walking import CONTAINERS, Part
from starter.bank.findings import Findings

_FUTURE = timedelta(days=366)
_PAGINATION = {"StmtPgntn", "NtfctnPgntn"}
_SETTLES_NOTHING = {"INFO", "FUTR"}
_ONCE = {"Amt", "CdtDbtInd", "RvslInd", "Sts", "BookgDt", "ValDt", "AcctSvcrRef", "BkTxCd"}
MAX_ACCOUNT = 64


class Check:
    """The first pass: gathers what is wrong, counts, and decides how each entry counts."""

    def __init__(self, today: date) -> None:
        self.number = self.transactions = self.accounts = 0
        self.singly = bytearray()
        self._last_day = today + _FUTURE
        self._findings = Findings()
        self._whole = True  # False where the message is one page of several: totals are of all pages
        self._pages = True
        self._account = ""
        self._totals = Totals()
        self._entry: Entry | None = None
        self._count, self._sum, self._adds_up = 0, Decimal(), True

    def take(self, part: Part) -> None:
        if part.name[1:] in CONTAINERS:
            self._begin_statement() if part.name[0] == "+" else self._end_statement()
        elif part.name == "+Ntry":
            self.number += 1
            if not 0 < len(self._account) <= MAX_ACCOUNT:
                self._add("Acct/Id", "must be given before the entries")
            self._entry = Entry(self.number)
            self._count, self._sum, self._adds_up = 0, Decimal(), True
        elif part.name == "-Ntry":
            self._end_entry()
        elif self._entry is not None and part.in_entry:
            if part.name == "TxDtls":
                self._add_transaction(self._entry, part.element)
            elif part.name != "NtryDtls":
                self._add_part(self._entry, part)
        elif part.name == "GrpHdr":
            self._whole = is_whole(at(part.element, "MsgPgntn"))
        elif part.name == "Acct":
            self._account = account_of(part.element)
        elif part.name == "TxsSummry":
            self._totals.take_summary(part.element)
        elif part.name == "Bal":
            if not self._totals.take_balance(part.element):
                self._of_statement("Bal", "must be an amount with its currency, and CRDT or DBIT")
        elif part.name in _PAGINATION:
            self._pages = is_whole(part.element)

    def finish(self) -> None:
        """Raises ``BankFileRefused`` when anything is wrong."""
        if not self.accounts:
            self._findings.add(0, 0, "Stmt, Ntfctn", "is missing: the message has no statement")
        self._findings.refuse()

    def _begin_statement(self) -> None:
        self.accounts += 1
        self._account, self._totals, self._pages = "", Totals(), True

    def _end_statement(self) -> None:
        if self._whole and self._pages:
            for name, why in self._totals.mistakes():
                self._of_statement(name, why)

    def _add_part(self, entry: Entry, part: Part) -> None:
        if part.name in _ONCE and (part.name in entry.parts or self._count):
            self._add(f"Ntry/{part.name}", "must be given once, and before the transactions")
        entry.parts[part.name] = part.element

    def _add_transaction(self, entry: Entry, details: Element) -> None:
        transaction = transaction_of(details)
        self._count += 1
        for path in AMOUNTS:
            self._check_amount(at(details, path), f"TxDtls/{path}", entry.money)
        amount = transaction.amount_in(entry.money.currency) if entry.money else None
        if amount is None or transaction.direction not in {"", entry.text("CdtDbtInd")}:
            self._adds_up = False
        else:
            self._sum += amount

    def _end_entry(self) -> None:
        entry = self._entry
        assert entry is not None
        self._entry = None
        money = entry.money
        singly = self._count > 1 and self._adds_up and money is not None and self._sum == money.amount
        self.singly.append(singly)
        self._check_entry(entry)
        if money is not None:
            self._totals.add(CREDIT if entry.is_credit else DEBIT, entry.status == BOOKED, money)
        self.transactions += self._count if singly else 1

    def _check_entry(self, entry: Entry) -> None:
        if entry.parts.get("Amt") is None:
            self._add("Ntry/Amt", "must be given")
        self._check_amount(entry.parts.get("Amt"), "Ntry/Amt")
        if entry.text("CdtDbtInd") not in {CREDIT, DEBIT}:
            self._add("Ntry/CdtDbtInd", "must be CRDT or DBIT")
        if entry.text("RvslInd") not in TRUE | FALSE:
            self._add("Ntry/RvslInd", "must be true or false")
        if entry.status not in {BOOKED, PENDING, *_SETTLES_NOTHING}:
            self._add("Ntry/Sts", "must be BOOK, PDNG, INFO or FUTR")
        days = [(name, entry.parts.get(name)) for name in ("BookgDt", "ValDt")]
        for name, element in days:
            day = day_of(element)
            if element is not None and day is None:
                self._add(f"Ntry/{name}", "must be a date, YYYY-MM-DD, or a time of ISO 8601")
            elif day and day > self._last_day:
                self._add(f"Ntry/{name}", "lies more than a year after the day of import")
        if all(element is None for _, element in days) and entry.status in {BOOKED, PENDING}:
            self._add("Ntry/BookgDt", "must be given, or ValDt: ask the bank for the day of the booking")

    def _check_amount(self, element: Element | None, name: str, of: Money | None = None) -> None:
        """An amount; one in another currency than the entry it is of is not counted, and may have any."""
        money = money_of(element)
        if element is None:
            return
        if money is None:
            self._add(name, "must be a decimal number without a sign, with its currency")
            return
        if of is not None and of.currency != money.currency:
            return
        try:
            amount = smallest(money.amount, money.currency)
        except ValueError as error:
            self._add(name, str(error))
        else:
            if money.currency == YEN and amount > MAX_AMOUNT:
                self._add(name, f"must be {MAX_AMOUNT} at most")

    def _of_statement(self, name: str, why: str) -> None:
        self._findings.add(0, 0, f"statement {self.accounts}, {name}", why)

    def _add(self, name: str, why: str) -> None:
        self._findings.add(self.number, 0, name, why)
