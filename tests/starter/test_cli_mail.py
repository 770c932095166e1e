"""Letters through the command line on real servers: nobody is sure, found out, delivered, returned."""

from datetime import date, timedelta
from pathlib import Path

import pytest
from pypdf import PdfReader

from tests.starter.office import Json, Office

MAILROOM, OFFICER = "mailroom-1", "officer-1"


@pytest.fixture
async def letter_id(office: Office) -> str:
    """A queued letter: the confirmation of a withdrawal."""
    received = await office.do("receive", office.envelope(), "--by", MAILROOM)
    request_id = received["request_id"]
    await office.do("request", "withdraw", request_id, "--by", OFFICER)
    status = await office.reach(request_id, "RETAINED")
    return str(status["letters"][-1]["letter_id"])


async def record(office: Office, letter_id: str, *words: str) -> Json:
    return await office.do("mail", "record", letter_id, *words, "--by", MAILROOM)


async def letter(office: Office, letter_id: str) -> Json:
    status = await office.do("request", "show", letter_id.rpartition("-")[0])
    (found,) = [x for x in status["letters"] if x["letter_id"] == letter_id]
    return dict(found)


async def queues(office: Office, letter_id: str) -> tuple[bool, bool]:
    """Whether the letter waits to be posted, and whether somebody must find out about it."""
    queue = await office.do("mail", "queue", "--request", letter_id.rpartition("-")[0])
    return tuple(letter_id in [x["letter_id"] for x in queue[name]] for name in ("letters", "unknown"))  # type: ignore[return-value]


def events_file(folder: Path, *rows: tuple[object, ...]) -> str:
    path = folder / "events.csv"
    lines = [",".join(map(str, row)) for row in [("tracking_number", "event", "on", "reason"), *rows]]
    path.write_text("\n".join(lines), encoding="cp932")
    return str(path)


async def test_nobody_is_sure_until_somebody_has_found_out(office: Office, letter_id: str) -> None:
    assert await queues(office, letter_id) == (True, False)
    await record(office, letter_id, "unknown", "--reason", "控えが見当たらない")
    assert await queues(office, letter_id) == (False, True)
    refused = await office.run("mail", "record", letter_id, "delivered", "--by", MAILROOM)
    assert (refused.status, refused.code) == (3, "letter_state")
    await record(office, letter_id, "not_posted")
    assert await queues(office, letter_id) == (True, False)
    await record(office, letter_id, "unknown", "--reason", "控えが見当たらない")
    await record(office, letter_id, "posted", "--tracking", office.tracking_number())
    assert await queues(office, letter_id) == (False, False)
    assert (await letter(office, letter_id))["state"] == "posted"
    events = (await office.do("audit", "show", letter_id.rpartition("-")[0]))["events"]
    acts = [event["act"] for event in events if event["act"].startswith("letter_")]
    assert acts == ["letter_queued", "letter_unknown", "letter_not_posted", "letter_unknown", "letter_posted"]


async def test_a_file_of_events_is_applied_once(office: Office, letter_id: str, tmp_path: Path) -> None:
    number, stranger = office.tracking_number(), office.tracking_number()
    await record(office, letter_id, "posted", "--tracking", number)
    today = (await office.do("request", "show", letter_id.rpartition("-")[0]))["today"]
    tomorrow = date.fromisoformat(today) + timedelta(days=1)
    path = events_file(
        tmp_path,
        (number, "引受", today, ""),
        (number, "差出人に返送済み", today, "あて所に尋ねあたりません"),
        (number, "差出人に返送済み", today, ""),
        (stranger, "お届け済み", today, ""),
    )
    command = ("mail", "import", path, "--by", MAILROOM)
    before = await office.do(*command, "--dry-run")
    assert (await letter(office, letter_id))["state"] == "posted"
    done = await office.do(*command)
    assert [(x["line"], x["letter_id"]) for x in done["recorded"]] == [(3, letter_id)]
    assert before["recorded"][:1] == done["recorded"]
    assert [x["line"] for x in done["repeated"]] == [4]
    assert ([x["line"] for x in done["unknown"]], done["passed_over"]) == ([5], 1)
    came_back = await letter(office, letter_id)
    assert (came_back["state"], came_back["ended_on"]) == ("returned", today)
    audit = ("audit", "show", letter_id.rpartition("-")[0])
    trail = await office.do(*audit)
    again = await office.do(*command)
    assert (again["recorded"], [x["line"] for x in again["repeated"]]) == ([], [3, 4])
    assert await letter(office, letter_id) == came_back
    assert await office.do(*audit) == trail

    path = events_file(tmp_path, (number, "delivered", tomorrow, ""))
    refused = await office.run("mail", "import", path, "--by", MAILROOM)
    assert (refused.status, refused.code) == (3, "letter_state")


async def test_what_the_request_refuses_keeps_nothing_else_back(
    office: Office, letter_id: str, tmp_path: Path
) -> None:
    number, good = office.tracking_number(), office.tracking_number()
    await record(office, letter_id, "posted", "--tracking", number)
    received = await office.do("receive", office.envelope(), "--by", MAILROOM)
    await office.do("request", "withdraw", received["request_id"], "--by", OFFICER)
    status = await office.reach(received["request_id"], "RETAINED")
    other = status["letters"][-1]["letter_id"]
    await record(office, other, "posted", "--tracking", good)
    today = date.fromisoformat(status["today"])
    path = events_file(
        tmp_path, (number, "delivered", today + timedelta(days=1), ""), (good, "delivered", today, "")
    )
    ran = await office.run("mail", "import", path, "--by", MAILROOM)
    assert (ran.status, ran.code) == (3, "malformed")
    assert [(x["line"], x["letter_id"], x["code"]) for x in ran.document["refused"]] == [
        (2, letter_id, "malformed")
    ]
    assert [(x["line"], x["letter_id"]) for x in ran.document["recorded"]] == [(3, other)]
    assert (await letter(office, letter_id))["state"] == "posted"
    assert (await letter(office, other))["state"] == "delivered"


async def test_a_real_letter_lies_where_the_batch_says(
    office: Office, letter_id: str, tmp_path: Path
) -> None:
    out = tmp_path / "letters.pdf"
    batch = await office.do("mail", "batch", "--out", str(out), "--by", MAILROOM)
    (placed,) = [x for x in batch["letters"] if x["letter_id"] == letter_id]
    reader = PdfReader(out)
    assert letter_id in reader.pages[placed["first_page"] - 1].extract_text()
    assert "見本 花子" in reader.pages[placed["first_page"] - 1].extract_text()
    cover = "".join(reader.pages[n].extract_text() for n in range(batch["cover_pages"]))
    assert letter_id in cover
    assert "見本" not in cover
