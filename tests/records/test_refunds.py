"""Money that goes back: proposed by one person, approved by another, paid once."""

import asyncio
from collections.abc import Sequence
from datetime import date
from uuid import UUID, uuid4

import pytest
from pydantic import ValidationError
from sqlalchemy import select, update

from policy.refund import AccountType, RefundAccount
from policy.refusals import Code, Refusal
from records import audit, errands, ledger, refunds, staff
from records.database import Database
from records.ledger import DepositState, Match, Suspense
from records.refunds import FileKind, PaidLine, RefundRow, RefundState
from records.tables import refunds as table
from records.tables import vault
from runtime.keys import Keyring
from tests.records.money import ACCOUNT, ON, REFERENCE, balanced, bank, invoice, propose_refund, record

OTHER = ACCOUNT.model_copy(update={"number": "7654321", "holder_kana": "ﾚｲｼﾞ ｲﾁﾛｳ"})


@pytest.fixture(autouse=True)
async def clerks(db: Database) -> None:
    async with db.begin() as conn:
        await staff.seed_development(conn)
        await staff.add(conn, "accounts-2", await staff.roles_of(conn, "accounts-1"), by="manager-1")


async def propose(
    db: Database,
    deposit_id: str = "B1",
    amount: int | None = None,
    *,
    account: RefundAccount = ACCOUNT,
    by: str = "accounts-1",
    key: str = "1",
) -> RefundRow:
    async with db.begin() as conn:
        return await propose_refund(conn, db.vault, deposit_id, amount, account=account, by=by, key=key)


async def approve(db: Database, number: str, by: str = "manager-1") -> RefundRow:
    async with db.begin() as conn:
        return await refunds.approve(conn, number, by=by, on=ON)


async def write(db: Database, numbers: Sequence[str] | None = None) -> refunds.FileRow | None:
    async with db.begin() as conn:
        return await refunds.write_file(
            conn, kind="zengin", by="accounts-1", on=ON, pay_on=ON, numbers=numbers
        )


async def pay(db: Database, line: PaidLine) -> list[str]:
    async with db.begin() as conn:
        paid = await refunds.mark_paid(conn, db.vault, line, by="accounts-1")
    return [refund.number for refund in paid]


async def found(db: Database, deposit_id: str = "B1") -> Match:
    async with db.begin() as conn:
        return (await ledger.find(conn, "zengin", deposit_id)).match


async def test_what_is_over_goes_back_in_five_steps_each_once(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    await invoice(db, request_id)
    await record(db, keyring, bank("B1", 6000, REFERENCE))
    async with db.begin() as conn:
        account_id = await refunds.seal_account(conn, db.vault, "zengin", "B1", ACCOUNT)
        proposed = {
            (
                await refunds.propose(
                    conn, "zengin", "B1", account_id=account_id, by="accounts-1", on=ON, key="1"
                )
            ).number
            for _ in range(2)
        }
    assert proposed == {"RF-2018-000001"}
    assert await found(db) == Match(DepositState.MATCHED, request_id)
    (number,) = proposed
    for by in ("accounts-2", "accounts-2", "manager-1"):
        approved = await approve(db, number, by)
        assert (approved.state, approved.approved_by) == (RefundState.APPROVED, "accounts-2")
    file = await write(db)
    assert file is not None
    assert (file.id, file.refunds, file.total) == ("RT-2018-000001", (number,), 600)
    assert await write(db) is None
    async with db.begin() as conn:
        for _ in range(2):
            assert (await refunds.accept_file(conn, file.id, by="accounts-1", on=ON)).state == "accepted"
        assert await refunds.transfers(conn, db.vault, file.id) == [
            refunds.Transfer(number, 600, "JPY", ACCOUNT)
        ]
    line = PaidLine("s1/1", date(2018, 12, 7), 600, holder="ミホン　ハナコ")
    for _ in range(2):
        assert await pay(db, line) == [number]
    async with db.begin() as conn:
        paid = await refunds.find(conn, number)
        assert (paid.state, paid.paid_on, paid.amount) == (RefundState.PAID, date(2018, 12, 7), 600)
        acts = [event.act for event in await audit.events(conn, "deposit/zengin/B1")]
    assert acts[-5:] == [
        "refund_proposed",
        "refund_approved",
        "refund_written",
        "refund_accepted",
        "refund_paid",
    ]
    books = await balanced(db, ON)
    assert [(line.matched, line.refunded, line.opening) for line in books.deposits] == [(0, 600, 600)]


async def test_nobody_approves_their_own_proposal_or_acts_outside_their_role(
    db: Database, keyring: Keyring
) -> None:
    await record(db, keyring, bank("B1"))
    number = (await propose(db, amount=400)).number
    async with db.begin() as conn:
        cases = [
            (refunds.approve(conn, number, by="accounts-1", on=ON), Code.SAME_PERSON),
            (refunds.approve(conn, number, by="officer-1", on=ON), Code.WRONG_ROLE),
            (refunds.approve(conn, number, by="nobody-1", on=ON), Code.UNKNOWN_STAFF),
            (refunds.approve(conn, "RF-2018-000009", by="manager-1", on=ON), Code.UNKNOWN_REFUND),
            (refunds.reject(conn, number, by="auditor-1", on=ON), Code.WRONG_ROLE),
            (refunds.came_back(conn, number, by="accounts-1", on=ON), Code.REFUND_STATE),
            (refunds.write_file(conn, kind="list", by="manager-1", pay_on=ON, on=ON), Code.WRONG_ROLE),
            (
                refunds.write_file(conn, kind="list", by="accounts-1", pay_on=ON, numbers=[number], on=ON),
                Code.REFUND_STATE,
            ),
            (refunds.accept_file(conn, "RT-2018-000001", by="accounts-1", on=ON), Code.UNKNOWN_REFUND),
        ]
        for act, code in cases:
            with pytest.raises(Refusal) as caught:
                await act
            assert caught.value.code is code
        assert (await refunds.find(conn, number)).state is RefundState.PROPOSED
    for deposit_id, amount, by, code in [
        ("B1", 5001, "accounts-1", Code.NOT_REFUNDABLE),
        ("B1", 0, "accounts-1", Code.NOT_REFUNDABLE),
        ("B1", 1, "manager-1", Code.WRONG_ROLE),
        ("B9", 1, "accounts-1", Code.UNKNOWN_DEPOSIT),
    ]:
        with pytest.raises(Refusal) as caught:
            await propose(db, deposit_id, amount, by=by, key="2")
        assert caught.value.code is code


async def test_a_rejected_refund_leaves_its_yen_in_suspense(db: Database, keyring: Keyring) -> None:
    await record(db, keyring, bank("B1"))
    number = (await propose(db)).number
    assert await found(db) == Match(DepositState.REFUNDED)
    with pytest.raises(Refusal):
        await propose(db, key="2")
    await approve(db, number)
    for _ in range(2):
        async with db.begin() as conn:
            rejected = await refunds.reject(conn, number, by="accounts-1", on=ON)
            assert (rejected.state, rejected.rejected_on) == (RefundState.REJECTED, ON)
    assert await found(db) == Match(DepositState.SUSPENSE, None, Suspense.UNIDENTIFIED)
    with pytest.raises(Refusal) as caught:
        await approve(db, number)
    assert caught.value.code is Code.REFUND_STATE
    assert (await propose(db, key="2")).number == "RF-2018-000002"
    async with db.begin() as conn:
        assert await errands.count_pending(conn) == 4
    await balanced(db)


async def test_a_refund_is_in_one_file_until_the_bank_refuses_it(db: Database, keyring: Keyring) -> None:
    await record(db, keyring, bank("B1"), bank("B2", 100), bank("B3", 200, currency="USD"))
    for deposit_id in ("B1", "B2", "B3"):
        await approve(db, (await propose(db, deposit_id)).number)
    files = await asyncio.gather(*(write(db) for _ in range(8)))
    (file,) = [each for each in files if each is not None]
    assert (file.refunds, file.total) == (("RF-2018-000001", "RF-2018-000002"), 5500)
    async with db.begin() as conn:
        with pytest.raises(Refusal):
            await refunds.reject(conn, "RF-2018-000001", by="manager-1", on=ON)
        for _ in range(2):
            assert (await refunds.refuse_file(conn, file.id, by="accounts-1", on=ON)).state == "refused"
        with pytest.raises(Refusal):
            await refunds.accept_file(conn, file.id, by="accounts-1", on=ON)
    second = await write(db, ["RF-2018-000002"])
    assert second is not None
    assert (second.id, second.refunds) == ("RT-2018-000002", ("RF-2018-000002",))
    assert await pay(db, PaidLine("l1", ON, 100, file_id=second.id)) == ["RF-2018-000002"]
    async with db.begin() as conn:
        with pytest.raises(Refusal):
            await refunds.refuse_file(conn, second.id, by="accounts-1", on=ON)
        assert [each.id for each in await refunds.list_files(conn)] == ["RT-2018-000001", "RT-2018-000002"]
        approved = await refunds.list_refunds(conn, state=RefundState.APPROVED)
        assert [refund.number for refund in approved] == ["RF-2018-000001", "RF-2018-000003"]


@pytest.mark.parametrize(
    ("line", "marked"),
    [
        (PaidLine("l", ON, 5400, account="7654321"), "RF-2018-000002"),
        (PaidLine("l", ON, 5400, holder="ﾚｲｼﾞ ｲﾁﾛｳ"), "RF-2018-000002"),
        (PaidLine("l", ON, 5400, text="ＲＦ－２０１８－０００００２"), "RF-2018-000002"),
        (PaidLine("l", ON, 5400, text="RF2018000002", holder="ﾍﾞﾂﾉ ﾋﾄ"), "RF-2018-000002"),
        (PaidLine("l", ON, 5401, holder="ﾚｲｼﾞ ｲﾁﾛｳ"), None),
        (PaidLine("l", ON, 5401, text="RF-2018-000002"), None),
        (PaidLine("l", ON, 5400, holder="ﾍﾞﾂﾉ ﾋﾄ"), None),
        (PaidLine("l", ON, 5400, holder="別の人"), None),
        (PaidLine("l", ON, 5400, account="1111111", holder="ﾚｲｼﾞ ｲﾁﾛｳ"), None),
        (PaidLine("l", ON, 5400, text="RF-2018-000001 RF-2018-000002"), None),
        (PaidLine("l", ON, 5400), None),
        (PaidLine("l", ON, 10800), None),
        (PaidLine("l", date(2018, 12, 5), 5400, account="7654321"), None),
        (PaidLine("l", ON, 5400, file_id="RT-2018-000001"), None),
        (PaidLine("l", ON, 10800, file_id="RT-2018-000001"), "RF-2018-000001 RF-2018-000002"),
    ],
)
async def test_a_line_marks_only_what_it_shows_for_certain(
    db: Database, keyring: Keyring, line: PaidLine, marked: str | None
) -> None:
    await record(db, keyring, bank("B1"), bank("B2"))
    for deposit_id, account in (("B1", ACCOUNT), ("B2", OTHER)):
        await approve(db, (await propose(db, deposit_id, account=account)).number)
    await write(db)
    assert await pay(db, line) == (marked.split() if marked else [])
    assert await pay(db, line) == (marked.split() if marked else [])


async def test_a_line_that_could_mean_either_of_two_refunds_marks_neither(
    db: Database, keyring: Keyring
) -> None:
    await record(db, keyring, bank("B1"), bank("B2"))
    for deposit_id in ("B1", "B2"):
        await approve(db, (await propose(db, deposit_id)).number)
        await write(db)
    named = PaidLine("l1", ON, 5400, text="RF-2018-000001", account="1234567")
    same_day = PaidLine("l2", ON, 5400, account="1234567")
    assert [await pay(db, line) for line in (same_day, named, same_day)] == [[], ["RF-2018-000001"], []]
    async with db.begin() as conn:  # the bank never had the second file
        assert (await refunds.refuse_file(conn, "RT-2018-000002", by="accounts-1", on=ON)).state == "refused"
    await write(db)
    next_day = PaidLine("l3", date(2018, 12, 7), 5400, account="1234567")
    assert [await pay(db, line) for line in (next_day, next_day)] == [["RF-2018-000002"]] * 2


async def test_a_refund_paid_by_hand_is_the_one_a_later_line_shows(db: Database, keyring: Keyring) -> None:
    await record(db, keyring, bank("B1"), bank("B2"))
    for deposit_id in ("B1", "B2"):
        await approve(db, (await propose(db, deposit_id)).number)
    async with db.begin() as conn:
        with pytest.raises(Refusal) as caught:
            await refunds.record_paid(conn, "RF-2018-000001", by="accounts-1", on=date(2018, 12, 7))
        assert caught.value.code is Code.REFUND_STATE
    await write(db)
    async with db.begin() as conn:
        with pytest.raises(Refusal) as caught:
            await refunds.record_paid(conn, "RF-2018-000001", by="accounts-1", on=date(2018, 12, 5))
        assert caught.value.code is Code.MALFORMED
        for _ in range(2):
            paid = await refunds.record_paid(conn, "RF-2018-000001", by="accounts-1", on=date(2018, 12, 7))
            assert (paid.state, paid.paid_on) == (RefundState.PAID, date(2018, 12, 7))
    keys = [("l1", 8), ("l2", 8), ("l3", 9), ("l4", 9), ("l1", 8)]
    lines = [PaidLine(key, date(2018, 12, day), 5400, account="1234567") for key, day in keys]
    marked = [await pay(db, line) for line in lines]
    assert marked == [["RF-2018-000001"], [], ["RF-2018-000002"], [], ["RF-2018-000001"]]


async def test_another_currency_is_listed_but_in_no_transfer_file(db: Database, keyring: Keyring) -> None:
    await record(db, keyring, bank("B1", 300), bank("B2", 300, currency="USD"))
    for deposit_id in ("B1", "B2"):
        await approve(db, (await propose(db, deposit_id)).number)

    async def write_dollars(kind: FileKind, numbers: list[str] | None = None) -> refunds.FileRow | None:
        async with db.begin() as conn:
            return await refunds.write_file(
                conn, kind=kind, by="accounts-1", on=ON, pay_on=ON, currency="USD", numbers=numbers
            )

    refused: list[tuple[FileKind, list[str] | None, Code]] = [
        ("zengin", None, Code.MALFORMED),
        ("list", ["RF-2018-000001"], Code.REFUND_STATE),
        ("list", ["RF-2018-000009"], Code.UNKNOWN_REFUND),
    ]
    for kind, numbers, code in refused:
        with pytest.raises(Refusal) as caught:
            await write_dollars(kind, numbers)
        assert caught.value.code is code
    file = await write_dollars("list")
    assert file is not None
    assert (file.refunds, file.currency, file.total) == (("RF-2018-000002",), "USD", 300)
    assert await pay(db, PaidLine("l1", ON, 300, account="1234567")) == []
    assert await pay(db, PaidLine("l2", ON, 300, file_id=file.id)) == []


async def test_a_refund_that_comes_back_waits_again(db: Database, keyring: Keyring) -> None:
    await record(db, keyring, bank("B1"))
    number = (await propose(db)).number
    await approve(db, number)
    await write(db)
    await pay(db, PaidLine("l1", ON, 5400, account="1234567"))
    for _ in range(2):
        async with db.begin() as conn:
            back = await refunds.came_back(conn, number, by="accounts-1", on=date(2018, 12, 10))
            assert back.state is RefundState.REJECTED
    assert await found(db) == Match(DepositState.SUSPENSE, None, Suspense.UNIDENTIFIED)
    again = await propose(db, account=OTHER, key="2")
    await approve(db, again.number)
    assert await write(db) is not None
    await balanced(db, ON)


async def test_only_what_the_bank_took_comes_back(db: Database, keyring: Keyring) -> None:
    """Else its yen would be in two files, and both could be paid."""
    await record(db, keyring, bank("B1"), bank("B2", 100))
    for deposit_id in ("B1", "B2"):
        await approve(db, (await propose(db, deposit_id)).number)
    file = await write(db)
    assert file is not None
    async with db.begin() as conn:
        with pytest.raises(Refusal, match=f"kaiji refunds accepted {file.id}") as caught:
            await refunds.came_back(conn, "RF-2018-000001", by="accounts-1", on=ON)
        assert caught.value.code is Code.REFUND_STATE
        await refunds.refuse_file(conn, file.id, by="accounts-1", on=ON)
    file = await write(db)
    assert file is not None
    async with db.begin() as conn:
        await refunds.accept_file(conn, file.id, by="accounts-1", on=ON)
        await refunds.came_back(conn, "RF-2018-000001", by="accounts-1", on=ON)
        assert (await refunds.accept_file(conn, file.id, by="accounts-1", on=ON)).state == "accepted"
        with pytest.raises(Refusal, match="RF-2018-000001"):
            await refunds.transfers(conn, db.vault, file.id)


async def test_a_file_of_which_a_refund_is_given_up_is_not_for_the_bank(
    db: Database, keyring: Keyring
) -> None:
    await record(db, keyring, bank("B1"), bank("B2", 100))
    for deposit_id in ("B1", "B2"):
        await approve(db, (await propose(db, deposit_id)).number)
    file = await write(db)
    assert file is not None
    async with db.begin() as conn:
        one = table.c.number == "RF-2018-000001"
        await conn.execute(update(table).where(one).values(state="rejected", rejected_on=ON))
        with pytest.raises(Refusal, match="RF-2018-000001"):
            await refunds.accept_file(conn, file.id, by="accounts-1", on=ON)
        with pytest.raises(Refusal, match="RF-2018-000001"):
            await refunds.transfers(conn, db.vault, file.id)
        assert (await refunds.refuse_file(conn, file.id, by="accounts-1", on=ON)).state == "refused"
        assert [(await refunds.find(conn, f"RF-2018-00000{n}")).state for n in (1, 2)] == [
            RefundState.REJECTED,
            RefundState.APPROVED,
        ]


async def test_a_bank_that_paid_out_of_a_file_took_it(db: Database, keyring: Keyring) -> None:
    await record(db, keyring, bank("B1"), bank("B2", 100))
    for deposit_id in ("B1", "B2"):
        await approve(db, (await propose(db, deposit_id)).number)
    file = await write(db)
    assert file is not None
    await pay(db, PaidLine("l1", ON, 5400, account="1234567"))
    async with db.begin() as conn:
        await refunds.came_back(conn, "RF-2018-000001", by="accounts-1", on=ON)
        assert (await refunds.find_file(conn, file.id)).state == "accepted"
        with pytest.raises(Refusal):
            await refunds.refuse_file(conn, file.id, by="accounts-1", on=ON)
        assert (await refunds.find(conn, "RF-2018-000002")).state is RefundState.WRITTEN
    assert await pay(db, PaidLine("l2", ON, 100, account="1234567")) == ["RF-2018-000002"]


async def test_what_comes_back_while_a_line_is_read_is_not_paid_by_it(db: Database, keyring: Keyring) -> None:
    await record(db, keyring, bank("B1"))
    number = (await propose(db)).number
    await approve(db, number)
    file = await write(db)
    assert file is not None
    async with db.begin() as conn:
        await refunds.accept_file(conn, file.id, by="accounts-1", on=ON)
    async with db.begin() as conn:
        await refunds.came_back(conn, number, by="accounts-1", on=ON)
        line = asyncio.create_task(pay(db, PaidLine("l1", ON, 5400, text=number)))
        assert await asyncio.wait([line], timeout=0.3) == (set(), {line})
        await propose_refund(conn, db.vault, "B1", key="2")
    assert await line == []
    async with db.begin() as conn:
        states = [refund.state for refund in await refunds.list_refunds(conn)]
        assert states == [RefundState.REJECTED, RefundState.PROPOSED]
    await balanced(db, ON)


async def test_money_told_of_twice_is_refunded_once(db: Database, keyring: Keyring) -> None:
    await record(db, keyring, bank("W1"), source="webhook")
    await record(db, keyring, bank("B1"), source="bank", kind="camt.053")
    async with db.begin() as conn:
        await propose_refund(conn, db.vault, "W1", source="webhook")
        with pytest.raises(Refusal, match="dismiss-twin") as caught:
            await propose_refund(conn, db.vault, "B1", source="bank")
        assert caught.value.code is Code.NOT_REFUNDABLE
        await ledger.dismiss_twin(conn, "bank", "B1", by="accounts-1", on=ON)
        with pytest.raises(Refusal):
            await propose_refund(conn, db.vault, "B1", source="bank")


async def test_a_deposit_taken_back_stops_its_refund_and_one_that_went_out_is_lost(
    db: Database, keyring: Keyring
) -> None:
    deposits = [bank(f"B{number}") for number in (1, 2, 3)]
    await record(db, keyring, *deposits)
    for number in (1, 2, 3):
        await propose(db, f"B{number}")
    await approve(db, "RF-2018-000002")
    await approve(db, "RF-2018-000003")
    file = await write(db, ["RF-2018-000003"])
    assert file is not None
    gone = [bank(f"B{number}", booked_on=date(2018, 12, 7), cancelled=True) for number in (1, 2, 3)]
    assert (await record(db, keyring, *gone, import_id="file-2")).taken_back == 3
    async with db.begin() as conn:
        states = [refund.state for refund in await refunds.list_refunds(conn)]
        assert states == [RefundState.REJECTED, RefundState.REJECTED, RefundState.WRITTEN]
        acts = [event.act for event in await audit.events(conn, "deposit/zengin/B3")]
        assert "refund_lost" in acts
    books = await balanced(db, ON)
    assert [(line.amount, line.lost) for line in books.deposits] == [(0, 0), (0, 0), (0, 5400)]
    async with db.begin() as conn:
        await refunds.refuse_file(conn, file.id, by="accounts-1", on=date(2018, 12, 8))
        assert (await refunds.find(conn, "RF-2018-000003")).state is RefundState.REJECTED
    assert [line.lost for line in (await balanced(db, ON)).deposits] == [0, 0, 0]


async def test_numbers_are_gapless_whoever_gives_up(db: Database, keyring: Keyring) -> None:
    await record(db, keyring, *(bank(f"B{number}") for number in range(6)))

    async def attempt(number: int) -> None:
        async with db.begin() as conn:
            await propose_refund(conn, db.vault, f"B{number}")
            if number % 2:
                raise RuntimeError

    await asyncio.gather(*(attempt(number) for number in range(6)), return_exceptions=True)
    async with db.begin() as conn:
        numbers = [refund.number for refund in await refunds.list_refunds(conn)]
    assert numbers == ["RF-2018-000001", "RF-2018-000002", "RF-2018-000003"]


async def test_two_proposals_of_the_same_remainder_one_wins(db: Database, keyring: Keyring) -> None:
    await record(db, keyring, bank("B1"))
    tries = await asyncio.gather(*(propose(db, key=f"{n}") for n in range(6)), return_exceptions=True)
    assert sum(isinstance(each, RefundRow) for each in tries) == 1
    assert {each.code for each in tries if isinstance(each, Refusal)} == {Code.NOT_REFUNDABLE}


async def test_the_account_is_sealed_under_its_deposit(db: Database, keyring: Keyring) -> None:
    await record(db, keyring, bank("B1"))
    number = (await propose(db)).number
    async with db.begin() as conn:
        assert await refunds.opened_account(conn, db.vault, number) == ACCOUNT
        cases = await conn.execute(
            select(vault.c.case_id, vault.c.record_class).where(vault.c.label == "refund_account")
        )
        assert [tuple(row) for row in cases] == [("deposit/zengin/B1", "payment_records")]
        assert "ﾐﾎﾝ" not in str(await audit.events(conn, "deposit/zengin/B1"))


async def test_only_an_account_sealed_for_this_deposit_is_refunded_to(db: Database, keyring: Keyring) -> None:
    await record(db, keyring, bank("B1"), bank("B2"))
    async with db.begin() as conn:
        ids = [
            await refunds.seal_account(conn, db.vault, "zengin", deposit_id, account)
            for deposit_id, account in [("B1", ACCOUNT), ("B1", ACCOUNT), ("B1", OTHER), ("B2", ACCOUNT)]
        ]
        assert (ids[0], len(set(ids))) == (ids[1], 3)
        payer = await conn.scalar(
            select(vault.c.id).where(vault.c.case_id == "deposit/zengin/B1", vault.c.label == "deposit")
        )
        for account_id in (ids[3], UUID(str(payer)), uuid4()):
            with pytest.raises(Refusal) as caught:
                await refunds.propose(
                    conn, "zengin", "B1", account_id=account_id, by="accounts-1", on=ON, key="1"
                )
            assert caught.value.code is Code.MALFORMED
    await propose(db)
    async with db.begin() as conn:
        assert await refunds.seal_account(conn, db.vault, "zengin", "B1", OTHER) == ids[2]
        another = ACCOUNT.model_copy(update={"branch_code": "002"})
        with pytest.raises(Refusal) as caught:
            await refunds.seal_account(conn, db.vault, "zengin", "B1", another)
        assert caught.value.code is Code.NOT_REFUNDABLE


@pytest.mark.parametrize(
    ("typed", "kana"),
    [
        ("ミホン ハナコ", "ﾐﾎﾝ ﾊﾅｺ"),
        ("みほん　はなこ", "ﾐﾎﾝ ﾊﾅｺ"),
        ("ｶ)ﾐﾎﾝ", "ｶ)ﾐﾎﾝ"),
        ("ショウジ", "ｼﾖｳｼﾞ"),
        ("Jean-Luc O.", "JEAN-LUC O."),
        ("スミスー", "ｽﾐｽ-"),
        ("パ" * 15, "ﾊﾟ" * 15),
    ],
)
def test_a_holder_is_written_as_banks_write_names(typed: str, kana: str) -> None:
    account = RefundAccount(
        bank_code="0001",
        branch_code="001",
        account_type=AccountType.ORDINARY,
        number="12345",
        holder_kana=typed,
    )
    assert (account.holder_kana, account.number) == (kana, "0012345")
    assert len(account.holder_kana.encode("cp932")) <= 30
    assert RefundAccount.model_validate_json(account.model_dump_json()) == account


@pytest.mark.parametrize(
    "change",
    [
        {"holder_kana": "見本花子"},
        {"holder_kana": ""},
        {"holder_kana": "パ" * 16},
        {"holder_kana": "ﾐﾎﾝ\n"},
        {"holder_kana": "ﾐﾎﾝ〜"},
        {"holder_kana": "¢"},
        {"number": "12345678"},
        {"number": ""},
        {"number": "１２３４５６７"},
        {"bank_code": "001"},
        {"branch_code": "00a"},
        {"account_type": "3"},
        {"memo": "x"},
    ],
)
def test_an_account_banks_cannot_transfer_to_is_refused_without_repeating_it(change: dict[str, str]) -> None:
    content = {**ACCOUNT.model_dump(), **change}
    with pytest.raises(ValidationError) as caught:
        RefundAccount.model_validate(content)
    assert "見本" not in str(caught.value)
