"""Our own payments on statements: refunds paid, alone or as a whole file, and refunds that came back."""

import asyncio
from datetime import date

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.refund import RefundAccount
from records import audit, import_log, ledger, refunds, staff
from records.bank_lines import Doubt, Recorded
from records.database import Database
from records.ledger import DepositState
from records.own_payments import OwnPayment, record_own
from records.refunds import PaidLine, RefundState
from runtime.keys import Keyring
from tests.records.money import ACCOUNT, ON, balanced, bank, propose_refund, record

OTHER = ACCOUNT.model_copy(update={"number": "7654321", "holder_kana": "ﾚｲｼﾞ ｲﾁﾛｳ"})
LATER = date(2018, 12, 10)


@pytest.fixture
async def written(db: Database, keyring: Keyring) -> list[str]:
    """The numbers of two refunds in one file for the bank, of 600 and 700 yen."""
    await record(db, keyring, bank("B1", 600), bank("B2", 700))
    numbers = []
    async with db.begin() as conn:
        await staff.seed_development(conn)
        for deposit_id, account in (("B1", ACCOUNT), ("B2", OTHER)):
            numbers.append(await _approved(conn, db, deposit_id, account))
        await refunds.write_file(conn, kind="zengin", by="accounts-1", on=ON, pay_on=ON)
    return numbers


async def _approved(conn: AsyncConnection, db: Database, deposit_id: str, account: RefundAccount) -> str:
    refund = await propose_refund(
        conn, db.vault, deposit_id, None, account=account, by="accounts-1", key=deposit_id
    )
    return (await refunds.approve(conn, refund.number, by="manager-1", on=ON)).number


async def show(db: Database, *payments: OwnPayment) -> Recorded:
    async with db.begin() as conn:
        return await record_own(conn, db.vault, "zengin", "file-1", payments, by="accounts-1")


async def accept(db: Database, file_id: str = "RT-2018-000001") -> None:
    async with db.begin() as conn:
        await refunds.accept_file(conn, file_id, by="accounts-1", on=ON)


async def again(db: Database, deposit_id: str, on: date) -> str:
    """A refund to the same payee in a new file that the bank took on a day; answers its number."""
    async with db.begin() as conn:
        refund = await propose_refund(conn, db.vault, deposit_id, on=on, key=f"again/{on}")
        await refunds.approve(conn, refund.number, by="manager-1", on=on)
        file = await refunds.write_file(conn, kind="zengin", by="accounts-1", on=on, pay_on=on)
        assert file is not None
        await refunds.accept_file(conn, file.id, by="accounts-1", on=on)
    return refund.number


def returned(key: str, on: date, text: str = "") -> OwnPayment:
    return OwnPayment(PaidLine(key, on, 600, holder="ﾐﾎﾝ ﾊﾅｺ", text=text), returned=True)


async def states(db: Database, numbers: list[str]) -> list[RefundState]:
    async with db.begin() as conn:
        return [(await refunds.find(conn, number)).state for number in numbers]


async def test_each_refund_that_a_statement_shows_is_paid_once(db: Database, written: list[str]) -> None:
    lines = [
        OwnPayment(PaidLine("L1", LATER, 600, holder="ミホン　ハナコ")),
        OwnPayment(PaidLine("L2", LATER, 700, text=f"振込 {written[1]}")),
        OwnPayment(PaidLine("L3", LATER, 600, holder="ﾍﾞﾂｼﾞﾝ")),
        OwnPayment(PaidLine("L4", LATER, 700, holder="ﾚｲｼﾞ ｲﾁﾛｳ"), currency="USD"),
    ]
    assert await show(db, *lines) == Recorded(paid=2, other=2)
    assert await states(db, written) == [RefundState.PAID] * 2
    assert await show(db, *lines) == Recorded(repeated=2, other=2)
    await balanced(db)


async def test_one_line_without_a_payee_pays_a_whole_file(db: Database, written: list[str]) -> None:
    salary = OwnPayment(PaidLine("L1", LATER, 1300, text="ｷﾕｳﾖ"))
    assert await show(db, salary) == Recorded(other=1)
    whole = OwnPayment(PaidLine("L2", LATER, 1300, text="ｿｳｺﾞｳﾌﾘｺﾐ"))
    assert await show(db, whole) == Recorded(paid=1)
    assert await states(db, written) == [RefundState.PAID] * 2
    assert await show(db, whole) == Recorded(repeated=1)


async def test_a_refund_that_came_back_waits_again_and_one_nobody_knows_is_for_a_clerk(
    db: Database, written: list[str]
) -> None:
    back = OwnPayment(PaidLine("L1", LATER, 600, holder="ﾐﾎﾝ ﾊﾅｺ"), returned=True)
    assert await show(db, back) == Recorded(doubts=1)  # nobody said that the bank took the file
    await accept(db)
    unknown = OwnPayment(PaidLine("L2", LATER, 600, holder="ﾍﾞﾂｼﾞﾝ"), returned=True)
    foreign = OwnPayment(PaidLine("L3", LATER, 700, holder="ﾚｲｼﾞ ｲﾁﾛｳ"), currency="USD", returned=True)
    assert await show(db, back, unknown, foreign) == Recorded(returned=1, doubts=2)
    assert await states(db, written) == [RefundState.REJECTED, RefundState.WRITTEN]
    assert await show(db, back, unknown) == Recorded(repeated=1, doubts=1)
    async with db.begin() as conn:
        deposit = await ledger.find(conn, "zengin", "B1")
        assert (deposit.state, deposit.remainder) == (DepositState.SUSPENSE, 600)
        noted = [(each.line, each.doubt, each.currency) for each in await import_log.doubts(conn, "file-1")]
        assert noted == [
            ("L1", Doubt.RETURN_UNKNOWN, "JPY"),
            ("L2", Doubt.RETURN_UNKNOWN, "JPY"),
            ("L3", Doubt.RETURN_UNKNOWN, "USD"),
        ]
        assert (await audit.verify(conn)).broken == ()
    await balanced(db)


async def test_a_refund_returned_by_hand_is_the_one_a_later_line_shows(
    db: Database, written: list[str]
) -> None:
    await accept(db)
    async with db.begin() as conn:
        await refunds.came_back(conn, written[0], by="accounts-1", on=LATER)
    second = await again(db, "B1", date(2018, 12, 12))
    assert await show(db, returned("L1", LATER)) == Recorded(returned=1)
    assert await states(db, [second]) == [RefundState.WRITTEN]
    assert await show(db, returned("L1", LATER)) == Recorded(repeated=1)
    assert await show(db, returned("L2", LATER)) == Recorded(doubts=1)  # another telling of it
    assert await states(db, [second]) == [RefundState.WRITTEN]
    assert await show(db, returned("L3", date(2018, 12, 14))) == Recorded(returned=1)
    assert await states(db, [second]) == [RefundState.REJECTED]
    await balanced(db)


async def test_a_return_that_could_be_of_several_refunds_is_for_a_clerk(
    db: Database, keyring: Keyring, written: list[str]
) -> None:
    await accept(db)
    await record(db, keyring, bank("B3", 600))
    numbers = [written[0], await again(db, "B3", ON)]
    assert await show(db, returned("L1", LATER)) == Recorded(doubts=1)
    assert await show(db, returned("L2", LATER, numbers[0])) == Recorded(returned=1)
    assert await show(db, returned("L1", LATER)) == Recorded(doubts=1)  # it may tell of the same return
    assert await states(db, numbers) == [RefundState.REJECTED, RefundState.WRITTEN]
    async with db.begin() as conn:
        noted = [(each.line, each.doubt) for each in await import_log.doubts(conn, "file-1")]
        assert noted == [("L1", Doubt.REFUND_UNSURE)]
        await refunds.came_back(conn, numbers[1], by="accounts-1", on=LATER)
    assert await show(db, returned("L1", LATER)) == Recorded(returned=1)


async def test_a_payment_that_could_be_of_several_refunds_is_for_a_clerk(
    db: Database, keyring: Keyring, written: list[str]
) -> None:
    await record(db, keyring, bank("B3", 600))
    numbers = [written[0], await again(db, "B3", ON)]
    lines = [OwnPayment(PaidLine(key, LATER, 600, holder="ﾐﾎﾝ ﾊﾅｺ")) for key in ("L1", "L2")]
    assert await show(db, *lines) == Recorded(doubts=2)
    assert await states(db, numbers) == [RefundState.WRITTEN] * 2
    async with db.begin() as conn:
        for number in numbers:
            await refunds.record_paid(conn, number, by="accounts-1", on=LATER)
    assert await show(db, *lines) == Recorded(paid=2)
    assert await show(db, *lines) == Recorded(repeated=2)


async def test_the_payment_of_what_came_back_does_not_pay_another_refund(
    db: Database, keyring: Keyring, written: list[str]
) -> None:
    await accept(db)
    await record(db, keyring, bank("B3", 600))
    other = await again(db, "B3", ON)
    async with db.begin() as conn:
        await refunds.came_back(conn, written[0], by="accounts-1", on=LATER)
    early, late = (
        OwnPayment(PaidLine(key, day, 600, holder="ﾐﾎﾝ ﾊﾅｺ"))
        for key, day in (("L1", ON), ("L2", date(2018, 12, 11)))
    )
    assert await show(db, early) == Recorded(doubts=1)
    assert await states(db, [other]) == [RefundState.WRITTEN]
    assert await show(db, late) == Recorded(paid=1)


async def test_a_return_line_waits_for_whoever_refuses_the_file(db: Database, written: list[str]) -> None:
    async with db.begin() as conn:
        await refunds.refuse_file(conn, "RT-2018-000001", by="accounts-1", on=ON)
        line = asyncio.create_task(show(db, returned("L1", LATER)))
        assert await asyncio.wait([line], timeout=0.3) == (set(), {line})
    assert await line == Recorded(doubts=1)
    assert await states(db, written) == [RefundState.APPROVED] * 2
