"""What is told late, from days to come, or at once by two: nothing is spoilt, and nothing counts twice."""

import asyncio
from datetime import date, timedelta

import pytest

from policy.deadlines import Terms
from policy.refusals import Code, Refusal
from policy.registry import pack
from policy.retention import payments_expired_before
from policy.vocabulary import Outcome, RecordClass
from records import audit, invoices, ledger, refunds, requests, retention, staff
from records.allocations import unassign
from records.bank_lines import Doubt, What
from records.bank_lines import Outcome as Line
from records.database import Database
from records.ledger import DepositState, NoticeResult, Part, Suspense
from runtime.keys import Keyring
from tests.records.money import (
    ON,
    REFERENCE,
    balanced,
    bank,
    invoice,
    invoice_state,
    propose_refund,
    record,
)
from tests.records.test_ledger import CANCELLED, match, notify

DAY = timedelta(days=1)
SENT = date(2018, 11, 12)
RULE = {"rule": "7 years", "clause": "§1"}


@pytest.fixture(autouse=True)
async def clerks(db: Database) -> None:
    async with db.begin() as conn:
        await staff.seed_development(conn)


async def returned(db: Database, deposit_id: str, on: date, source: str = "zengin") -> None:
    """Give a deposit back, to the end."""
    async with db.begin() as conn:
        refund = await propose_refund(conn, db.vault, deposit_id, source=source, on=on)
        await refunds.approve(conn, refund.number, by="manager-1", on=on)
        file = await refunds.write_file(conn, kind="zengin", by="accounts-1", on=on, pay_on=on)
        assert file is not None
        assert file.written_on == on
        await refunds.record_paid(conn, refund.number, by="accounts-1", on=on)


async def taken_back(db: Database, keyring: Keyring, *lines: str, source: str = "bank") -> list[Line]:
    seen: list[Line] = []
    gone = [
        bank(line, bank_likeness="like B1", cancelled=True, booked_on=date(2018, 11, 20)) for line in lines
    ]
    async with db.begin() as conn:
        await ledger.record_many(conn, db.vault, keyring, source, "back", gone, kind="camt", seen=seen.append)
    return seen


async def test_a_value_date_to_come_does_not_hold_up_the_books(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    await invoice(db, request_id)
    words = {"amount": 1, "value_date": "2999-01-01"}
    await notify(db, keyring, deposit_id="F1", **words)
    await match(db, "F1")
    async with db.begin() as conn:
        found = await ledger.find(conn, "webhook", "F1")
        assert (found.value_date, found.day, found.moved_on) == (date(2999, 1, 1), SENT, SENT)
        paid = await invoices.of_request(conn, request_id)
        assert paid is not None
        assert paid.moved_on == SENT
    await balanced(db, SENT.replace(day=1))
    await notify(db, keyring, CANCELLED, deposit_id="F1", timestamp="2018-11-13T09:00:00+09:00", **words)
    async with db.begin() as conn:
        assert (await ledger.find(conn, "webhook", "F1")).moved_on == SENT + DAY
    await record(db, keyring, bank("B1", value_date=date(2999, 1, 1), booked_on=SENT))
    async with db.begin() as conn:
        assert (await ledger.find(conn, "zengin", "B1")).moved_on == SENT


async def test_a_file_was_written_when_it_was_whatever_moved_later(db: Database, keyring: Keyring) -> None:
    await record(db, keyring, bank("B1", booked_on=ON + 30 * DAY))
    await returned(db, "B1", ON)


async def test_what_went_back_is_kept_as_long_as_what_did_not(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    late = date(2026, 1, 6)
    await invoice(db, request_id)
    await record(db, keyring, bank("B1", 3000, REFERENCE), bank("B2", 2400, REFERENCE))
    async with db.begin() as conn:
        await unassign(conn, "zengin", "B1", request_id, by="accounts-1", on=late)
    await returned(db, "B1", late)
    terms = Terms.of(pack("gmo-appscloud-2018-10-22"))
    async with db.begin() as conn:
        await requests.close(conn, request_id, Outcome.LAPSED_PAYMENT, ON)
        gone = await retention.destroy_class(
            conn,
            db.vault,
            request_id=request_id,
            record_class=RecordClass.PAYMENT_RECORDS,
            on=late + DAY,
            pack_version="gmo-appscloud-2018-10-22",
            by=audit.AUTOMATIC,
            **RULE,
        )
        assert gone.rows["deposits"] == 1
        assert [row.deposit_id for row in await ledger.list_deposits(conn)] == ["B1"]
    for on, count in ((date(2033, 12, 31), 0), (date(2034, 1, 1), 1)):
        before = payments_expired_before(terms, on)
        async with db.begin() as conn:
            destroyed = await retention.destroy_deposits(conn, db.vault, moved_before=before, on=on, **RULE)
            assert destroyed == count


async def test_a_dismissed_twin_is_taken_back_once_and_a_clerk_looks_at_the_other(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    await invoice(db, request_id)
    await notify(db, keyring, deposit_id="W1")
    await match(db, "W1")
    await record(db, keyring, bank("B1", reference=REFERENCE), source="bank", kind="camt")
    async with db.begin() as conn:
        await ledger.dismiss_twin(conn, "bank", "B1", by="accounts-1", on=ON)
    lines = await taken_back(db, keyring, "R1")
    assert [(line.deposit_id, line.what, line.doubt) for line in lines] == [
        ("B1", What.TAKEN_BACK, Doubt.TWIN_TAKEN_BACK)
    ]
    assert await invoice_state(db, request_id) == "paid"
    assert [line.what for line in await taken_back(db, keyring, "R1")] == [What.REPEATED]
    await record(db, keyring, bank("B2", bank_likeness="like B1"), source="bank", kind="camt")
    async with db.begin() as conn:
        assert (await ledger.find(conn, "bank", "B2")).state is DepositState.SUSPENSE
    assert [line.deposit_id for line in await taken_back(db, keyring, "R2")] == ["B2"]
    assert [line.doubt for line in await taken_back(db, keyring, "R3")] == [Doubt.NOT_FOUND]


async def test_what_may_be_a_twin_pays_once_a_clerk_said_that_it_is_none(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    await invoice(db, request_id)
    await record(db, keyring, bank("W1", 2700, REFERENCE), source="webhook")
    await record(db, keyring, bank("B1", 2700, REFERENCE), source="bank", kind="camt")
    async with db.begin() as conn:
        assert await ledger.possible_twins(conn, "bank", "B1") == [("webhook", "W1")]
    part = Part(request_id, 2700)
    for act in (
        lambda conn: ledger.assign(conn, "bank", "B1", request_id, "accounts-1", ON),
        lambda conn: ledger.split(conn, "bank", "B1", [part], by="accounts-1", on=ON),
    ):
        with pytest.raises(Refusal, match="not-a-twin") as refused:
            async with db.begin() as conn:
                await act(conn)
        assert refused.value.code is Code.DEPOSIT_NOT_ASSIGNABLE
    for _ in range(2):
        async with db.begin() as conn:
            said = await ledger.not_a_twin(conn, "bank", "B1", by="accounts-1", on=ON)
            assert (said.suspense_reason, said.waits_since) == (Suspense.UNIDENTIFIED, ON)
    async with db.begin() as conn:
        acts = [event.act for event in await audit.events(conn, "deposit/bank/B1")]
        assert acts == ["deposit_settled", "deposit_in_suspense", "deposit_not_a_twin"]
        await ledger.assign(conn, "bank", "B1", request_id, "accounts-1", ON)
    assert await invoice_state(db, request_id) == "paid"
    for source, deposit_id, by, code in (
        ("webhook", "W1", "accounts-1", Code.DEPOSIT_NOT_ASSIGNABLE),
        ("bank", "B1", "mailroom-1", Code.WRONG_ROLE),
        ("bank", "B9", "accounts-1", Code.UNKNOWN_DEPOSIT),
    ):
        with pytest.raises(Refusal) as refused:
            async with db.begin() as conn:
                await ledger.not_a_twin(conn, source, deposit_id, by=by, on=ON)
        assert refused.value.code is code


async def test_of_two_that_tell_at_once_one_is_the_twin(db: Database, keyring: Keyring) -> None:
    for n in range(5):
        await asyncio.gather(
            record(db, keyring, bank(f"W{n}", 5400 + n), bank(f"V{n}", 100 + n), source="webhook"),
            record(db, keyring, bank(f"U{n}", 100 + n), bank(f"B{n}", 5400 + n), source="bank", kind="camt"),
        )
        async with db.begin() as conn:
            for pair in (("W", "B"), ("V", "U")):
                found = {
                    (await ledger.find(conn, source, f"{each}{n}")).suspense_reason
                    for source, each in zip(("webhook", "bank"), pair, strict=True)
                }
                assert found == {Suspense.TWIN, Suspense.UNIDENTIFIED}


async def test_a_notice_of_what_was_destroyed_is_a_repeat(db: Database, keyring: Keyring) -> None:
    await notify(db, keyring, deposit_id="W1", payer_name="")
    await match(db, "W1")
    await returned(db, "W1", ON, "webhook")
    end = date(2030, 1, 1)
    async with db.begin() as conn:
        assert await retention.destroy_deposits(conn, db.vault, moved_before=end, on=end, **RULE) == 1
    assert await notify(db, keyring, deposit_id="W1", payer_name="") == NoticeResult(repeated=True)
    again = await notify(db, keyring, CANCELLED, deposit_id="W1", payer_name="")
    assert again == NoticeResult(repeated=True)
    async with db.begin() as conn:
        assert await ledger.list_deposits(conn) == []
