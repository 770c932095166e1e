"""The mail room's work in bulk, on the records alone: nothing of it needs a worker but recording events."""

import os
import re
import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from pypdf import PdfReader

from activities.letters.content import Letter
from activities.letters.render import page_count, render_letter
from policy.calendar import today_in_tokyo
from policy.refusals import Code
from policy.vocabulary import Language, LetterKind, MailEvent, RecordClass
from records import audit, letters, staff
from records.database import Database
from runtime.keys import Keyring
from runtime.stackfile import StackFile
from starter.mailroom import print_batch
from tests.activities.letters import samples
from tests.records.material import open_request
from tests.starter.office import Json, Office

MAILROOM = "mailroom-1"
QUEUED, POSTED = date(2018, 11, 5), date(2018, 11, 6)
TRACKING, OTHER = "13112383852", "405548424886"


@dataclass
class MailRoom(Office):
    """A home whose database answers and nothing else does."""

    database: Database | None = None

    async def queue(self, letter: Letter | None = None, *, queued_on: date = QUEUED) -> str:
        """Queue a letter of a request of its own; answers its id."""
        assert self.database is not None
        pdf = render_letter(letter or samples.invoice(Language.JA))
        async with self.database.begin() as conn:
            request_id = await open_request(conn)
            return await letters.queue(
                conn,
                self.database.vault,
                request_id=request_id,
                key="letter",
                kind=LetterKind.RESPONSE,
                record_class=RecordClass.RESPONSE_CONTENT,
                language=Language.JA,
                queued_on=queued_on,
                pdf=pdf,
                pages=page_count(pdf),
            )

    async def mark(self, letter_id: str, event: MailEvent, on: date, tracking: str | None = None) -> None:
        assert self.database is not None
        async with self.database.begin() as conn:
            await letters.mark(conn, letter_id, event=event, on=on, tracking_number=tracking)

    async def batch(self, out: Path, *more: str) -> Json:
        return await self.do("mail", "batch", "--out", str(out), "--by", MAILROOM, *more)

    async def times_printed(self, letter_id: str) -> int:
        """How often a letter was printed: by the audit trail."""
        assert self.database is not None
        async with self.database.begin() as conn:
            events = await audit.events(conn, letter_id.rpartition("-")[0])
        return sum(event.act == "print_letter" for event in events)


@pytest.fixture
async def room(database_url: str, tmp_path: Path) -> AsyncIterator[MailRoom]:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    keyring = Keyring.open(home / "keyring.json", create=True)
    database = Database(database_url, keyring)
    async with database.begin() as conn:
        await staff.seed_development(conn)
    StackFile(temporal="127.0.0.1:1", database=database_url, pid=os.getpid()).write(home)
    yield MailRoom(home, tmp_path, database=database)
    await database.dispose()


def text_of(reader: PdfReader, page: int) -> str:
    """The text of a page, counted from 1."""
    return reader.pages[page - 1].extract_text()


async def test_queued_letters_are_bound_for_a_printer_that_prints_on_both_sides(
    room: MailRoom, tmp_path: Path
) -> None:
    out = tmp_path / "letters.pdf"
    long = samples.response(Language.JA, rows=80)
    ids = [
        await room.queue(samples.invoice(Language.JA, letter_id="first")),
        await room.queue(long),
        await room.queue(samples.response(Language.EN, letter_id="third")),
    ]
    answer = await room.batch(out)
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert [each["letter_id"] for each in answer["letters"]] == ids
    reader = PdfReader(out)
    assert len(reader.pages) == 2 * answer["sheets"]
    page = 1 + answer["cover_pages"] + answer["cover_pages"] % 2
    for each, mark in zip(answer["letters"], ("first", long.letter_id, "third"), strict=True):
        first, last = each["first_page"], each["last_page"]
        assert (first, first % 2, last - first + 1) == (page, 1, each["pages"])
        assert mark in text_of(reader, first)
        assert re.search(rf"{each['pages']} ?/ ?{each['pages']}", text_of(reader, last))
        if last % 2:
            assert text_of(reader, last + 1) == ""
        page = last + 1 + last % 2
    assert page == len(reader.pages) + 1
    assert {(float(p.mediabox.width), float(p.mediabox.height)) for p in reader.pages} == {
        (float(reader.pages[0].mediabox.width), float(reader.pages[0].mediabox.height))
    }


async def test_the_cover_lists_the_letters_and_names_nobody(room: MailRoom, tmp_path: Path) -> None:
    out = tmp_path / "letters.pdf"
    ids = [await room.queue() for _ in range(30)]
    answer = await room.batch(out)
    assert answer["cover_pages"] == 2
    reader = PdfReader(out)
    cover = text_of(reader, 1) + text_of(reader, 2)
    for each in answer["letters"]:
        assert each["letter_id"] in cover
        first, last = each["first_page"], each["last_page"]
        assert re.search(rf"\b{first}\b" if first == last else f"{first}–{last}", cover)
    assert [each["letter_id"] for each in answer["letters"]] == ids
    name, address = samples.NAME[Language.JA], samples.addressee(Language.JA).address
    assert name in text_of(reader, answer["letters"][0]["first_page"])
    for personal in (name, *name.split(), *address.split("\n")):
        assert personal not in cover


async def test_printing_is_noted_and_may_be_repeated(room: MailRoom, tmp_path: Path) -> None:
    out, today = tmp_path / "letters.pdf", today_in_tokyo(datetime.now(UTC))
    late = await room.queue(queued_on=date(2018, 11, 9))
    early = await room.queue()
    answer = await room.batch(out, "--limit", "1", "--no-cover")
    assert [(x["letter_id"], x["first_page"]) for x in answer["letters"]] == [(early, 1)]
    assert (answer["cover_pages"], len(PdfReader(out).pages)) == (0, 2 * answer["sheets"])
    queued = (await room.do("mail", "queue"))["letters"]
    assert [(x["letter_id"], x["printed_on"], x["state"]) for x in queued] == [
        (early, today.isoformat(), "queued"),
        (late, None, "queued"),
    ]
    queued = (await room.do("mail", "queue", "--not-printed"))["letters"]
    assert [x["letter_id"] for x in queued] == [late]
    queued = (await room.do("mail", "queue", "--request", early.rpartition("-")[0]))["letters"]
    assert [x["letter_id"] for x in queued] == [early]
    answer = await room.batch(out, "--not-printed")
    assert [x["letter_id"] for x in answer["letters"]] == [late]
    answer = await room.batch(out)
    assert [x["letter_id"] for x in answer["letters"]] == [early, late]
    await room.do("mail", "print", late, "--out", str(out), "--by", MAILROOM)
    assert [await room.times_printed(each) for each in (early, late)] == [2, 3]


async def test_nothing_to_print_is_said_and_writes_nothing(room: MailRoom, tmp_path: Path) -> None:
    out = tmp_path / "letters.pdf"
    for more in ((), ("--no-cover",)):
        answer = await room.batch(out, *more)
        assert (answer["out"], answer["letters"], answer["sheets"]) == (None, [], 0)
        assert not out.exists()


async def test_who_may_not_print_gets_nothing(room: MailRoom, tmp_path: Path) -> None:
    letter_id, out = await room.queue(), tmp_path / "letters.pdf"
    refused = await room.run("mail", "batch", "--out", str(out), "--by", "accounts-1")
    assert (refused.status, refused.code) == (3, "wrong_role")
    refused = await room.run("mail", "batch", "--out", str(tmp_path / "no" / "x.pdf"), "--by", MAILROOM)
    assert (refused.status, refused.code) == (2, "usage")
    assert not out.exists()
    assert await room.times_printed(letter_id) == 0
    attempts = (await room.do("audit", "show", "mail"))["events"]
    assert [(event["act"], event["actor"]) for event in attempts] == [("refused", "accounts-1")]


async def test_one_letter_without_words_keeps_no_other_back(room: MailRoom, tmp_path: Path) -> None:
    assert room.database is not None
    lost, gone, kept = [await room.queue() for _ in range(3)]
    async with room.database.begin() as conn:
        queued = await letters.list_queued(conn)
        await room.database.vault.destroy(
            conn, lost.rpartition("-")[0], RecordClass.RESPONSE_CONTENT, rule="test"
        )
        assert await letters.cancel(conn, [gone], POSTED) == (gone,)
    steps: list[None] = []
    bound = await print_batch(
        room.database, queued, by=MAILROOM, on=POSTED, cover=True, done=lambda: steps.append(None)
    )
    assert ([x.letter_id for x in bound.letters], bound.without_words) == ([kept], (lost,))
    assert len(steps) == 3
    assert [await room.times_printed(each) for each in (lost, gone, kept)] == [0, 0, 1]
    answer = await room.batch(tmp_path / "letters.pdf")
    assert ([x["letter_id"] for x in answer["letters"]], answer["without_words"]) == ([kept], [lost])


# ── what the post says ────────────────────────────────────────────────────────────────────────────────────


def events_file(folder: Path, *rows: str, encoding: str = "utf-8") -> str:
    path = folder / "events.csv"
    path.write_text("\n".join(["tracking_number,event,on,posted_on,reason", *rows]), encoding=encoding)
    return str(path)


async def test_what_would_be_recorded_is_said_beforehand(room: MailRoom, tmp_path: Path) -> None:
    first, second = await room.queue(), await room.queue()
    await room.mark(first, MailEvent.POSTED, POSTED, TRACKING)
    await room.mark(second, MailEvent.POSTED, POSTED, OTHER)
    await room.mark(second, MailEvent.DELIVERED, date(2018, 11, 8))
    path = events_file(
        tmp_path,
        f"{TRACKING},引受,2018-11-06,,",
        f"{TRACKING},差出人に返送済み,2018-11-16,2018-11-06,",
        f"{OTHER},お届け済み,2018-11-08,,",
        "100000000004,delivered,2018-11-08,,",
        f"{TRACKING},delivered,2018-11-08,2018-11-07,",
        encoding="cp932",
    )
    answer = await room.do("mail", "import", path, "--dry-run", "--by", MAILROOM)
    assert (answer["dry_run"], answer["passed_over"], answer["refused"]) == (True, 1, [])
    assert [(x["line"], x["letter_id"], x["event"]) for x in answer["recorded"]] == [(3, first, "returned")]
    assert [(x["line"], x["letter_id"]) for x in answer["repeated"]] == [(4, second)]
    assert [(x["line"], x["tracking_number"]) for x in answer["unknown"]] == [
        (5, "100000000004"),
        (6, TRACKING),
    ]
    path = events_file(tmp_path, f"{OTHER},returned,2018-11-20,,", f"{TRACKING},delivered,2018-11-01,,")
    refused = await room.run("mail", "import", path, "--dry-run", "--by", MAILROOM)
    assert (refused.status, refused.code) == (3, "letter_state")
    assert [(x["line"], x["letter_id"], x["code"]) for x in refused.document["refused"]] == [
        (2, second, "letter_state"),
        (3, first, "letter_state"),
    ]
    assert (await room.do("mail", "queue")) == {"letters": [], "unknown": []}


async def test_a_malformed_file_is_refused_as_a_whole(room: MailRoom, tmp_path: Path) -> None:
    path = events_file(
        tmp_path, f"{TRACKING},delivered,2018-11-08,,", "見本 花子,posted,2018-11-08,,", f"{OTHER},返送"
    )
    refused = await room.run("mail", "import", path, "--by", MAILROOM)
    assert (refused.status, refused.code) == (2, "malformed")
    findings = refused.document["error"]["findings"]
    assert [(x["line"], x["column"], x["code"]) for x in findings] == [
        (3, "tracking_number", "bad_tracking_number"),
        (3, "event", "malformed"),
        (4, None, "malformed"),
    ]
    assert "見本" not in str(refused.document)
    for by, path, expected in (
        ("accounts-1", events_file(tmp_path), (3, "wrong_role")),
        (MAILROOM, str(tmp_path / "none.csv"), (2, "usage")),
        (MAILROOM, events_file(tmp_path), (5, "service_unreachable")),
    ):
        refused = await room.run("mail", "import", path, "--by", by)
        assert (refused.status, refused.code) == expected


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["posted"], "--tracking"),
        (["delivered", "--tracking", TRACKING], "--tracking"),
        (["not_posted", "--tracking", TRACKING], "--tracking"),
        (["returned"], "--reason"),
        (["unknown"], "--reason"),
        (["unknown", "--tracking", TRACKING, "--reason", "?"], "--tracking"),
        (["not_posted", "--reason", "x"], "--reason"),
        (["delivered", "--reason", "x"], "--reason"),
    ],
)
async def test_what_an_event_comes_with(room: MailRoom, words: list[str], hint: str) -> None:
    refused = await room.run("mail", "record", "DR-2018-000001-8-L01", *words, "--by", MAILROOM)
    assert (refused.status, refused.code) == (2, "usage")
    assert hint in refused.document["error"]["message"]


async def test_a_letter_nobody_knows(room: MailRoom) -> None:
    refused = await room.run(
        "mail", "record", "DR-2018-000001-8-L01", "unknown", "--reason", "?", "--by", MAILROOM
    )
    assert (refused.status, refused.code) == (4, Code.UNKNOWN_LETTER)
