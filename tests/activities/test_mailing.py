"""Letters and the invoice, queued as the workflow has them: once for a key, numbered by the records."""

import asyncio
import io
from collections.abc import AsyncIterator
from datetime import date

import pytest
from pypdf import PdfReader

from activities.invoicing import InvoicingActivities
from activities.mailing import MailingActivities
from activities.messages import CancelOrder, InvoiceEnd, InvoiceOrder, InvoiceReopened, LetterOrder
from policy.refusals import Code, Refusal
from policy.vocabulary import LetterKind, LetterState, MailEvent, RecordClass
from records import audit, envelopes, invoices, letters
from records.database import Database
from runtime.keys import Keyring
from tests.records.material import SCANS, envelope, open_request

ON, DUE = date(2018, 11, 5), date(2018, 12, 5)


@pytest.fixture
async def database(database_url: str, keyring: Keyring) -> AsyncIterator[Database]:
    database = Database(database_url, keyring)
    yield database
    await database.dispose()


@pytest.fixture
async def request_id(database: Database, keyring: Keyring) -> str:
    """A request with the contract's envelope, and an original beside it."""
    documents = envelope().model_dump(mode="json")["documents"]
    documents.append(
        {"kind": "seal_registration_certificate", "medium": "original", "issued_on": "2018-10-25"}
    )
    async with database.begin() as conn:
        request_id = await open_request(conn)
        await envelopes.record(
            conn,
            database.vault,
            keyring,
            envelope(documents=documents),
            request_id=request_id,
            received_by="mailroom-1",
            scans=SCANS,
        )
    return request_id


def order(request_id: str, kind: LetterKind, key: str | None = None) -> LetterOrder:
    return LetterOrder(request_id=request_id, key=key or f"{kind.value}/1", kind=kind, on=ON, due_on=DUE)


async def text_of(database: Database, letter_id: str) -> str:
    async with database.begin() as conn:
        pdf = await letters.pdf(conn, database.vault, letter_id)
    return "".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages)


async def acts(database: Database, request_id: str) -> list[str]:
    async with database.begin() as conn:
        return [event.act for event in await audit.events(conn, request_id)]


async def test_a_letter_is_queued_once_for_its_key_and_prints_its_number(
    database: Database, request_id: str
) -> None:
    mailing = MailingActivities(database)
    keys = ["no_data/1", "no_data/2", "no_data/1"]
    queued = await asyncio.gather(
        *(mailing.queue_letter(order(request_id, LetterKind.NO_DATA, key)) for key in keys)
    )
    first, second, again = [each.letter_id for each in queued]
    assert first == again
    assert {first, second} == {f"{request_id}-L01", f"{request_id}-L02"}
    assert (await mailing.queue_letter(order(request_id, LetterKind.NO_DATA, keys[1]))).letter_id == second
    for letter_id in (first, second):
        assert letter_id in await text_of(database, letter_id)
    assert (await acts(database, request_id)).count("letter_queued") == 2


async def test_a_letter_about_originals_lists_them(database: Database, request_id: str) -> None:
    queued = await MailingActivities(database).queue_letter(order(request_id, LetterKind.ORIGINALS_RETURNED))
    text = await text_of(database, queued.letter_id)
    assert "印鑑登録証明書" in text
    assert "2018年10月25日" in text
    assert "住民票" not in text  # a copy stays


async def test_pointless_letters_leave_the_queue_once(database: Database, request_id: str) -> None:
    mailing = MailingActivities(database)
    ids = [
        (await mailing.queue_letter(order(request_id, LetterKind.WITHDRAWAL, f"withdrawal/{n}"))).letter_id
        for n in range(3)
    ]
    async with database.begin() as conn:
        await letters.mark(conn, ids[1], event=MailEvent.POSTED, on=ON, tracking_number="405548424886")
    cancel = CancelOrder(request_id=request_id, on=ON, letters=tuple(ids))
    for _ in range(2):
        assert (await mailing.cancel_letters(cancel)).letters == (ids[0], ids[2])
    assert (await acts(database, request_id)).count("letter_cancelled") == 2
    async with database.begin() as conn:
        assert (await letters.find(conn, ids[1])).state is LetterState.POSTED


async def test_a_lapsed_invoice_is_open_again_under_its_number(database: Database, request_id: str) -> None:
    invoicing = InvoicingActivities(database)
    ask = InvoiceOrder(request_id=request_id, key="invoice/1", on=ON, due_on=DUE, services=("gmo-appscloud",))
    issued = await invoicing.issue_invoice(ask)
    assert (issued, issued.letter_id) == (await invoicing.issue_invoice(ask), f"{request_id}-L01")
    assert issued.number in await text_of(database, issued.letter_id)
    again = InvoiceReopened(request_id=request_id, on=DUE, due_on=date(2019, 2, 1))
    assert await invoicing.reopen_invoice(again) == issued  # it is open: nothing has lapsed
    await invoicing.close_invoice(InvoiceEnd(request_id=request_id, lapsed=True, on=DUE))
    for _ in range(2):
        reopened = await invoicing.reopen_invoice(again)
        assert reopened == issued.model_copy(update={"due_on": again.due_on})
    async with database.begin() as conn:
        row = await invoices.of_request(conn, request_id)
    assert row is not None
    assert (row.state, row.due_on) == ("open", again.due_on)
    assert (await acts(database, request_id)).count("invoice_reopened") == 1

    mailing = MailingActivities(database)
    letter = await mailing.queue_letter(order(request_id, LetterKind.REOPENED))
    assert issued.number in await text_of(database, letter.letter_id)
    async with database.begin() as conn:
        assert (await letters.find(conn, letter.letter_id)).record_class is RecordClass.REQUEST_FILE


async def test_nothing_is_reopened_where_nothing_was_issued(database: Database, request_id: str) -> None:
    with pytest.raises(Refusal) as caught:
        await InvoicingActivities(database).reopen_invoice(
            InvoiceReopened(request_id=request_id, on=ON, due_on=DUE)
        )
    assert caught.value.code is Code.NOT_LAPSED
