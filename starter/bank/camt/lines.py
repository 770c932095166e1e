"""The second pass over a message: its lines of money, one by one."""

from collections.abc import Iterator
from typing import BinaryIO

from starter.bank.camt.elements import (
    NOTHING,
    Entry,
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

    def of(self, stream: BinaryIO) -> Iterator[BankDeposit]:
        number = 0
        entry, kept = Entry(0), list[Transaction]()
        for part in parts(stream):
            if part.name == "+Ntry":
                number += 1
                if number > len(self._singly):
                    raise refused("it changed while it was read")
                entry, kept = Entry(number), []
            elif part.name == "-Ntry":
                if not self._singly[number - 1]:
                    yield from self._line(entry, together(kept), entry.text("AcctSvcrRef"))
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
        self, entry: Entry, transaction: Transaction | None, reference: str, single: bool = False
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
        )
