"""Bank files on the command line: read whole or refused, recorded once, going on where they broke off."""

import asyncio
import io
import json
import os
import zipfile
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from policy.checkdigits import payment_reference
from policy.refusals import Refusal
from records import allocations, audit, import_log, ledger, staff
from records.database import Database
from records.tables import metadata
from runtime.embedded.postgres import PostgresServer
from runtime.embedded.temporal_server import TemporalServer
from runtime.keys import Keyring
from runtime.stackfile import StackFile
from starter.cli.main import run
from starter.importing import BLOCK, Importing
from starter.today import machine_day
from tests.records.material import open_request
from tests.records.money import issue
from tests.starter.bank import bytes_of, camt_of
from tests.starter.office import Json, Office, pay

BY = ("--by", "accounts-1")
TODAY = date(2018, 11, 20)
CANARY = "ｶﾅﾘﾔ"


class Desk(Office):
    """An accounts desk: a home with a ledger of its own, and bank files."""

    keyring: Keyring
    database: Database

    def file(self, content: bytes, name: str = "notice.txt") -> str:
        path = self.desk / name
        path.write_bytes(content)
        return str(path)

    async def rows(self, table: str) -> int:
        async with self.database.begin() as conn:
            return await conn.scalar(select(func.count()).select_from(metadata.tables[table])) or 0


@asynccontextmanager
async def desk_with(folder: Path, database_url: str, temporal: str) -> AsyncIterator[Desk]:
    home, files = folder / "home", folder / "desk"
    home.mkdir(mode=0o700, parents=True)
    files.mkdir()
    desk = Desk(home, files)
    desk.keyring = Keyring.open(home / "keyring.json", create=True)
    desk.database = Database(database_url, desk.keyring)
    StackFile(temporal=temporal, database=database_url, pid=os.getpid()).write(home)
    async with desk.database.begin() as conn:
        await staff.seed_development(conn)
    yield desk
    await desk.database.dispose()


@pytest.fixture
async def desk(tmp_path: Path, database_url: str, temporal_server: TemporalServer) -> AsyncIterator[Desk]:
    async with desk_with(tmp_path, database_url, temporal_server.address) as desk:
        yield desk


def notice(*data: bytes, cancelled: int = 0) -> bytes:
    amounts = [int(record[19:29]) for record in data]
    trailer = bytes_of.notice_trailer(len(data), sum(amounts), int(cancelled > 0), cancelled)
    return bytes_of.joined([bytes_of.notice_header(), *data, trailer, bytes_of.NOTICE_END])


def transfers(count: int, first: int = 0, *, number: int = 1) -> list[bytes]:
    names = (f"{payment_reference(each)} {CANARY}" for each in range(first, first + count))
    return [bytes_of.notice(5400, name=name, number=at) for at, name in enumerate(names, number)]


async def invoice(desk: Desk, reference: str) -> str:
    async with desk.database.begin() as conn:
        request_id = await open_request(conn)
        await issue(conn, desk.database.vault, request_id, reference=reference)
    return request_id


async def test_what_a_file_tells_moves_requests_and_told_again_changes_nothing(
    office: Office, tmp_path: Path
) -> None:
    request_id = str((await office.do("receive", office.envelope(), "--by", "mailroom-1"))["request_id"])
    await office.do("request", "verify", request_id, "--by", "officer-1")
    status = await office.reach(request_id, "AWAITING_PAYMENT")
    name = f"{status['payment_reference']} ﾐﾎﾝ ﾊﾅｺ"
    day = "301120"
    data = [
        bytes_of.notice(status["fee"], name=name, day=day),
        bytes_of.notice(77, name="ﾍﾞﾂｼﾞﾝ", day=day, number=2),
    ]
    trailer = bytes_of.notice_trailer(2, status["fee"] + 77)
    records = [bytes_of.notice_header(day), *data, trailer, bytes_of.NOTICE_END]
    path = tmp_path / "notice.txt"
    path.write_bytes(bytes_of.joined(records))
    found = await office.do("deposits", "import", str(path), *BY)
    counted = {name: found[name] for name in ("new", "matched", "suspense", "repeated", "was_finished")}
    assert counted == {"new": 2, "matched": 1, "suspense": 1, "repeated": 0, "was_finished": False}
    assert (await office.reach(request_id, "PREPARING"))["phase"] == "PREPARING"
    again = await office.do("deposits", "import", str(path), *BY)
    assert (again["new"], again["repeated"], again["was_finished"]) == (0, 2, True)
    assert again["changed"] == found["changed"]
    # the payment system tells of the same money: it waits, and credits nobody twice
    await pay(office, status["fee"], status["payment_reference"], f"twin-{request_id}")
    show = ("deposits", "show", f"webhook/twin-{request_id}")
    twin = await office.until(lambda shown: bool(shown["state"] != "settled"), *show)
    assert (twin["state"], twin["suspense_reason"]) == ("suspense", "twin")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (notice(*transfers(2))[:-150], "record 5"),
        (notice(*transfers(2)).decode("cp932").encode(), "UTF-8"),
        (notice(*transfers(2)).decode("cp932").encode("utf-16"), "UTF-16"),
        (b"\xf1\xf0\xf1" + b"\x40" * 197, "EBCDIC"),
        (bytes(range(256)) * 10, "binary"),
        (b"PK\x03\x04" + b"\0" * 100, "zip"),
        (b"date,amount\n2018-11-02,5400\n", "CSV"),
        (b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', "XML"),
        (
            b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b">]>'
            b'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.054.001.02">&a;</Document>',
            "hostile",
        ),
    ],
    ids=["empty", "cut", "utf-8", "utf-16", "ebcdic", "binary", "zip", "csv", "xml", "entities"],
)
async def test_a_file_that_is_none_is_refused_and_nothing_of_it_applied(
    desk: Desk, content: bytes, said: str
) -> None:
    ran = await desk.run("deposits", "import", desk.file(content), *BY)
    assert (ran.status, ran.code) == (2, "bank_file_refused")
    assert said in json.dumps(ran.document)
    assert await desk.rows("deposits") == await desk.rows("imports") == 0


async def test_every_finding_is_listed_at_once_without_a_word_of_the_payer(
    desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    good, other = transfers(2)
    bad = good[:1] + b"00000x" + good[7:]
    day = other[:7] + b"301332" + other[13:]
    file = desk.file(bytes_of.joined([bytes_of.notice_header(), bad, day, bytes_of.NOTICE_END]))
    ran = await desk.run("deposits", "import", file, *BY)
    found = {(each["record"], each["position"]) for each in ran.document["error"]["findings"]}
    assert {(2, 7), (3, 8)} <= found
    monkeypatch.setenv("KAIJI_HOME", str(desk.home))
    assert await asyncio.to_thread(run, ["deposits", "import", file, *BY]) == 2
    printed = capsys.readouterr().err
    for each in ran.document["error"]["findings"]:
        assert set(each) == {"record", "position", "field", "why", "message"}
        assert each["message"] in printed
    assert CANARY not in printed + json.dumps(ran.document, ensure_ascii=False)
    assert await desk.rows("deposits") == 0


async def test_what_is_no_file_is_refused_at_once(desk: Desk) -> None:
    pipe = desk.desk / "pipe"
    os.mkfifo(pipe)
    for name in (str(desk.desk), str(desk.desk / "missing"), "-", str(pipe), "/dev/null"):
        ran = await asyncio.wait_for(desk.run("deposits", "import", name, *BY), 10)
        assert (ran.status, ran.code) == (2, "usage"), name
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("notice.txt", notice(*transfers(1)))
    ran = await desk.run("deposits", "import", desk.file(archive.getvalue()), *BY)
    assert (ran.status, "unpack" in json.dumps(ran.document)) == (2, True)


@pytest.mark.parametrize("place", [BLOCK + 50, 60])
async def test_a_file_that_changes_meanwhile_is_not_finished(desk: Desk, place: int) -> None:
    content = notice(*transfers(BLOCK + 100))
    stream = io.BytesIO(content)
    importing = Importing(desk.database, desk.keyring, by="accounts-1", today=TODAY)
    file = await importing.check(stream)

    def change(_: int) -> None:  # an amount, after the first block
        stream.getbuffer()[place * 202 + 28] = ord("X" if place > BLOCK else "9")

    with pytest.raises(Refusal, match="written to"):
        await importing.run(file, change)
    (begun,) = (await desk.do("deposits", "imports"))["imports"]
    assert begun["finished_on"] is None


async def test_only_accounts_import_and_the_attempt_of_others_stays(desk: Desk) -> None:
    file = desk.file(notice(*transfers(1)))
    for options in ([], ["--dry-run"]):
        ran = await desk.run("deposits", "import", file, *options, "--by", "officer-1")
        assert (ran.status, ran.code) == (3, "wrong_role")
    async with desk.database.begin() as conn:
        events = await audit.events(conn, import_log.CASE)
    assert [(event.act, event.actor) for event in events] == [("refused", "officer-1")] * 2
    assert await desk.rows("deposits") == 0


async def test_a_dry_run_tells_what_would_happen_and_changes_nothing(
    desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id = await invoice(desk, payment_reference(1))
    file = desk.file(notice(*transfers(3, 1), bytes_of.notice(10, name=CANARY, number=4)))
    before = {name: await desk.rows(name) for name in metadata.tables}
    tried = await desk.do("deposits", "import", file, "--dry-run", "--lines", "2", *BY)
    assert {name: await desk.rows(name) for name in metadata.tables} == before
    assert (tried["new"], tried["matched"], tried["suspense"], tried["exact"]) == (4, 1, 3, True)
    paid, waits = tried["outcomes"]
    assert (paid["request_id"], paid["found_by"]) == (request_id, "payment_reference")
    assert (waits["what"], waits["amount"], waits["suspense_reason"]) == ("new", 5400, "unidentified")
    monkeypatch.setenv("KAIJI_HOME", str(desk.home))
    assert await asyncio.to_thread(run, ["deposits", "import", file, "--dry-run", *BY]) == 0
    printed = capsys.readouterr().out
    assert request_id in printed
    assert CANARY not in printed + json.dumps(tried, ensure_ascii=False)
    done = await desk.do("deposits", "import", file, *BY)
    assert {name: done[name] for name in ("new", "matched", "suspense")} == {
        name: tried[name] for name in ("new", "matched", "suspense")
    }
    again = await desk.do("deposits", "import", file, "--dry-run", *BY)
    assert (again["new"], again["repeated"]) == (0, 4)


async def test_a_notice_and_the_statement_of_its_day_tell_of_one_deposit(desk: Desk) -> None:
    await desk.do("deposits", "import", desk.file(notice(*transfers(2))), *BY)
    names = [f"{payment_reference(each)} {CANARY}" for each in range(2)]
    lines = [
        # the latest first: it takes back what stands below it
        bytes_of.transaction(5400, type_=19, direction=2, name=names[1], number=4),
        bytes_of.transaction(900, direction=2, name="ﾔﾁﾝ", number=3),
        *(bytes_of.transaction(5400, name=name, number=at + 8) for at, name in enumerate(names)),
    ]
    statement = [
        bytes_of.statement_header(),
        *lines,
        bytes_of.statement_trailer([5400, 5400], [5400, 900], 100_000 + 5400 - 900),
        bytes_of.statement_end(7, 1),
    ]
    found = await _try_statement(desk, statement)
    assert (found["repeated"], found["taken_back"], found["other"], found["new"]) == (2, 1, 1, 0)
    async with desk.database.begin() as conn:
        states = sorted(row.state.value for row in await ledger.list_deposits(conn))
    assert states == ["cancelled", "suspense"]


async def _try_statement(desk: Desk, records: Iterable[bytes]) -> Json:
    return await desk.do("deposits", "import", desk.file(bytes_of.joined(list(records)), "st.txt"), *BY)


async def test_a_line_under_another_number_is_shown_to_a_clerk_and_a_whole_day_settles_it(
    desk: Desk,
) -> None:
    (morning,), (afternoon,) = transfers(1), transfers(1, number=9)
    await desk.do("deposits", "import", desk.file(notice(morning)), *BY)
    half = await desk.do("deposits", "import", desk.file(notice(afternoon)), *BY)
    assert (half["new"], half["repeated"], half["doubts"]) == (0, 1, 1)
    assert [each["doubt"] for each in half["to_judge"]] == ["second_payment"]
    whole = await desk.do("deposits", "import", desk.file(notice(morning, afternoon)), *BY)
    assert (whole["new"], whole["repeated"]) == (1, 1)
    listed = await desk.do("deposits", "imports")
    assert [each["doubts"] for each in listed["imports"]] == [0, 1, 0]
    shown = await desk.do("deposits", "imports", half["import"])
    assert shown["to_judge"] == half["to_judge"]
    assert (await desk.run("deposits", "imports", "nothing")).status == 4


async def test_other_currencies_wait_to_the_cent(desk: Desk) -> None:
    sample = (Path(__file__).parent / "bank" / "samples" / "camt.053.001.02.xml").read_bytes()
    file = desk.file(sample, "statement.xml")
    tried = await desk.do("deposits", "import", file, "--dry-run", *BY)
    assert tried["outcomes"][0]["amount"] == 5410
    await desk.do("deposits", "import", file, *BY)
    found = (await desk.do("deposits", "list", "--unmatched"))["deposits"]
    listed = sorted(found, key=lambda each: each["currency"])
    assert [(each["currency"], each["remainder"], each["suspense_reason"]) for each in listed] == [
        ("EUR", 5410, "currency"),
        ("JPY", 5400, "unidentified"),
    ]
    it = f"bank/{listed[0]['deposit_id']}"
    for words in (
        ("deposits", "import", file, "--dry-run", *BY),
        ("deposits", "list"),
        ("deposits", "show", it),
        ("deposits", "ledger", "--month", "2018-11"),
    ):
        assert "54.10" in await desk.read(*words), words
    ledger = await desk.do("deposits", "ledger", "--month", "2018-11")
    assert ledger["closing"]["suspense"] == {"JPY": 5400, "EUR": 5410}
    assert ",EUR,0.00,54.10,0.00," in await desk.read("deposits", "ledger", "--month", "2018-11", "--csv")


@pytest.mark.parametrize("currency", ["JPY", "EUR"])
async def test_a_statement_of_lumps_and_a_notice_of_their_payments_count_once(
    desk: Desk, currency: str
) -> None:
    reference = payment_reference(1)
    request_id = await invoice(desk, reference)
    paid = "".join(
        camt_of.transaction(amount, currency=currency, ustrd=words)
        for amount, words in (("5400", reference), ("60.00", "other"))
    )
    of_both = {"amount": "5460", "currency": currency}
    notice = desk.file(camt_of.message(camt_of.entry(details=paid, **of_both)), "notice.xml")
    stated = camt_of.message(camt_of.entry(reference="R", **of_both), kind="Stmt", version="08")
    statement = desk.file(stated, "statement.xml")
    for file in (statement, notice, statement, notice):
        await desk.do("deposits", "import", file, *BY)
    listed = (await desk.do("deposits", "list"))["deposits"]
    (lump,) = [each for each in listed if each["suspense_reason"] == "twin"]
    assert lump["amount"] == sum(each["amount"] for each in listed if each is not lump)
    async with desk.database.begin() as conn:
        received = (await ledger.payments(conn, request_id)).received
    assert received == (5400 if currency == "JPY" else 0)
    it = f"bank/{lump['deposit_id']}"
    assert len((await desk.do("deposits", "show", it))["possible_twins"]) == 2
    assert (await desk.do("deposits", "not-a-twin", it, *BY))["suspense_reason"] == "unidentified"
    await desk.do("deposits", "dismiss-twin", it, *BY)
    books = await desk.do("deposits", "ledger", "--month", f"{machine_day():%Y-%m}")
    waits = {"JPY": 60} if currency == "JPY" else {"JPY": 0, "EUR": 546000}
    assert books["closing"]["suspense"] == waits


async def test_an_amount_with_more_decimals_than_its_currency_has_is_a_finding(desk: Desk) -> None:
    sample = (Path(__file__).parent / "bank" / "samples" / "camt.053.001.02.xml").read_bytes()
    ran = await desk.run(
        "deposits", "import", desk.file(sample.replace(b">54.10<", b">54.105<"), "f.xml"), *BY
    )
    assert (ran.status, ran.code) == (2, "bank_file_refused")
    assert {each["record"] for each in ran.document["error"]["findings"]} == {1}
    assert "2 decimals" in str(ran.document)


async def test_the_money_is_recorded_though_temporal_is_down(tmp_path: Path, database_url: str) -> None:
    async with desk_with(tmp_path, database_url, "127.0.0.1:9") as desk:
        found = await desk.do("deposits", "import", desk.file(notice(*transfers(2))), *BY)
        assert (found["new"], found["still_to_tell"]) == (2, 2)
        assert found["finished_on"] is not None


async def test_an_import_that_was_killed_goes_on(
    tmp_path: Path, postgres: PostgresServer, migrated_template: str, temporal_server: TemporalServer
) -> None:
    count = 1_600
    content = notice(*transfers(count))
    results = []
    for name in ("import_killed", "import_whole"):
        await postgres.clone_database(migrated_template, name)
        url = postgres.url(name)
        async with desk_with(tmp_path / name, url, temporal_server.address) as desk:
            if name == "import_whole":
                os.replace(tmp_path / "import_killed" / "home" / "keyring.json", desk.home / "keyring.json")
            await invoice(desk, payment_reference(7))
            await invoice(desk, payment_reference(count - 7))
            file = desk.file(content)
            if name == "import_killed":
                await _kill_half_way(desk, file, count)
                (begun,) = (await desk.do("deposits", "imports"))["imports"]
                assert begun["finished_on"] is None
                assert 0 < begun["changed"]["new"] == await desk.rows("deposits") < count
            importing = Importing(
                desk.database, Keyring.open(desk.home / "keyring.json"), by="accounts-1", today=TODAY
            )
            checked = await importing.check(io.BytesIO(content))
            found = await importing.run(checked, lambda _: None)
            assert found.stands.finished_on == TODAY
            assert found.stands.changed.new == await desk.rows("deposits") == count
            results.append(await _states(desk))
        await postgres.drop_database(name)
    assert results[0] == results[1]


async def _kill_half_way(desk: Desk, file: str, count: int) -> None:
    process = await desk.start("deposits", "import", file, *BY)
    while not count // 3 < await desk.rows("deposits"):
        assert process.returncode is None, "it was over too soon"
        await asyncio.sleep(0.01)
    process.kill()
    await process.wait()


async def _states(desk: Desk) -> list[Any]:
    async with desk.database.begin() as conn:
        assert (await audit.verify(conn)).broken == ()
        rows = await ledger.list_deposits(conn)
    return sorted(
        (row.deposit_id, row.state, row.amount, row.requests, row.suspense_reason, row.value_date)
        for row in rows
    )


@pytest.mark.parametrize("count", [20, pytest.param(200, marks=pytest.mark.long)])
async def test_many_imports_of_one_file_at_once_credit_once(desk: Desk, count: int) -> None:
    request_id = await invoice(desk, payment_reference(3))
    contents = [notice(*transfers(8)), notice(*transfers(8, 4))]

    async def import_one(number: int) -> tuple[int, int]:
        importing = Importing(desk.database, desk.keyring, by="accounts-1", today=TODAY)
        file = await importing.check(io.BytesIO(contents[number % 2]))
        found = (await importing.run(file, lambda _: None)).result
        return found.new, found.repeated

    results = await asyncio.gather(*(import_one(number) for number in range(count)))
    assert sum(new for new, _ in results) == 12
    assert sum(repeated for _, repeated in results) == 8 * count - 12
    async with desk.database.begin() as conn:
        assert (await allocations.payments(conn, request_id)).received == 5400
        assert (await audit.verify(conn)).broken == ()
    assert await desk.rows("deposits") == 12
    assert await desk.rows("allocations") == 1
    assert await desk.rows("imports") == 2


async def test_processes_that_import_one_file_at_once_record_it_once(desk: Desk) -> None:
    file = desk.file(notice(*transfers(60)))
    processes = [await desk.start("deposits", "import", file, "--json", *BY) for _ in range(3)]
    documents = [json.loads((await each.communicate())[0]) for each in processes]
    assert [each.returncode for each in processes] == [0] * 3
    assert sum(each["new"] for each in documents) == await desk.rows("deposits") == 60
    assert sum(each["repeated"] for each in documents) == 120
