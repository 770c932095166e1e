"""What an approver looks at is the letter that will be queued, marked as a draft, and leaves no trace."""

from collections.abc import AsyncIterator
from datetime import date

import pytest
from sqlalchemy import func, select

from activities.letters import content
from activities.preview import preview_answer
from policy.refusals import Code, Refusal
from policy.vocabulary import Outcome, RecordClass
from records import envelopes, notes
from records.database import Database
from records.tables import audit, letters
from runtime.keys import Keyring
from tests.activities.letters.reading import page_texts, words
from tests.records.material import SCANS, envelope, open_request

DAY = date(2018, 11, 20)
ANSWER = content.ServiceResponse(
    service="GMOアプリクラウド",
    outcome=Outcome.PARTIAL,
    data=(content.DataTable(category="本人情報", rows=(content.DataRow(label="氏名", value="見本 花子"),)),),
    withheld=(content.Withheld(item="利用情報", ground="法定の理由", article="いずれの日の条文"),),
)


@pytest.fixture
async def database(database_url: str, keyring: Keyring) -> AsyncIterator[Database]:
    database = Database(database_url, keyring)
    yield database
    await database.dispose()


async def test_a_preview_is_the_answer_marked_as_a_draft_and_nothing_is_stored(
    database: Database, keyring: Keyring
) -> None:
    async with database.begin() as conn:
        request_id = await open_request(conn)
        await envelopes.record(
            conn,
            database.vault,
            keyring,
            envelope(),
            request_id=request_id,
            received_by="mailroom-1",
            scans=SCANS,
        )
        draft = await notes.write(
            conn,
            database.vault,
            request_id=request_id,
            purpose=notes.GATHERED,
            content=ANSWER.model_dump_json(),
            written_by="officer-1",
            record_class=RecordClass.RESPONSE_CONTENT,
        )
    async with database.begin() as conn:
        stored = select(
            select(func.count()).select_from(letters).scalar_subquery(),
            select(func.count()).select_from(audit).scalar_subquery(),
        )
        before = (await conn.execute(stored)).one()
        pdf = await preview_answer(conn, database, request_id, drafts=[str(draft)], on=DAY)
        assert (await conn.execute(stored)).one() == before
    assert all("案 DRAFT" in text for text in page_texts(pdf))
    text = words(pdf)
    assert "見本花子" in text
    assert "2018年11月20日" in text
    assert "法定の理由" in text
    assert "第28条" in text  # the article of the day, not of the day the answer was gathered
    assert "いずれの日の条文" not in text


async def test_a_preview_of_a_request_that_never_was_is_refused(database: Database) -> None:
    async with database.begin() as conn:
        with pytest.raises(Refusal) as refused:
            await preview_answer(conn, database, "DR-2018-000009-1", drafts=[], on=DAY)
    assert refused.value.code is Code.UNKNOWN_REQUEST
