"""The second pass over a message: its lines of money, one by one."""

import re
from collections.abc import Iterator
from datetime import date
from typing import BinaryIO

from starter.bank.camt.elements import (
    NOTHING,
    Entry,
    Money,
    Transaction,
    account_of,
    movement_of,
    together,
    transaction_of,
)
from starter.bank.camt.walking import parts
from starter.bank.deposits import BankDeposit, Movement, Naming, words
from starter.bank.findings import refused

_JOINED = 20
"""Of an entry that counts as a whole: the transactions whose references are kept."""


class Lines:
    """The second pass: the lines, one by one."""

    def __init__(self, naming: Naming, singly: bytes) -> None:
        self._naming, self._singly = naming, singly
        self._account = ""
        self._of_entry: tuple[str, str] | None = None

    def of(self, stream: BinaryIO) -> Iterator[BankDeposit]:
        number = 0
        entry, kept = Entry(0), list[Transaction]()
        for part in parts(stream):
            if part.name == "+Ntry":
                number += 1
                if number > len(self._singly):
                    raise refused("it changed while it was read")
                entry, kept = Entry(number), []
                self._of_entry = None
            elif part.name == "-Ntry":
                if not self._singly[number - 1]:
                    told = together(kept)
                    lump = len(kept) != 1 or not kept[0].tells or _count(entry) > 1
                    yield from self._line(entry, told, entry.text("AcctSvcrRef"), lump=lump)
            elif part.name == "TxDtls":
                if self._singly[number - 1]:
                    transaction = transaction_of(part.element)
                    yield from self._line(entry, transaction, transaction.bank_reference, single=True)
                elif len(kept) < _JOINED:
                    kept.append(transaction_of(part.element))
            elif part.in_entry:
                entry.parts[part.name] = part.element
            elif part.name == "Acct":
                self._account = account_of(part.element)

    def _line(
        self,
        entry: Entry,
        transaction: Transaction | None,
        reference: str,
        single: bool = False,
        lump: bool = False,
    ) -> Iterator[BankDeposit]:
        """One line, or none where the entry says nothing of money yet."""
        movement, money = movement_of(entry, transaction), entry.money
        if movement is None:
            return
        booked = entry.booked or entry.value_date
        amount = money.amount if money else None
        if money and transaction and single:
            amount = transaction.amount_in(money.currency)
        if money is None or booked is None or amount is None:
            raise refused("it changed while it was read")
        if not amount:
            return
        ours = movement in {Movement.PAID, Movement.RETURNED}
        arrived = movement in {Movement.PRELIMINARY, Movement.SETTLED}
        fingerprint, own = self._fingerprints(entry, booked, money)
        told = transaction or NOTHING
        party = words(told.creditor if ours else told.debtor)
        remittance = words(*told.structured, told.end_to_end)
        free = words(*told.unstructured) or words("" if single else entry.text("AddtlNtryInf"))
        content = [self._account, booked.isoformat(), f"{amount.normalize():f}", money.currency]
        if reference:
            content += ["reference", reference]
        else:
            content += ["content", entry.text("AcctSvcrRef"), party, remittance, free]
        yield BankDeposit(
            deposit_id=self._naming.id_of(movement, content),
            likeness=self._naming.likeness(self._account, amount.normalize(), money.currency, party),
            movement=movement,
            account=self._account,
            amount=amount,
            currency=money.currency,
            booked=booked,
            value_date=entry.value_date or booked,
            party=party,
            reference=remittance,
            edi=free,
            virtual_account="" if ours or told.creditor_account == self._account else told.creditor_account,
            bank_reference=words(reference or entry.text("AcctSvcrRef")),
            entry=fingerprint if arrived else "",
            entry_reference=own if arrived else "",
            lump=lump and arrived,
        )

    def _fingerprints(self, entry: Entry, booked: date, money: Money) -> tuple[str, str]:
        """Of the entry as such: the same for all its lines, so made once."""
        if self._of_entry is None:
            amount, reference = money.amount.normalize(), entry.text("AcctSvcrRef")
            self._of_entry = (
                self._naming.entry(self._account, booked, amount, money.currency),
                self._naming.entry_reference(reference),
            )
        return self._of_entry


def _count(entry: Entry) -> int:
    """How many payments an entry says are in it, where it says so."""
    stated = entry.text("Btch/NbOfTxs")
    return int(stated) if re.fullmatch("[0-9]{1,15}", stated) else 0
