"""Our own payments on statements: refunds paid, alone or as a whole file, and refunds that came back."""

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
            ("L2", Doubt.RETURN_UNKNOWN, "JPY"),
            ("L3", Doubt.RETURN_UNKNOWN, "USD"),
        ]
        assert (await audit.verify(conn)).broken == ()
    await balanced(db)
