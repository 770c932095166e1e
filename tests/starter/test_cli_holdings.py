"""`kaiji holdings`: what is held, what requests stopped, and to whom what is provided (§3)."""

import asyncio
import json
from datetime import date, timedelta

import pytest

from policy.calendar import add_months
from policy.envelope import Party
from policy.vocabulary import ChangeAction
from records import changes, holdings
from records.changes import Work
from records.database import Database
from runtime.keys import Keyring
from runtime.settings import Settings
from starter.cli.main import run
from starter.today import machine_day
from tests.records.material import open_request
from tests.starter.office import Office

DAY = date(2018, 11, 20)
WHO = {"customer_number": "C0000701", "name": "見本 停止", "address": "東京都港区1-1-1"}
SHOW = (
    "holdings",
    "show",
    "--service",
    "sample-hosting",
    "--customer-number",
    "C0000701",
    "--by",
    "officer-1",
)


async def cease(office: Office, action: ChangeAction) -> None:
    """A request of that person is carried out."""
    settings = Settings.load(office.home)
    keyring = Keyring.from_settings(settings)
    database = Database(settings.database(), keyring)
    async with database.begin() as conn:
        principal = Party.model_validate(WHO)
        found = await holdings.locate(conn, database.vault, keyring, principal, ["sample-hosting"])
        work = Work(await open_request(conn), "1/sample-hosting", "sample-hosting", DAY)
        await changes.cease(conn, work, found["sample-hosting"], action, ["wellnet"])
    await database.dispose()


async def test_what_requests_stopped_is_shown(
    office: Office, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAIJI_HOME", str(office.home))
    file = office.desk / "stopped.json"
    held = {"service": "sample-hosting", **WHO, "categories": {"usage": {"other_details": "x"}}}
    file.write_text(json.dumps({"holdings": [held]}), encoding="utf-8")
    take_in = ("holdings", "import", str(file), "--by", "manager-1")
    assert (await office.do(*take_in))["added"] == 1
    (before,) = (await office.do("holdings", "provisions"))["provisions"]
    assert (before["code"], before["clause"]) == ("wellnet", "§3")

    await cease(office, ChangeAction.CEASE_USE)
    await cease(office, ChangeAction.STOP_THIRD_PARTY_PROVISION)
    shown = await office.do(*SHOW)
    assert (shown["use_stopped_on"], shown["provisions_stopped"]) == ("2018-11-20", {"wellnet": "2018-11-20"})
    (entry,) = (await office.do("holdings", "provisions", "--service", "sample-hosting"))["provisions"]
    assert entry["stopped_for"] == before["stopped_for"] + 1
    assert (await office.run("holdings", "provisions", "--service", "lunch")).status == 2
    assert (await office.do(*take_in))["kept"] == 1
    capsys.readouterr()
    for words in (SHOW, ("holdings", "provisions"), take_in):
        assert await asyncio.to_thread(run, words) == 0
    told = capsys.readouterr().out
    assert "provision to wellnet stopped on  2018-11-20" in told
    assert "WELLNET CORPORATION" in told
    assert "1 kept as they are" in told

    await cease(office, ChangeAction.DELETION)
    gone = await office.run(*SHOW)
    assert (gone.status, gone.document["error"]["code"]) == (4, "not_found")
    assert "deleted on 2018-11-20" in gone.document["error"]["message"]


async def test_until_when_what_is_held_is_kept_and_what_is_due(office: Office) -> None:
    """A contract ended: what begins its period is told, shown, and due when it is over."""
    today = machine_day()
    expires = add_months(today, 6)
    held: dict[str, object] = {
        "service": "sample-hosting",
        "customer_number": "C0000702",
        "name": "見本 終了",
        "categories": {"usage": {"other_details": "x"}, "identification": {"passport": "x"}},
    }
    file = office.desk / "ended.json"

    async def take_in(**days: object) -> dict[str, object]:
        file.write_text(json.dumps({"holdings": [held | days]}, default=str), encoding="utf-8")
        return await office.do("holdings", "import", str(file), "--by", "manager-1")

    def of_usage(due: dict[str, object]) -> list[dict[str, object]]:
        assert isinstance(due["holdings"], list)
        return [h for h in due["holdings"] if (h["service"], h["category"]) == ("sample-hosting", "usage")]

    show = [*SHOW[:5], "C0000702", *SHOW[6:]]
    assert (await take_in())["added"] == 1
    assert "usage, kept: nothing has begun its period" in await office.read(*show)
    achieved = {"identification": today - timedelta(days=1)}
    assert (await take_in(contract_ended_on=today, purpose_achieved_on=achieved))["redated"] == 1
    shown = await office.do(*show)
    assert (shown["contract_ended_on"], shown["kept_until"]["usage"]) == (str(today), str(expires))
    read = await office.read(*show)
    assert f"usage, kept until {expires}" in read
    assert f"its purpose was achieved on {today - timedelta(days=1)}" in read

    day_before = ("retention", "due", "--on", str(expires - timedelta(days=1)))
    assert of_usage(await office.do(*day_before)) == []
    due = await office.do("retention", "due", "--on", str(expires))
    assert of_usage(due) == [
        {
            "service": "sample-hosting",
            "category": "usage",
            "rule": "6 months after the end of the contract",
            "clause": "operator default",
            "count": 1,
            "since": str(expires),
            "held": 0,
        }
    ]
    read = await office.read("retention", "due", "--on", str(expires))
    assert "30 days after the purpose was achieved or the contract ended" in read

    held["customer_number"] = "C0000703"
    long_ago = {"contract_ended_on": "2001-01-01"}
    assert (await take_in(**long_ago))["expired"] == 1
    assert "1 not taken in: their period is over." in await office.read(
        "holdings", "import", str(file), "--by", "manager-1"
    )
    gone = await office.run(*[*SHOW[:5], "C0000703", *SHOW[6:]])
    assert (gone.status, gone.code) == (4, "not_found")


async def test_the_schedule_in_force_is_shown(office: Office) -> None:
    document = await office.do("retention", "schedule", "--on", "2018-11-01")
    assert (document["on"], document["pack"]) == ("2018-11-01", "gmo-appscloud-2018-10-22")
    assert document["backup"] == {"horizon": {"days": 35}, "clause": "operator default"}
    lines = document["schedule"]
    assert [line["records"] for line in lines[:4]] == [
        "identity_documents",
        "response_content",
        "request_file",
        "payment_records",
    ]
    usage = [line for line in lines if line["category"] == "usage"]
    assert [(line["service"], line["exceptions"], line["period"]) for line in usage] == [
        ("sample-hosting", [], {"months": 6}),
        (None, ["sample-hosting"], {"years": 1}),
    ]
    assert {line["action"] for line in lines} == {"destroy"}
    read = await office.read("retention", "schedule")
    assert "No backup is kept for longer than 35 days" in read
    assert "every other" in read
