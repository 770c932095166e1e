"""The end of payment records: with the last request they speak for, or by themselves where none does."""

from datetime import date

from sqlalchemy import func, select

from policy.vocabulary import Outcome, RecordClass
from records import audit, books, certificates, ledger, refunds, requests, retention, staff, virtual_accounts
from records.closing import close_invoice, reopen
from records.database import Database
from records.ledger import Part
from records.tables import (
    allocations,
    credit_notes,
    data_keys,
    deposits,
    errands,
    invoices,
    vault,
    webhooks,
)
from records.tables import refunds as refund_rows
from runtime.keys import Keyring
from tests.records.money import ON, REFERENCE, balanced, bank, invoice, invoiced, propose_refund, record

END = date(2026, 1, 1)


async def destroy(db: Database, request_id: str) -> certificates.Certificate:
    async with db.begin() as conn:
        await requests.close(conn, request_id, Outcome.LAPSED_PAYMENT, ON)
        return await retention.destroy_class(
            conn,
            db.vault,
            request_id=request_id,
            record_class=RecordClass.PAYMENT_RECORDS,
            on=END,
            rule="7 years after the end of the fiscal year of the invoice",
            clause="§1",
            pack_version="gmo-appscloud-2018-10-22",
            by=audit.AUTOMATIC,
        )


async def test_everything_of_a_request_goes_and_its_numbers_are_not_given_again(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    await invoice(db, request_id)
    async with db.begin() as conn:
        await staff.seed_development(conn)
        await virtual_accounts.give(conn, ["1111111"], "INV-2018-000001", on=ON)
    await record(db, keyring, bank("B1", 3000, REFERENCE), bank("B2", 1000, REFERENCE))
    async with db.begin() as conn:
        await close_invoice(conn, request_id, "lapsed", on=ON)
        await reopen(conn, request_id, due_on=date(2019, 1, 5), on=ON)
        await close_invoice(conn, request_id, "lapsed", on=date(2019, 1, 6))
        await propose_refund(conn, db.vault, "B1")
    kept = await destroy(db, request_id)  # of B2 something waits, and B1 is on its way back
    assert kept.rows == {"letters": 1, "invoices": 1, "credit_notes": 3, "virtual_accounts": 1}
    assert await balanced(db, END)
    async with db.begin() as conn:
        refund = await refunds.approve(conn, "RF-2019-000001", by="manager-1", on=ON)
        await refunds.write_file(conn, kind="list", by="accounts-1", on=ON, pay_on=ON)
        line = refunds.PaidLine("l1", date(2019, 1, 7), refund.amount, account="1234567")
        assert await refunds.mark_paid(conn, db.vault, line, by="accounts-1")
        rule = {"rule": "7 years after the last act", "clause": "§1"}
        before = date(2019, 1, 6)
        assert await retention.destroy_deposits(conn, db.vault, moved_before=before, on=END, **rule) == 0
        assert await retention.destroy_deposits(conn, db.vault, moved_before=END, on=END, **rule) == 1
        assert [row.deposit_id for row in await ledger.list_deposits(conn)] == ["B2"]
        gone = (await audit.events(conn, "deposit/zengin/B1"))[-1]
        assert (gone.act, gone.detail["records"]) == ("records_destroyed", 2)
        assert list(await conn.scalars(select(data_keys.c.case_id))) == ["deposit/zengin/B2"]
    assert (await record(db, keyring, bank("B1", 3000, REFERENCE))).repeated == 1
    assert await balanced(db, END)


async def test_a_deposit_goes_with_the_last_request_it_paid(db: Database, keyring: Keyring) -> None:
    (one, _), (other, _) = await invoiced(db, 2)
    await record(db, keyring, bank("B1", 10800))
    async with db.begin() as conn:
        await staff.seed_development(conn)
        parts = [Part(one, 5400), Part(other, 5400)]
        await ledger.split(conn, "zengin", "B1", parts, by="accounts-1", on=ON)
    assert (await destroy(db, one)).rows == {"letters": 1, "invoices": 1}
    async with db.begin() as conn:
        assert (await ledger.payments(conn, other)).paid
        assert await books.faults(conn) == []
    await balanced(db, ON)  # of the month in which it paid both
    last = await destroy(db, other)
    assert last.rows == {"letters": 1, "invoices": 1, "deposits": 1, "allocations": 2, "errands": 4}
    assert last.sealed == {"deposit": 1, "letter": 1}
    async with db.begin() as conn:
        tables = (deposits, allocations, credit_notes, invoices, errands, webhooks, refund_rows, vault)
        assert [await conn.scalar(select(func.count()).select_from(table)) for table in tables] == [0] * 8
