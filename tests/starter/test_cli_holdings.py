"""`kaiji holdings`: what is held, what requests stopped, and to whom what is provided (§3)."""

import asyncio
import json
from datetime import date

import pytest

from policy.envelope import Party
from policy.vocabulary import ChangeAction
from records import changes, holdings
from records.changes import Work
from records.database import Database
from runtime.keys import Keyring
from runtime.settings import Settings
from starter.cli.main import run
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
