"""Invoices and what is written about them, as the workflow has them: numbered, paid, cancelled."""

import asyncio
import io
from collections.abc import AsyncIterator
from datetime import date

import pytest
from pypdf import PdfReader
from sqlalchemy import select, text

from activities.invoicing import InvoicingActivities
from activities.mailing import MailingActivities
from activities.messages import (
    FeeToReturn,
    InvoiceEnd,
    InvoiceOrder,
    InvoiceReopened,
    LetterOrder,
    Payments,
)
from policy.refusals import Code, Refusal
from policy.vocabulary import LetterKind, RecordClass
from records import audit, envelopes, ledger, letters
from records.database import Database
from records.tables import invoices as invoice_rows
from records.virtual_accounts import REST
from runtime.errors import Unreachable
from runtime.keys import Keyring
from tests.activities.letters.reading import squeezed
from tests.records.material import SCANS, envelope, open_request
from tests.records.money import bank, record

ON, DUE = date(2018, 11, 5), date(2018, 12, 5)


@pytest.fixture
async def database(database_url: str, keyring: Keyring) -> AsyncIterator[Database]:
    database = Database(database_url, keyring)
    yield database
    await database.dispose()


async def requests(database: Database, keyring: Keyring, count: int) -> list[str]:
    """So many requests that name somebody to write to."""
    made = []
    async with database.begin() as conn:
        for number in range(count):
            made.append(await open_request(conn))
            await envelopes.record(
                conn,
                database.vault,
                keyring,
                envelope(posted_on=f"2018-10-{1 + number % 30:02}"),
                request_id=made[-1],
                received_by="mailroom-1",
                scans=SCANS,
            )
    return made


def ask(request_id: str, on: date = ON) -> InvoiceOrder:
    return InvoiceOrder(
        request_id=request_id, key="invoice/1", on=on, due_on=DUE, services=("gmo-appscloud",)
    )


async def written(
    database: Database, request_id: str, kind: LetterKind, key: str = "1", **content: object
) -> str:
    """The words of a letter, queued for this."""
    order = LetterOrder.model_validate(
        {"request_id": request_id, "key": f"{kind.value}/{key}", "kind": kind, "on": DUE, **content}
    )
    queued = await MailingActivities(database).queue_letter(order)
    return await words_of(database, queued.letter_id)


async def words_of(database: Database, letter_id: str) -> str:
    async with database.begin() as conn:
        pdf = await letters.pdf(conn, database.vault, letter_id)
    return squeezed("".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages))


async def pay(
    database: Database, keyring: Keyring, reference: str, amount: int, day: date, deposit_id: str = "B1"
) -> None:
    await record(database, keyring, bank(deposit_id, amount, reference, value_date=day), import_id=deposit_id)
    async with database.begin() as conn:
        await ledger.match(conn, "zengin", deposit_id)


async def test_numbers_have_no_gap_whoever_is_killed_while_drawing_one(
    database: Database, database_url: str, keyring: Keyring
) -> None:
    """Many draw at once, connections are cut, tries given up midway; each is tried until it is done."""
    years = {2018: await requests(database, keyring, 12)}
    years[2019] = years[2018][8:]
    years[2018] = years[2018][:8]
    invoicing = InvoicingActivities(database)
    failed = 0

    async def issue(request_id: str, on: date) -> str:
        nonlocal failed
        while True:
            attempt = asyncio.ensure_future(invoicing.issue_invoice(ask(request_id, on)))
            try:
                return (await asyncio.wait_for(attempt, 20)).number
            except Unreachable:
                failed += 1

    async def give_up(request_id: str, on: date, after: float) -> None:
        attempt = asyncio.ensure_future(invoicing.issue_invoice(ask(request_id, on)))
        await asyncio.wait((attempt,), timeout=after)
        attempt.cancel()
        await asyncio.gather(attempt, return_exceptions=True)

    async def cut() -> None:
        """Cut whoever holds the series, and somebody who waits for it."""
        other = Database(database_url, keyring)
        for _ in range(8):
            await asyncio.sleep(0.03)
            async with other.begin() as conn:
                await conn.execute(
                    text(
                        "select pg_terminate_backend(pid) from pg_stat_activity"
                        " where datname = current_database() and pid <> pg_backend_pid()"
                        " and xact_start is not null order by xact_start limit 2"
                    )
                )
        await other.dispose()

    wanted = [(request_id, date(year, 11, 5)) for year, ids in years.items() for request_id in ids]
    given_up = [give_up(*each, after=0.02 * n) for n, each in enumerate(wanted)]
    havoc = asyncio.gather(cut(), *given_up)
    numbers = await asyncio.gather(*(issue(*each) for each in wanted))
    await havoc
    assert failed, "nobody was killed"
    assert sorted(numbers) == [
        f"INV-{year}-{number:06}" for year, ids in years.items() for number in range(1, len(ids) + 1)
    ]
    async with database.begin() as conn:
        kept = (await conn.execute(select(invoice_rows).order_by(invoice_rows.c.number))).all()
        assert [row.number for row in kept] == sorted(numbers)
        assert len({row.payment_reference for row in kept}) == len(kept)
        for row in kept:
            (letter,) = await letters.list_of_request(conn, row.request_id)
            assert letter.id == row.letter_id
            assert [event.act for event in await audit.events(conn, row.request_id)].count("invoiced") == 1


async def test_an_invoice_is_paid_into_an_account_of_its_own_while_there_is_one(
    database: Database, keyring: Keyring
) -> None:
    first, second, third = await requests(database, keyring, 3)
    invoicing = InvoicingActivities(database, ("1017654321",))
    general = "支店コード999"
    issued = [await invoicing.issue_invoice(ask(each)) for each in (first, second)]
    assert [await invoicing.issue_invoice(ask(each)) for each in (first, second)] == issued
    texts = [await words_of(database, each.letter_id) for each in issued]
    assert ["7654321" in text for text in texts] == [True, False]
    assert [general in text for text in texts] == [False, True]
    assert "7654321" in await written(database, first, LetterKind.PAYMENT_REMINDER)
    assert "7654321" in await written(database, first, LetterKind.SHORT_PAYMENT, received=400, due_on=DUE)
    assert general in await written(database, second, LetterKind.PAYMENT_REMINDER)

    await invoicing.close_invoice(InvoiceEnd(request_id=first, lapsed=True, on=DUE))
    again = InvoiceReopened(request_id=first, on=DUE, due_on=date(2019, 2, 1))
    await invoicing.reopen_invoice(again)
    assert "7654321" in await written(database, first, LetterKind.REOPENED, due_on=again.due_on)
    await invoicing.close_invoice(InvoiceEnd(request_id=first, lapsed=True, on=again.due_on))
    late = await invoicing.issue_invoice(ask(third, again.due_on + REST))
    assert "7654321" in await words_of(database, late.letter_id)
    await invoicing.reopen_invoice(again)
    assert general in await written(database, first, LetterKind.REOPENED, "2", due_on=again.due_on)


async def test_a_receipt_tells_what_counts_and_which_is_the_second(
    database: Database, keyring: Keyring
) -> None:
    (request_id,) = await requests(database, keyring, 1)
    issued = await InvoicingActivities(database).issue_invoice(ask(request_id))
    with pytest.raises(Refusal) as refused:
        await written(database, request_id, LetterKind.RECEIPT)
    assert refused.value.code is Code.NOTHING_PAID
    await pay(database, keyring, issued.payment_reference, 5_000, date(2018, 11, 12))
    await pay(database, keyring, issued.payment_reference, 1_000, date(2018, 11, 20), "B2")
    first = await written(database, request_id, LetterKind.RECEIPT)
    told = ["5,400円", "2018年11月12日5,000円", "2018年11月20日400円", "うち消費税(8%)400円", issued.number]
    assert [value for value in told if value not in first] == []
    assert "再発行" not in first
    assert await written(database, request_id, LetterKind.RECEIPT) == first  # the same order
    assert "再発行" in await written(database, request_id, LetterKind.RECEIPT, "2")
    async with database.begin() as conn:
        receipts = [
            letter
            for letter in await letters.list_of_request(conn, request_id)
            if letter.kind is LetterKind.RECEIPT
        ]
        assert {letter.record_class for letter in receipts} == {RecordClass.PAYMENT_RECORDS}
        assert len(await letters.cancel(conn, [letter.id for letter in receipts], DUE)) == 2
    assert "再発行" not in await written(database, request_id, LetterKind.RECEIPT, "3")


async def test_a_lapse_names_the_credit_note_and_a_reopening_what_came_in(
    database: Database, keyring: Keyring
) -> None:
    (request_id,) = await requests(database, keyring, 1)
    invoicing = InvoicingActivities(database)
    issued = await invoicing.issue_invoice(ask(request_id))
    await pay(database, keyring, issued.payment_reference, 5_000, date(2018, 11, 12))
    closed = await invoicing.close_invoice(InvoiceEnd(request_id=request_id, lapsed=True, on=DUE))
    lapsed = await written(
        database, request_id, LetterKind.PAYMENT_LAPSED, received=closed.received, due_on=DUE
    )
    assert [value for value in ("CN-2018-000001", "5,000円", "返金先の口座") if value not in lapsed] == []
    again = InvoiceReopened(request_id=request_id, on=DUE, due_on=date(2019, 2, 1))
    await invoicing.reopen_invoice(again)
    reopened = await written(database, request_id, LetterKind.REOPENED, due_on=again.due_on)
    assert [value for value in ("5,000円", "400円", "2019年2月1日") if value not in reopened] == []
    withdrawn = await written(database, request_id, LetterKind.WITHDRAWAL)
    assert "CN-2018-000001" not in withdrawn  # it is taken back
    await pay(database, keyring, issued.payment_reference, 400, DUE, "B2")
    paid = await written(database, request_id, LetterKind.REOPENED, "2", due_on=again.due_on)
    assert "5,400円" in paid
    assert issued.payment_reference not in paid


async def test_the_fee_of_what_is_refused_goes_back_once(database: Database, keyring: Keyring) -> None:
    (request_id,) = await requests(database, keyring, 1)
    invoicing = InvoicingActivities(database)
    issued = await invoicing.issue_invoice(ask(request_id))
    await pay(database, keyring, issued.payment_reference, 5_400, date(2018, 11, 12))
    order = FeeToReturn(request_id=request_id, on=DUE, services=ask(request_id).services)
    for _ in range(2):
        assert await invoicing.return_fee(order) == Payments(invoiced=0, received=0, paid=True)
