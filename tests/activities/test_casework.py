"""The case file's activities, called as the workflow calls them: who may, once, audited, all or nothing."""

from collections.abc import AsyncIterator, Awaitable
from datetime import date
from typing import Any

import pytest

from activities.casework import CaseActivities
from activities.messages import (
    ActToRecord,
    AddressToRecord,
    CloseOrder,
    DocumentToRecord,
    MailToRecord,
    ReopenToRecord,
    ResponseToTakeBack,
)
from policy.deadlines import Terms
from policy.holdings import parse_holdings
from policy.refusals import Code, Refusal
from policy.registry import pack
from policy.roles import Act
from policy.vocabulary import (
    ChangeAction,
    CustodyEvent,
    FindingCode,
    Language,
    LetterKind,
    LetterState,
    MailEvent,
    Outcome,
    RecordClass,
)
from records import audit, changes, documents, envelopes, holdings, letters, notes, requests, retention, staff
from records.database import Database
from runtime.keys import Keyring
from tests.records.material import SCANS, envelope, open_request
from tests.records.test_holdings_register import SAMPLE

ON = date(2018, 11, 20)
PACK = "gmo-appscloud-2018-10-22"
ELSEWHERE = "a proof was received for another address than the one on file, where letters go"
MOVED = {"name": "見本 花子", "address": "大阪府大阪市中央区0-0", "born_on": "1980-04-01"}


@pytest.fixture
async def database(database_url: str, keyring: Keyring) -> AsyncIterator[Database]:
    database = Database(database_url, keyring)
    async with database.begin() as conn:
        await staff.seed_development(conn)
    yield database
    await database.dispose()


@pytest.fixture
def case(database: Database, keyring: Keyring) -> CaseActivities:
    return CaseActivities(database, keyring)


@pytest.fixture
async def request_id(database: Database, keyring: Keyring) -> str:
    return await ask(database, keyring)


async def ask(database: Database, keyring: Keyring, **changes: object) -> str:
    async with database.begin() as conn:
        id = await open_request(conn)
    await receive(database, keyring, id, **changes)
    return id


async def receive(database: Database, keyring: Keyring, id: str, **changes: object) -> None:
    async with database.begin() as conn:
        await envelopes.record(
            conn,
            database.vault,
            keyring,
            envelope(**changes),
            request_id=id,
            received_by="mailroom-1",
            scans=SCANS,
        )


async def note(database: Database, id: str, act: Act, by: str = "officer-1") -> str:
    async with database.begin() as conn:
        written = await notes.write(
            conn, database.vault, request_id=id, purpose=act, content="事情", written_by=by
        )
    return str(written)


async def queue(database: Database, id: str, kind: LetterKind) -> str:
    async with database.begin() as conn:
        return await letters.queue(
            conn,
            database.vault,
            key=f"{kind.value}/1",
            request_id=id,
            kind=kind,
            record_class=RecordClass.RESPONSE_CONTENT,
            language=Language.JA,
            queued_on=ON,
            pdf=b"%PDF-",
            pages=1,
        )


async def acts(database: Database, id: str) -> list[str]:
    async with database.begin() as conn:
        return [event.act for event in await audit.events(conn, id)]


async def refused(act: Awaitable[object]) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await act
    return caught.value


# ── documents ─────────────────────────────────────────────────────────────────────────────────────────────


def on_document(id: str, number: int, event: CustodyEvent, key: str, **more: Any) -> DocumentToRecord:
    return DocumentToRecord(
        request_id=id, **({"by": "officer-1"} | more), key=key, document=number, event=event, on=ON
    )


async def test_striking_out_a_document_changes_what_the_rules_find(
    database: Database, case: CaseActivities, request_id: str
) -> None:
    assert (await case.assess_documents(request_id)).complete
    order = on_document(
        request_id,
        3,
        CustodyEvent.STRUCK_OUT,
        "k",
        note_id=await note(database, request_id, Act.RECORD_DOCUMENT),
    )
    for _ in range(2):
        await case.record_document(order)
    (finding,) = (await case.assess_documents(request_id)).findings
    assert (finding.code, finding.requirement) == (FindingCode.MISSING, "self-identity")
    async with database.begin() as conn:
        (event,) = [e for e in await audit.events(conn, request_id) if e.act == "record_document"]
        custody = await documents.list_custody(conn, request_id)
    assert event.detail == {
        "on": "2018-11-20",
        "document": 3,
        "event": "struck_out",
        "note": order.note_id,
    }
    assert [row.event for row in custody].count(CustodyEvent.STRUCK_OUT) == 1


@pytest.mark.parametrize(
    ("event", "by", "note_id", "code"),
    [
        (CustodyEvent.STRUCK_OUT, "officer-1", None, Code.REASON_REQUIRED),
        (CustodyEvent.STRUCK_OUT, "officer-1", "00000000-0000-0000-0000-000000000000", Code.NOT_FOUND),
        (CustodyEvent.COPIED, "mailroom-1", None, Code.WRONG_ROLE),
        (CustodyEvent.COPIED, "nobody", None, Code.UNKNOWN_STAFF),
    ],
)
async def test_a_document_is_changed_by_an_officer_with_a_reason(
    database: Database,
    case: CaseActivities,
    request_id: str,
    event: CustodyEvent,
    by: str,
    note_id: str | None,
    code: Code,
) -> None:
    order = on_document(request_id, 3, event, "k", by=by, note_id=note_id)
    assert (await refused(case.record_document(order))).code is code
    assert (await case.assess_documents(request_id)).complete
    said = await acts(database, request_id)
    assert ("refused" in said) is (code in (Code.WRONG_ROLE, Code.UNKNOWN_STAFF))
    assert "record_document" not in said


async def test_originals_count_until_they_go_back_with_their_letter(
    database: Database, keyring: Keyring, case: CaseActivities
) -> None:
    residence = {"kind": "certificate_of_residence", "medium": "original", "issued_on": "2018-10-20"}
    papers = [{"kind": "request_form"}, residence, {"kind": "drivers_license"}]
    id = await ask(database, keyring, documents=papers)
    assert (await case.assess_documents(id)).originals == 1
    letter = await queue(database, id, LetterKind.ORIGINALS_RETURNED)
    tracking = "405548424886"
    for number, (event, left) in enumerate(
        [(MailEvent.POSTED, 0), (MailEvent.RETURNED, 1), (MailEvent.POSTED, 0)], start=1
    ):
        order = MailToRecord(
            request_id=id,
            by="mailroom-1",
            key=f"{letter}/{number}/{event.value}",
            letter_id=letter,
            event=event,
            on=ON,
            tracking_number=tracking if event is MailEvent.POSTED else None,
            note_id=await note(database, id, Act.RECORD_MAIL, "mailroom-1")
            if event is MailEvent.RETURNED
            else None,
        )
        for _ in range(2):
            await case.record_mail(order)
        assert (await case.assess_documents(id)).originals == left
    async with database.begin() as conn:
        rows = [row for row in await documents.list_custody(conn, id) if row.letter_id]
    assert [(row.document, row.event, row.letter_id) for row in rows] == [
        (2, CustodyEvent.RETURNED, letter),
        (2, CustodyEvent.RECEIVED, letter),
        (2, CustodyEvent.RETURNED, letter),
    ]


async def test_an_adult_is_not_represented_by_a_family_register(
    database: Database, keyring: Keyring, case: CaseActivities
) -> None:
    papers = [
        {"kind": "request_form"},
        {"kind": "certificate_of_residence", "medium": "original", "holder": "principal"},
        {"kind": "family_register", "issued_on": "2018-10-20", "holder": "principal"},
        {"kind": "residents_card", "holder": "applicant"},
    ]
    parent = {"name": "見本 一郎", "address": "東京都渋谷区桜丘町26-1"}
    by_parent = {"capacity": "statutory_representative", "applicant": parent, "documents": papers}
    adult = await case.assess_documents(await ask(database, keyring, **by_parent))
    assert [finding.code for finding in adult.findings] == [FindingCode.PRINCIPAL_OF_AGE]
    assert "1980" not in adult.model_dump_json()
    child = MOVED | {"born_on": "2010-04-01"}
    days = {"posted_on": "2018-11-03", "received_on": "2018-11-03"}
    assert (
        await case.assess_documents(await ask(database, keyring, principal=child, **days, **by_parent))
    ).complete


# ── the same asked before ─────────────────────────────────────────────────────────────────────────────────


async def test_a_duplicate_is_shown_and_linked_with_the_act(
    database: Database, keyring: Keyring, case: CaseActivities, request_id: str
) -> None:
    second = await ask(database, keyring, posted_on="2018-11-03", received_on="2018-11-05")
    assert (await case.assess_documents(second)).duplicates == (request_id,)

    def link(id: str, other: str) -> ActToRecord:
        detail: dict[str, Any] = {"duplicate_of": other}
        act = Act.LINK_DUPLICATE.value
        return ActToRecord(request_id=id, act=act, by="officer-1", key=act, on=ON, detail=detail)

    for _ in range(2):
        await case.record_act(link(second, request_id))
    async with database.begin() as conn:
        assert (await requests.find(conn, second)).duplicate_of == request_id
    # Two requests never wait for each other's answer.
    assert (await refused(case.record_act(link(request_id, second)))).code is Code.NOT_A_DUPLICATE
    assert "link_duplicate" not in await acts(database, request_id)


# ── addresses ─────────────────────────────────────────────────────────────────────────────────────────────


def address(id: str, envelope: int | None = None, **more: Any) -> AddressToRecord:
    fields = {"request_id": id, "by": "officer-1", "key": "k", "on": ON, "envelope": envelope}
    fields |= {"letter_id": f"{id}-L01"} | more
    return AddressToRecord.model_validate(fields)


async def test_an_address_is_confirmed_or_taken_from_an_envelope_once(
    database: Database, keyring: Keyring, case: CaseActivities, request_id: str
) -> None:
    assert await case.record_address(address(request_id, key="confirmed")) is False
    await receive(
        database,
        keyring,
        request_id,
        posted_on="2018-12-01",
        received_on="2018-12-02",
        principal=MOVED,
        documents=[{"kind": "certificate_of_residence", "issued_on": "2018-11-20"}],
    )
    for _ in range(2):  # a repeat answers what the first time did
        assert await case.record_address(address(request_id, 2)) is True
    # Of the letter written before, it is another address; of one written since, it is the same.
    assert await case.record_address(address(request_id, 2, key="again")) is True
    since = f"{request_id}-L02"
    assert await case.record_address(address(request_id, 2, key="since", letter_id=since)) is False
    async with database.begin() as conn:
        people = await requests.parties(conn, database.vault, request_id)
        details = [e.detail for e in await audit.events(conn, request_id) if e.act == "confirm_address"]
    assert people is not None
    assert people.principal.address == MOVED["address"]
    assert details == [
        {"on": "2018-11-20", "letter": f"{request_id}-L01", "changed": False},
        {"on": "2018-11-20", "letter": f"{request_id}-L01", "envelope": 2, "changed": True},
        {"on": "2018-11-20", "letter": f"{request_id}-L01", "envelope": 2, "changed": True},
        {"on": "2018-11-20", "letter": since, "envelope": 2, "changed": False},
    ]
    assert (await case.assess_documents(request_id)).envelopes == 2


async def test_a_proof_of_another_address_proves_nothing_until_that_address_is_taken(
    database: Database, keyring: Keyring, case: CaseActivities
) -> None:
    licence = {"kind": "drivers_license", "scan": "licence.jpg"}
    stale = {"kind": "certificate_of_residence", "issued_on": "2018-01-01"}
    id = await ask(database, keyring, documents=[{"kind": "request_form"}, stale, licence])
    before = await case.assess_documents(id)
    fresh = {"kind": "certificate_of_residence", "issued_on": "2018-11-20"}
    days = {"posted_on": "2018-12-01", "received_on": "2018-12-02"}
    papers = [{"kind": "request_form"}, fresh, {"kind": "drivers_license"}]
    await receive(database, keyring, id, principal=MOVED, documents=papers, **days)
    async with database.begin() as conn:
        assert await envelopes.attach(conn, database.vault, request_id=id, number=2, by="officer-1")
    (finding,) = (await case.assess_documents(id)).findings
    assert (finding.code, finding.requirement) == (FindingCode.STALE, "self-residence")
    assert finding.message == f"{before.findings[0].message}; {ELSEWHERE}"
    async with database.begin() as conn:
        assert await envelopes.take_address(conn, database.vault, request_id=id, number=2, by="officer-1")
    assert (await case.assess_documents(id)).complete


async def test_a_proof_of_the_same_address_counts_however_it_is_written(
    database: Database, keyring: Keyring, case: CaseActivities
) -> None:
    id = await ask(database, keyring, documents=[{"kind": "request_form"}, {"kind": "drivers_license"}])
    here = {"name": "見本 花子", "address": "東京都　渋谷区桜丘町２６−１", "born_on": "1980-04-01"}
    fresh = {"kind": "certificate_of_residence", "issued_on": "2018-11-20"}
    days = {"posted_on": "2018-12-01", "received_on": "2018-12-02"}
    await receive(database, keyring, id, principal=here, documents=[fresh], **days)
    assert (await case.assess_documents(id)).complete


async def test_a_proxy_proves_their_own_address_and_where_the_principal_lived_does_not_matter(
    database: Database, keyring: Keyring, case: CaseActivities
) -> None:
    papers = [
        {"kind": "request_form"},
        {"kind": "power_of_attorney", "medium": "original", "holder": "principal"},
        {"kind": "seal_registration_certificate", "medium": "original", "holder": "principal"},
        {"kind": "certificate_of_residence", "medium": "original", "holder": "principal"},
        {"kind": "certificate_of_residence", "issued_on": "2018-10-20", "holder": "applicant"},
        {"kind": "drivers_license", "holder": "applicant"},
    ]
    proxy = {"name": "代理 一郎", "address": "東京都港区1-1"}
    by_proxy: dict[str, Any] = {"capacity": "proxy", "applicant": proxy}
    id = await ask(database, keyring, documents=papers[:3], **by_proxy)
    days = {"posted_on": "2018-11-05", "received_on": "2018-11-05"}
    moved = by_proxy | {"applicant": proxy | {"address": "東京都品川区2-2"}}
    await receive(database, keyring, id, documents=papers[3:], **days, **moved)
    async with database.begin() as conn:
        assert await envelopes.attach(conn, database.vault, request_id=id, number=2, by="officer-1")
    found = {f.requirement: f for f in (await case.assess_documents(id)).findings}
    assert found["proxy-residence"].code is FindingCode.MISSING
    assert found["proxy-residence"].message.endswith(ELSEWHERE)
    assert "proxy-principal-residence" not in found


async def test_an_address_is_an_officers_to_take(
    database: Database, case: CaseActivities, request_id: str
) -> None:
    denied = await refused(case.record_address(address(request_id, by="mailroom-1")))
    assert denied.code is Code.WRONG_ROLE
    assert (await acts(database, request_id))[-1] == "refused"
    assert (await refused(case.record_address(address(request_id, 9)))).code is Code.NOT_FOUND


# ── an answer leaves, or is taken back ────────────────────────────────────────────────────────────────────


def back(id: str, letter: str, note_id: str, **more: Any) -> ResponseToTakeBack:
    fields = {
        "request_id": id,
        "by": "officer-1",
        "key": "k",
        "on": ON,
        "letter_id": letter,
        "note_id": note_id,
    }
    return ResponseToTakeBack.model_validate(fields | {"note_id": note_id} | more)


def posted(id: str, letter: str) -> MailToRecord:
    return MailToRecord(
        request_id=id,
        by="mailroom-1",
        key=f"{letter}/1/posted",
        letter_id=letter,
        event=MailEvent.POSTED,
        on=ON,
        tracking_number="405548424886",
    )


async def stop_use(database: Database, keyring: Keyring, id: str) -> None:
    """Carry out a cessation in the register, as an approved answer does before it is queued."""
    async with database.begin() as conn:
        await holdings.import_file(conn, database.vault, keyring, parse_holdings(SAMPLE), "manager-1", on=ON)
        principal = envelope().principal
        found = await holdings.locate(conn, database.vault, keyring, principal, ["gmo-appscloud"])
        work = changes.Work(request_id=id, key="1", service="gmo-appscloud", on=ON)
        await changes.cease(conn, work, found["gmo-appscloud"], ChangeAction.CEASE_USE)


async def in_the_register(database: Database, id: str) -> list[changes.State]:
    async with database.begin() as conn:
        return [row.state for row in await changes.of_request(conn, id)]


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        (LetterKind.RESPONSE, changes.State.FINAL),
        (LetterKind.EXTENSION, changes.State.APPLIED),  # no answer: nothing is decided for good
    ],
)
async def test_what_was_carried_out_is_final_once_the_answer_is_posted(
    database: Database,
    keyring: Keyring,
    case: CaseActivities,
    request_id: str,
    kind: LetterKind,
    state: changes.State,
) -> None:
    await stop_use(database, keyring, request_id)
    await case.record_mail(posted(request_id, await queue(database, request_id, kind)))
    assert await in_the_register(database, request_id) == [state]


async def test_an_answer_in_the_queue_is_taken_back_once(
    database: Database, keyring: Keyring, case: CaseActivities, request_id: str
) -> None:
    await stop_use(database, keyring, request_id)
    letter = await queue(database, request_id, LetterKind.RESPONSE)
    order = back(request_id, letter, await note(database, request_id, Act.TAKE_BACK_RESPONSE))
    assert (await refused(case.take_back_response(back(request_id, letter, "no id")))).code is Code.MALFORMED
    denied = await refused(case.take_back_response(back(request_id, letter, order.note_id, by="mailroom-1")))
    assert denied.code is Code.WRONG_ROLE
    for _ in range(2):
        await case.take_back_response(order)
    async with database.begin() as conn:
        assert (await letters.find(conn, letter)).state is LetterState.CANCELLED
    assert (await acts(database, request_id)).count("response_taken_back") == 1
    assert await in_the_register(database, request_id) == [changes.State.UNDONE]


async def test_an_answer_that_is_posted_is_not_taken_back(
    database: Database, keyring: Keyring, case: CaseActivities, request_id: str
) -> None:
    await stop_use(database, keyring, request_id)
    letter = await queue(database, request_id, LetterKind.RESPONSE)
    await case.record_mail(posted(request_id, letter))
    order = back(request_id, letter, await note(database, request_id, Act.TAKE_BACK_RESPONSE))
    assert (await refused(case.take_back_response(order))).code is Code.LETTER_STATE
    assert "response_taken_back" not in await acts(database, request_id)
    assert await in_the_register(database, request_id) == [changes.State.FINAL]


async def test_a_clerk_who_is_not_sure_says_so_and_later_what_happened(
    database: Database, case: CaseActivities, request_id: str
) -> None:
    letter = await queue(database, request_id, LetterKind.RESPONSE)
    states = []
    for event in (MailEvent.UNKNOWN, MailEvent.NOT_POSTED):
        order = MailToRecord(
            request_id=request_id,
            by="mailroom-1",
            key=f"{letter}/{event.value}",
            letter_id=letter,
            event=event,
            on=ON,
            note_id=await note(database, request_id, Act.RECORD_MAIL, "mailroom-1")
            if event is MailEvent.UNKNOWN
            else None,
        )
        await case.record_mail(order)
        async with database.begin() as conn:
            states.append((await letters.find(conn, letter)).state)
    assert states == [LetterState.UNKNOWN, LetterState.QUEUED]
    assert (await acts(database, request_id))[-2:] == ["letter_unknown", "letter_not_posted"]


# ── closed, and open again ────────────────────────────────────────────────────────────────────────────────


async def close(case: CaseActivities, id: str, outcome: Outcome, number: int = 1) -> None:
    terms = Terms.of(pack(PACK))
    await case.close_request(CloseOrder(request_id=id, outcome=outcome, on=ON, number=number, terms=terms))


def again(id: str, note_id: str, **more: Any) -> ReopenToRecord:
    fields = {"request_id": id, "by": "officer-1", "key": "k", "number": 1, "on": ON, "note_id": note_id}
    return ReopenToRecord.model_validate(fields | more)


async def test_a_lapsed_request_is_reopened_once_and_closed_again(
    database: Database, case: CaseActivities, request_id: str
) -> None:
    await close(case, request_id, Outcome.LAPSED_DOCUMENTS)
    order = again(request_id, await note(database, request_id, Act.REOPEN))
    await case.reopen(order)
    async with database.begin() as conn:
        assert (await requests.find(conn, request_id)).closed_on is None
    await close(case, request_id, Outcome.LAPSED_PAYMENT, number=2)
    await case.reopen(order)  # a late repeat opens nothing
    async with database.begin() as conn:
        assert (await requests.find(conn, request_id)).outcome is Outcome.LAPSED_PAYMENT
        (event,) = [e for e in await audit.events(conn, request_id) if e.act == "reopen"]
    assert event.detail == {"on": "2018-11-20", "number": 1, "note": order.note_id}
    assert (await acts(database, request_id)).count("request_closed") == 2


async def test_what_is_destroyed_in_part_is_not_reopened(
    database: Database, case: CaseActivities, request_id: str
) -> None:
    await close(case, request_id, Outcome.LAPSED_DOCUMENTS)
    order = again(request_id, await note(database, request_id, Act.REOPEN))
    assert (
        await refused(case.reopen(again(request_id, order.note_id, by="mailroom-1")))
    ).code is Code.WRONG_ROLE
    async with database.begin() as conn:
        await retention.destroy_class(
            conn,
            database.vault,
            request_id=request_id,
            record_class=RecordClass.IDENTITY_DOCUMENTS,
            on=ON,
            rule="30 days after delivery or closure",
            clause="§1, Period of Retention",
            pack_version=PACK,
            by=audit.AUTOMATIC,
        )
    assert (await refused(case.reopen(order))).code is Code.ENDED
    async with database.begin() as conn:
        assert (await requests.find(conn, request_id)).outcome is Outcome.LAPSED_DOCUMENTS
