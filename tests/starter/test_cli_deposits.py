"""What accounts clerks do on the command line: deposits cleared, refunds paid, the books shown."""

import json
import stat
from asyncio import to_thread
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update

from policy.calendar import add_business_days, today_in_tokyo
from policy.refund import HOLDER_BYTES, AccountType, RefundAccount
from records import errands, ledger, staff
from records.database import Database
from records.ledger import BankDeposit, record_many
from records.refunds import FileRow, Transfer
from records.tables import allocations
from runtime.keys import Keyring
from runtime.settings import Settings
from starter.bank.zengin import read
from starter.bank.zengin.records import TransferData, TransferHeader
from starter.cli.main import run
from starter.cli.options import parse_amount, parse_decimal, parse_month
from starter.refund_files import content
from tests.records.material import open_request
from tests.records.money import ACCOUNT, bank, issue
from tests.starter.office import Json, Office, Ran

CODE = "9876543210"
TODAY = today_in_tokyo(datetime.now(UTC))
PAY_ON = add_business_days(TODAY, 3)
OTHER_CLERK = "manager-1"
SOURCE = "clerks"


class Clerk:
    """Accounts clerk 1 at the office, with a ledger to look into."""

    def __init__(self, office: Office, database: Database, keyring: Keyring) -> None:
        self.office = office
        self.database = database
        self.keyring = keyring
        self.account = office.desk / "account.json"
        self.account.write_text(ACCOUNT.model_dump_json(), encoding="utf-8")

    async def owed(self, reference: str = "") -> str:
        """A request whose fee of 5,400 is owed."""
        async with self.database.begin() as conn:
            request_id = await open_request(conn)
            await issue(conn, self.database.vault, request_id, reference=reference or request_id[8:14] + "xx")
        return request_id

    async def paid_in(self, *deposits: BankDeposit) -> None:
        """A bank file tells of them; whoever is to hear of it has not heard yet."""
        async with self.database.begin() as conn:
            await record_many(conn, self.database.vault, self.keyring, SOURCE, "file-1", deposits)

    async def run(self, *words: str, by: str = "accounts-1", **environment: str) -> Ran:
        return await self.office.run(*words, "--by", by, **environment)

    async def do(self, *words: str, by: str = "accounts-1", **environment: str) -> Json:
        return await self.office.do(*words, "--by", by, KAIJI_ORDERER_CODE=CODE, **environment)

    async def twice(self, *words: str, by: str = "accounts-1") -> Json:
        """Do something twice: the second time changes nothing and says so."""
        first, second = [await self.do(*words, by=by) for _ in range(2)]
        assert (first["repeated"], second["repeated"]) == (False, True), (words, first, second)
        return first

    async def show(self, deposit: str) -> Json:
        return await self.office.do("deposits", "show", f"{SOURCE}/{deposit}")

    async def refund(self, deposit: str, *more: str) -> str:
        proposed = await self.do("deposits", "refund", deposit, "--account", str(self.account), *more)
        return str(proposed["refund"])


@pytest.fixture
async def clerk(office: Office) -> AsyncIterator[Clerk]:
    settings = Settings.load(office.home)
    keyring = Keyring.from_settings(settings)
    database = Database(settings.database(), keyring)
    yield Clerk(office, database, keyring)
    await database.dispose()


async def test_a_stray_deposit_is_suggested_assigned_and_what_is_over_goes_back(clerk: Clerk) -> None:
    request_id = await clerk.owed()
    await clerk.paid_in(bank("over", 6001), bank("exact"))
    listed = (await clerk.office.do("deposits", "list", "--unmatched"))["deposits"]
    (over,) = [each for each in listed if each["deposit_id"] == "over"]
    assert (over["remainder"], over["due_on"], over["overdue"]) == (6001, "2019-01-11", True)
    suggested = (await clerk.do("deposits", "suggest", f"{SOURCE}/exact"))["suggestions"]
    assert {"amount"} == {why for each in suggested for why in each["why"]}
    assert request_id in {each["request_id"] for each in suggested}
    assigned = await clerk.do("deposits", "assign", f"{SOURCE}/over", request_id)
    assert (assigned["remainder"], assigned["suspense_reason"]) == (601, "over")

    proposing = ("deposits", "refund", f"{SOURCE}/over", "--account", str(clerk.account))
    number = (await clerk.twice(*proposing))["refund"]
    assert (await clerk.run(*proposing, "--amount", "1")).code == "not_refundable"
    own = await clerk.run("refunds", "approve", number)
    assert (own.status, own.code) == (3, "same_person")
    seen = await clerk.do("refunds", "show", number, "--account", by=OTHER_CLERK)
    assert (seen["amount"], seen["account"]["holder_kana"]) == (601, "ﾐﾎﾝ ﾊﾅｺ")
    await clerk.twice("refunds", "approve", number, by=OTHER_CLERK)

    file_id, out = await written(clerk, number)
    header, data, *_ = read(out.read_bytes(), TODAY)
    assert isinstance(header, TransferHeader)
    assert isinstance(data, TransferData)
    assert (header.client_code, header.pay_on, header.account_number) == (CODE, f"{PAY_ON:%m%d}", "1234567")
    assert (data.amount, data.account_number, data.payee_name, data.edi) == (
        601,
        "1234567",
        "ﾐﾎﾝ ﾊﾅｺ",
        number,
    )
    await clerk.twice("refunds", "accepted", file_id)
    await clerk.twice("refunds", "paid", number)
    shown = await clerk.show("over")
    assert (shown["state"], shown["allocated"], shown["refunded"]) == ("matched", 5400, 601)
    assert [each["request_id"] for each in shown["allocations"]] == [request_id]
    assert [(each["number"], each["state"]) for each in shown["refunds"]] == [(number, "paid")]
    acts = [each["act"] for each in shown["history"]]
    assert (acts.count("refund_account_viewed"), acts.count("refund_written_again")) == (1, 3)
    await clerk.twice("refunds", "returned", number)
    assert (await clerk.show("over"))["remainder"] == 601


async def written(clerk: Clerk, *numbers: str) -> tuple[str, Path]:
    """A file of these refunds: nobody else reads it, nothing is overwritten, its copy is the same."""
    out, copy = clerk.office.desk / f"{numbers[0]}.txt", clerk.office.desk / f"{numbers[0]}-copy.txt"
    only = [word for number in numbers for word in ("--only", number)]
    writing = ("refunds", "file", "--pay-on", str(PAY_ON), "--out", str(out), *only)
    nobody = await clerk.run(*writing)
    assert (nobody.status, nobody.code) == (2, "misconfigured")
    file = (await clerk.do(*writing))["file"]
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert (await clerk.run(*writing, KAIJI_ORDERER_CODE=CODE)).code == "usage"
    for path in (copy, copy):
        again = await clerk.do("refunds", "file", file["id"], "--out", str(path))
        assert again["repeated"] is True
    assert copy.read_bytes() == out.read_bytes()
    copy.write_bytes(b"another's")
    assert (await clerk.run("refunds", "file", file["id"], "--out", str(copy))).code == "usage"
    assert copy.read_bytes() == b"another's"
    return file["id"], out


async def test_a_deposit_is_split_taken_back_and_assigned_elsewhere(clerk: Clerk) -> None:
    one, other = [await clerk.owed() for _ in range(2)]
    await clerk.paid_in(bank("many", 9000))
    splitting = ("deposits", "split", f"deposit/{SOURCE}/many", f"{one}=5,400", f"{other}=２７００")
    split = await clerk.twice(*splitting)
    assert (set(split["requests"]), split["remainder"]) == ({one, other}, 900)
    # the workflow of what waits may have ended, run, or be about to start: an act finds it all the same
    await clerk.twice("deposits", "unassign", f"{SOURCE}/many", one)
    assert (await clerk.do("deposits", "assign", f"{SOURCE}/many", other))["remainder"] == 3600
    await clerk.twice("deposits", "unassign", f"{SOURCE}/many", other)
    await clerk.do("deposits", "assign", f"{SOURCE}/many", one)
    assigned = await clerk.do("deposits", "assign", f"{SOURCE}/many", other)
    assert (assigned["state"], assigned["remainder"]) == ("matched", 0)
    credits = (await clerk.show("many"))["allocations"]
    assert [each["reversed_by"] for each in credits if each["reversed_on"]] == ["accounts-1"] * 3
    for act in ("dismiss-twin", "not-a-twin"):
        refused = await clerk.run("deposits", act, f"{SOURCE}/many")
        assert (refused.status, refused.code) == (3, "deposit_not_assignable")


async def test_while_temporal_is_away_the_ledger_is_written_and_decisions_wait(clerk: Clerk) -> None:
    request_id = await clerk.owed()
    await clerk.paid_in(bank("away", 6000))
    nowhere = {"TEMPORAL_ADDRESS": "127.0.0.1:1"}
    for words in (
        ("deposits", "assign", f"{SOURCE}/away", request_id),
        ("deposits", "refund", f"{SOURCE}/away", "--account", str(clerk.account), "--amount", "600"),
    ):
        failed = await clerk.run(*words, **nowhere)
        assert (failed.status, failed.code) == (5, "service_unreachable")
    split = await clerk.do("deposits", "split", f"{SOURCE}/away", f"{request_id}=5400", **nowhere)
    assert (split["told"], split["remainder"]) == (False, 600)
    async with clerk.database.begin() as conn:
        left = await errands.pending(conn, of=(SOURCE, "away"))
    assert request_id in {each.request_id for each in left}
    number = await clerk.refund(f"{SOURCE}/away", "--amount", "600")
    async with clerk.database.begin() as conn:
        now_left = await errands.pending(conn, of=(SOURCE, "away"))
    assert not {each.id for each in left} & {each.id for each in now_left}
    assert (await clerk.twice("refunds", "reject", number))["told"] is True


async def test_what_is_no_yen_is_listed_for_the_bank(clerk: Clerk) -> None:
    await clerk.paid_in(bank("dollars", 70, currency="USD"))
    finer = await clerk.run(
        "deposits", "refund", f"{SOURCE}/dollars", "--account", str(clerk.account), "--amount", "0.701"
    )
    assert (finer.status, finer.code) == (2, "usage")
    number = await clerk.refund(f"{SOURCE}/dollars", "--amount", "0.70")
    await clerk.do("refunds", "approve", number, by=OTHER_CLERK)
    out = clerk.office.desk / "list.csv"
    writing = ("refunds", "file", "--pay-on", str(PAY_ON), "--out", str(out), "--currency", "USD")
    assert (await clerk.run(*writing, KAIJI_ORDERER_CODE=CODE)).code == "malformed"
    file = (await clerk.do(*writing, "--list"))["file"]
    assert (file["kind"], file["total"], file["refunds"]) == ("list", 70, [number])
    assert f"{number},{PAY_ON},USD,0.70,0001,001,1,1234567,ﾐﾎﾝ ﾊﾅｺ" in out.read_text("utf-8-sig")
    await clerk.twice("refunds", "refused", file["id"])
    approved = (await clerk.office.do("refunds", "list", "--state", "approved"))["refunds"]
    assert number in [each["number"] for each in approved]
    gone = await clerk.run("refunds", "file", file["id"], "--out", str(out) + ".txt")
    assert (gone.status, gone.code) == (3, "refund_state")
    await clerk.do("refunds", "reject", number, by=OTHER_CLERK)


async def test_whoever_may_not_leaves_a_trace_and_nothing_else(clerk: Clerk) -> None:
    request_id = await clerk.owed()
    await clerk.paid_in(bank("guarded"))
    account = ("--account", str(clerk.account))
    it = f"{SOURCE}/guarded"
    number = await clerk.refund(it, "--amount", "400")
    before = (await clerk.show("guarded"))["history"]
    attempts: list[tuple[Sequence[str], str]] = [
        (("deposits", "show", it, "--payer"), "show_deposits"),
        (("deposits", "suggest", it), "suggest_requests"),
        (("deposits", "assign", it, request_id), "assign_deposit"),
        (("deposits", "unassign", it, request_id), "unassign_deposit"),
        (("deposits", "split", it, f"{request_id}=1"), "split_deposit"),
        (("deposits", "dismiss-twin", it), "dismiss_twin"),
        (("deposits", "not-a-twin", it), "dismiss_twin"),
        (("deposits", "refund", it, *account), "refund_deposit"),
        (("refunds", "show", number, "--account"), "approve_refund"),
        (("refunds", "approve", number), "approve_refund"),
        (("refunds", "reject", number), "reject_refund"),
        (("refunds", "paid", number), "record_refund"),
        (("refunds", "returned", number), "record_refund"),
    ]
    for words, _ in attempts:
        refused = await clerk.run(*words, by="mailroom-1")
        assert (refused.status, refused.code) == (3, "wrong_role"), words
    after = await clerk.show("guarded")
    new = after["history"][len(before) :]
    assert [(each["act"], each["by"], each["detail"]["act"]) for each in new] == [
        ("refused", "mailroom-1", act) for _, act in attempts
    ]
    assert (after["remainder"], len(after["refunds"])) == (5000, 1)
    writing = ("refunds", "file", "--list", "--pay-on", str(PAY_ON), "--out", str(clerk.office.desk / "no"))
    assert (await clerk.run(*writing, by="mailroom-1")).code == "wrong_role"
    trail = (await clerk.office.do("audit", "show", "refunds"))["events"]
    assert (trail[-1]["act"], trail[-1]["detail"]["act"]) == ("refused", "write_refunds")
    await clerk.do("refunds", "reject", number)


async def test_the_payers_words_and_the_account_are_shown_to_nobody_unasked(clerk: Clerk) -> None:
    await clerk.paid_in(bank("private", 300, payer_name="ﾋﾐﾂ ﾀﾛｳ", details={"sending_bank": "ﾐﾎﾝ"}))
    it = f"{SOURCE}/private"
    number = await clerk.refund(it)
    unasked = [
        await clerk.office.do("deposits", "list", "--limit", "100000"),
        await clerk.office.do("deposits", "show", it),
        await clerk.do("deposits", "suggest", it),
        await clerk.office.do("refunds", "list"),
        await clerk.office.do("refunds", "show", number),
        await clerk.office.do("deposits", "ledger", "--month", "2018-11"),
    ]
    for answer in unasked:
        text = json.dumps(answer, ensure_ascii=False)
        assert [word for word in ("ﾋﾐﾂ", "1234567", "ﾐﾎﾝ") if word in text] == []
    asked = await clerk.do("deposits", "show", it, "--payer")
    assert asked["payer"]["payer_name"] == "ﾋﾐﾂ ﾀﾛｳ"
    assert asked["payer"]["details"] == {"sending_bank": "ﾐﾎﾝ"}
    assert asked["history"][-1]["act"] == "payer_viewed"
    assert (await clerk.run("deposits", "show", it, "--payer")).status == 0
    unnamed = await clerk.office.run("deposits", "show", it, "--payer")
    assert (unnamed.status, unnamed.code) == (2, "usage")
    await clerk.do("refunds", "reject", number)


@pytest.mark.parametrize(
    ("words", "status", "code"),
    [
        (("deposits", "assign", "nothing", "DR-2018-000001-8"), 4, "unknown_deposit"),
        (("deposits", "show", "nowhere/nothing"), 4, "unknown_deposit"),
        (("deposits", "split", "x", "DR-2018-000001-8"), 2, "usage"),
        (("deposits", "split", "x", "DR-2018-000001-8=5,40"), 2, "usage"),
        (("deposits", "split", "x", "DR-2018-000001-8=0"), 2, "usage"),
        (("deposits", "refund", "x", "--account", "nowhere.json"), 2, "usage"),
        (("deposits", "refund", "x", "--account", "ACCOUNT", "--amount", "-1"), 2, "usage"),
        (("deposits", "refund", "x", "--account", "BAD"), 2, "malformed"),
        (("deposits", "ledger", "--month", "2018-13"), 2, "usage"),
        (("deposits", "ledger", "--month", "Nov 2018"), 2, "usage"),
        (("refunds", "show", "RF-2018-999999"), 4, "unknown_refund"),
        (("refunds", "approve", "RF-2018-999999"), 4, "unknown_refund"),
        (("refunds", "accepted", "RT-2018-999999"), 4, "unknown_refund"),
        (("refunds", "list", "--state", "lost"), 2, "usage"),
        (("refunds", "file", "--out", "OUT"), 2, "usage"),
        (("refunds", "file", "--list", "--out", "OUT", "--pay-on", "2018-12-10"), 2, "malformed"),
        (("refunds", "file", "RT-2018-999999", "--out", "OUT"), 4, "unknown_refund"),
        (("refunds", "file", "RT-2018-000001", "--out", "OUT", "--list"), 2, "usage"),
        (("refunds", "paid", "RF-2018-999999", "--on", str(TODAY + timedelta(days=1))), 2, "usage"),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, tuple) else "",
)
async def test_what_is_mistyped_is_said_so(
    clerk: Clerk, tmp_path: Path, words: tuple[str, ...], status: int, code: str
) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text('{"holder_kana": "見本"}', encoding="utf-8")
    named = {"ACCOUNT": str(clerk.account), "BAD": str(bad), "OUT": str(tmp_path / "out.txt")}
    lists = words[1] in ("show", "list", "ledger")
    ran = await (clerk.office.run if lists else clerk.run)(*(named.get(word, word) for word in words))
    assert (ran.status, ran.code) == (status, code)
    assert "見本" not in str(ran.document)


@pytest.fixture
async def alone(
    database_url: str, keyring: Keyring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Database]:
    """A ledger of one's own, without Temporal."""
    path = tmp_path / "keyring.json"
    own = Keyring.open(path, create=True)
    for name, value in {"HOME": tmp_path, "DATABASE_URL": database_url, "KEYRING_PATH": path}.items():
        monkeypatch.setenv(f"KAIJI_{name}", str(value))
    database = Database(database_url, own)
    async with database.begin() as conn:
        await staff.seed_development(conn)
        await issue(conn, database.vault, await open_request(conn), reference="12345674")
        deposits = bank("B1", 3000, "12345674"), bank("B2", 100, currency="USD")
        await record_many(conn, database.vault, own, "zengin", "file-1", deposits)
    yield database
    await database.dispose()


async def test_the_books_of_a_month_are_shown_only_if_they_balance(
    alone: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger_of = ["deposits", "ledger", "--month", "2018-11"]
    assert await to_thread(run, ledger_of) == 0
    text = capsys.readouterr().out
    assert all(word in text for word in ("JPY 2,400", "USD 1.00", "zengin/B1"))
    assert await to_thread(run, [*ledger_of, "--csv"]) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.startswith("record,id,day,")
    assert {row.count(",") for row in rows} == {header.count(",")}
    assert await to_thread(run, [*ledger_of, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["balanced"], shown["closing"]) == (True, {"suspense": {"JPY": 0, "USD": 100}, "open": 2400})

    async with alone.begin() as conn:
        await conn.execute(update(allocations).values(amount=3001))
    assert await to_thread(run, [*ledger_of, "--json"]) == 1
    broken = json.loads(capsys.readouterr().out)
    assert broken["error"]["code"] == "books_broken"
    assert "kaiji audit verify" in broken["error"]["message"]
    assert broken["faults"]
    assert "deposits" not in broken
    assert await to_thread(run, ledger_of) == 1
    assert "zengin/B1" in capsys.readouterr().out


async def test_lists_are_as_long_as_asked_for(alone: Database, capsys: pytest.CaptureFixture[str]) -> None:
    for words, ids, more in [
        (["--limit", "1"], ["B2"], True),
        (["--limit", "2"], ["B1", "B2"], False),
        (["--unmatched"], ["B2"], False),
        (["--overdue", "--limit", "1"], ["B2"], False),
    ]:
        assert await to_thread(run, ["deposits", "list", *words, "--json"]) == 0
        listed = json.loads(capsys.readouterr().out)
        assert ([each["deposit_id"] for each in listed["deposits"]], listed["more"]) == (ids, more)
    async with alone.begin() as conn:
        assert (await ledger.find(conn, "zengin", "B2")).remainder == 100


@given(st.integers(1, 10**12 - 1), st.sampled_from(["{}", "{:,}"]), st.booleans())
def test_an_amount_is_read_as_it_is_written(amount: int, form: str, wide: bool) -> None:
    typed = form.format(amount)
    full_width = str.maketrans("0123456789,", "０１２３４５６７８９，")
    assert parse_amount(typed.translate(full_width) if wide else typed) == amount


@pytest.mark.parametrize(
    "typed", ["", "0", "0,000", "-1", "1.5", "1,00", "1,0000", "10,", "１_０", "十", "1e3"]
)
def test_what_is_no_amount_is_none(typed: str) -> None:
    with pytest.raises(typer.BadParameter):
        parse_amount(typed)


@pytest.mark.parametrize(("typed", "amount"), [("5,400", "5400"), ("１,234.56", "1234.56"), ("0.05", "0.05")])
def test_an_amount_may_have_decimals_where_its_currency_has(typed: str, amount: str) -> None:
    assert parse_decimal(typed) == Decimal(amount)


@pytest.mark.parametrize("typed", ["", "0.00", "-1.5", "1.", ".5", "1,00.5", "1.23456", "1e3", "NaN"])
def test_what_is_no_decimal_amount_is_none(typed: str) -> None:
    with pytest.raises(typer.BadParameter):
        parse_decimal(typed)


@pytest.mark.parametrize(
    "typed", ["", "2018", "2018-00", "2018-1", "2018-13", "0000-01", "2018-11-01", "２０１８-11"]
)
def test_what_is_no_month_is_none(typed: str) -> None:
    with pytest.raises(typer.BadParameter):
        parse_month(typed)


def _fits(name: str) -> bool:
    try:
        return len(RefundAccount(**{**ACCOUNT.model_dump(), "holder_kana": name}).holder_kana) <= HOLDER_BYTES
    except ValueError:
        return False


NAMES = st.text("ｱｶﾊｼﾞﾟABZ019 ().,/｢｣\\-ぁゃアガパー", min_size=1, max_size=20).filter(_fits)
ACCOUNTS = st.builds(
    RefundAccount,
    bank_code=st.from_regex("[0-9]{4}", fullmatch=True),
    branch_code=st.from_regex("[0-9]{3}", fullmatch=True),
    account_type=st.sampled_from(AccountType),
    number=st.from_regex("[0-9]{1,7}", fullmatch=True),
    holder_kana=NAMES,
)


@given(st.lists(st.tuples(st.integers(1, 10**10 - 1), ACCOUNTS), min_size=1, max_size=5))
def test_a_transfer_file_says_what_goes_where(paid: list[tuple[int, RefundAccount]]) -> None:
    """Whatever account is taken, a bank can be told of it."""
    numbers = [f"RF-2018-{number:06}" for number in range(len(paid))]
    told = [Transfer(number, amount, "JPY", to) for number, (amount, to) in zip(numbers, paid, strict=True)]
    file = FileRow(
        id="RT-2018-000001",
        kind="zengin",
        state="written",
        written_on=date(2018, 12, 6),
        written_by="accounts-1",
        pay_on=date(2018, 12, 10),
        orderer_code=CODE,
        refunds=tuple(numbers),
        currency="JPY",
        total=sum(amount for amount, _ in paid),
    )
    written = content(file, told)
    assert written == content(file, told)
    data = [each for each in read(written, file.pay_on) if isinstance(each, TransferData)]
    assert [
        (d.edi, d.amount, d.bank_code, d.branch_code, d.account_type, d.account_number, d.payee_name)
        for d in data
    ] == [
        (t.number, t.amount, a.bank_code, a.branch_code, a.account_type, a.number, a.holder_kana.rstrip())
        for t, a in ((t, t.account) for t in told)
    ]
