"""The money in a Zengin file that was read: who paid, who was paid, what was taken back."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

from starter.bank.deposits import BankDeposit, Movement, Naming, words
from starter.bank.zengin import eras
from starter.bank.zengin.reading import ZenginFile
from starter.bank.zengin.records import (
    CANCELLED,
    CORRECTION,
    IN,
    NoticeDataA,
    NoticeDataB,
    NoticeHeader,
    StatementData,
    StatementHeader,
)

_MOVEMENTS = {  # by whether it goes in, and whether it corrects
    (True, False): Movement.SETTLED,
    (False, False): Movement.PAID,
    (True, True): Movement.RETURNED,  # corrects what went out
    (False, True): Movement.TAKEN_BACK,  # corrects what came in
}


def lines(file: ZenginFile, naming: Naming) -> Iterator[BankDeposit]:
    """Each transaction of more than zero yen, in the order of the file."""
    account = ""
    for record in file:
        match record:
            case NoticeHeader() | StatementHeader():
                account = account_of(record)
            case NoticeDataA() | NoticeDataB() | StatementData() if record.amount:
                yield _line(record, account, file.today, naming)
            case _:
                pass


def account_of(header: NoticeHeader | StatementHeader) -> str:
    """The account as bank, branch, type and number, the same from a notice and from a statement."""
    number = header.account_number.strip(" ").lstrip("0").zfill(7)
    return f"{header.bank_code}-{header.branch_code}-{header.account_type}-{number}"


def _line(
    record: NoticeDataA | NoticeDataB | StatementData, account: str, today: date, naming: Naming
) -> BankDeposit:
    booked = eras.day(record.booked, today)
    assert booked is not None  # the first pass would have refused the file
    movement, memo = _movement(record), record.memo if isinstance(record, StatementData) else ""
    amount, party = Decimal(record.amount), words(record.payer_name)
    content = [account, booked.isoformat(), str(amount), party, "" if party else memo, record.edi]
    return BankDeposit(
        deposit_id=naming.id_of(movement, content),
        likeness=naming.likeness(account, amount, "JPY", party),
        movement=movement,
        account=account,
        amount=amount,
        currency="JPY",
        booked=booked,
        value_date=eras.day(record.value_day, today) or booked,
        party=party,
        reference=words(memo),
        edi=words(record.edi),
        virtual_account=record.payer_code.strip() if record.payer_code.strip(" 0") else "",
        bank_reference=record.number.strip() if record.number.strip(" 0") else "",
    )


def _movement(record: NoticeDataA | NoticeDataB | StatementData) -> Movement:
    if isinstance(record, StatementData):
        return _MOVEMENTS[record.direction == IN, record.type == CORRECTION]
    return Movement.TAKEN_BACK if record.cancel == CANCELLED else Movement.SETTLED
