"""No personal data outside sealed columns: planted, driven through every course, and looked for as bytes.

The words below go in by every way there is, forged and malformed ones too. Then every file under the home,
every history, raw and decoded, and all that any process said is searched for them in every encoding.
"""

import gzip
import json
import os
import re
import zlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from google.protobuf.message import Message
from psycopg import sql
from temporalio.api.common.v1 import Payload
from temporalio.client import Client

from policy.calendar import add_business_days
from policy.vocabulary import Phase
from runtime.codec import ENCODING, EncryptingCodec
from runtime.embedded.postgres import plain_url
from tests.activities.letters.reading import squeezed, words
from tests.commands import listed
from tests.e2e.driving import Dev, Ran, envelope, forged_secret, payment, png, today, tracking_number, until
from tests.e2e.searching import Search, encodings, spellings
from tests.starter.bank.camt_of import entry, message, transaction

NAME, KANA = "鰐淵 籠目", "ワニブチ カゴメ"
ADDRESS = "東京都八咫烏区鵺野町7-77-7731 燕楼903"
CUSTOMER, MAIL = "QZ7731-KAGOME", "kagome+qz7731@tsuru.example"
PAYER, PROXY = "ﾇｴﾉ ﾂｸﾞﾐ", "霧ヶ峰 鵠之介"
WORDS = {
    "name": NAME,
    "family name": "鰐淵",
    "kana": KANA,
    "address": ADDRESS,
    "born on": "1931-02-17",
    "customer number": CUSTOMER,
    "mail": MAIL,
    "password": "pw!Qz7731-Zt",
    "card": "5204740009917731",
    "payer": PAYER,
    "EDI": "EDI-QZ7731-TSUGUMI",
    "account paid into": "7731990773",
    "proxy": PROXY,
    "particulars": "鵺の巣の記録を全部",
    "scan": "SCAN-QZ7731",
    "acceptance": "梟も認めた理由",
    "return": "狐が戻した理由",
    "hold": "狸が留めた理由",
    "extension": "獺が延ばした理由",
    "ground": "鼬が断った理由",
    "returned mail": "燕が返した理由",
    "changed value": "雉が改めた値",
    "changed field": "qz7731-tsuru-field",
    "struck out": "鷭が除いた理由",
    "measures": "鶉が講じた措置",
    "taking back": "鴫が取り下げた理由",
    "unknown mail": "鴉が見失った理由",
    "tracking file": "鷺が記した理由",
    "reopening": "鳶が再開した理由",
    "bank's payer": "ﾊﾄﾊﾞ ﾓｽﾞｶｹｽ",
    "bank's text": "QZ7731 モズの請求",
    "bank's account": "QZ7731MOZU0004",
    "refund's holder": "ｼｷﾞﾉ ﾎｵｼﾞﾛ",
    "refund's account": "7731946",
    "sender's message id": "msg-qz7731-tsugumi",
}
# These are not kept at all, and these stand in nothing that is.
NEVER_STORED = {"sender's message id"}

PERSON: dict[str, Any] = {
    "name": NAME,
    "name_kana": KANA,
    "postal_code": "150-8512",
    "address": ADDRESS,
    "born_on": WORDS["born on"],
    "customer_number": CUSTOMER,
}
HOLDING: dict[str, Any] = {
    "service": "gmo-appscloud",
    **PERSON,
    "categories": {
        "identity": {"name": NAME, "address": ADDRESS, "email": MAIL},
        "contract": {"customer_number": CUSTOMER, "password": WORDS["password"]},
        "transaction": {"card_number": WORDS["card"], "account_holder": KANA},
    },
}
CONTROL = "control-qz4488-word"


class Driven:
    """A stack after everything was driven through it."""

    def __init__(self, dev: Dev) -> None:
        self.dev = dev
        self.letters: list[Path] = []
        self.answered: dict[str, Path] = {}
        self.typed: list[Ran] = []  # with a word on the command line, which its error may repeat
        self.answers: list[str] = []

    def run(self) -> None:
        dev = self.dev
        for scan in ("residence", "licence"):
            (dev.inbox / f"{scan}.png").write_bytes(png(f"{WORDS['scan']} {scan}"))
        dev.kaiji("holdings", "import", dev.write({"holdings": [HOLDING]}), by="manager-1").ok()
        self._malformed_files()
        request_id = self._deficiency()
        self._hostile_notices()
        self._payment_in_suspense(request_id)
        self._bank_files()
        self._decision(request_id)
        self._post(request_id)
        self._accepted_and_withdrawn()
        self._struck_out_and_amended()
        self._ceased_by_other_measures()
        self._lapsed_and_reopened()
        self._words_on_the_command_line(request_id)
        told = [
            ("request", "list"),
            ("request", "show", request_id),
            ("request", "timeline", request_id),
            ("mail", "queue"),
            ("deposits", "list"),
            ("retention", "due", "--on", str(today() + timedelta(days=4000))),
            ("audit", "show", request_id),
            ("retention", "certificate", request_id),
            ("request", "documents", request_id),
            ("holdings", "provisions"),
        ]
        for command in told:
            dev.here(*command).ok()

    def envelope(self, **changes: Any) -> dict[str, Any]:
        return envelope(principal=PERSON, particulars=WORDS["particulars"], **changes)

    def _malformed_files(self) -> None:
        dev, good = self.dev, self.envelope()
        wrong = [
            good | {NAME: NAME},
            good | {"tracking_number": NAME},
            good | {"request_id": NAME},
            good | {"posted_on": KANA},
            good | {"channel": ADDRESS},
            good | {"services": [MAIL]},
            good | {"principal": PERSON | {"name": 7}},
            good | {"documents": [{"kind": "passport", "scan": f"{NAME}.png"}]},
            good | {"documents": [{"kind": NAME}]},
        ]
        held = HOLDING | {"categories": {"identity": {NAME: MAIL}}}
        files = [HOLDING | {"born_on": NAME}, HOLDING | {NAME: NAME}, HOLDING | {"service": NAME}, held]
        for content in wrong:
            assert dev.here("receive", dev.write(content), by="mailroom-1").status == 2
        for holding in files:
            file = dev.write({"holdings": [holding]})
            assert dev.here("holdings", "import", file, by="manager-1").status == 2
        # and one of each from a process of its own, whose last words count as well
        assert dev.kaiji("receive", dev.write(wrong[0]), by="mailroom-1").status == 2
        assert dev.kaiji("holdings", "import", dev.write({"holdings": files}), by="manager-1").status == 2
        dev.kaiji("receive", dev.write(good | {"channel": "fax"}), by="mailroom-1").refused(
            3, "channel_not_accepted"
        )
        dev.kaiji("receive", dev.write(good), by="auditor-1").refused(3, "wrong_role")

    def _deficiency(self) -> str:
        dev, content = self.dev, self.envelope()
        *rest, licence = content["documents"]
        request_id: str = dev.here("receive", dev.write(content | {"documents": rest}), by="mailroom-1").ok()[
            "request_id"
        ]
        dev.here("request", "verify", request_id, "--deficient", by="officer-1").ok()
        dev.inside.wait_for(request_id, Phase.AWAITING_DOCUMENTS)
        other = self.envelope(request_id=request_id) | {"principal": PERSON | {"name": PROXY}}
        dev.here("receive", dev.write(other), by="mailroom-1").ok()
        dev.here(
            "receive", dev.write(self.envelope(request_id=request_id, documents=[licence])), by="mailroom-1"
        ).ok()
        dev.here("request", "verify", request_id, by="officer-1").ok()
        dev.inside.wait_for(request_id, Phase.AWAITING_PAYMENT)
        return request_id

    def _notice(self, reference: str, **changes: Any) -> dict[str, Any]:
        return payment(
            reference,
            payer_name=PAYER,
            edi=WORDS["EDI"],
            account=WORDS["account paid into"],
            **changes,
        )

    def _hostile_notices(self) -> None:
        dev = self.dev
        data = self._notice(NAME)
        body = json.dumps(data, ensure_ascii=False)
        gateway = dev.ready["gateway"]
        answers = [
            dev.deposit(data, secret=forged_secret()),
            dev.deposit(data, altered=lambda sent: sent + PAYER.encode()),
            dev.deposit(data | {"amount": NAME}),
            dev.deposit(data | {NAME: NAME}),
            dev.deposit(data | {"deposit_id": NAME}),
            dev.deposit(data, type=NAME),
            dev.deposit(data | {"payer_name": PAYER * 40}),
            httpx.post(f"{gateway}/webhooks/deposits", content=body.encode()),
            httpx.post(f"{gateway}/webhooks/deposits/{NAME}", params={"payer": PAYER}, content=body.encode()),
            httpx.get(f"{gateway}/{MAIL}", headers={"user-agent": MAIL, "referer": f"http://{MAIL}/"}),
            httpx.post(f"{gateway}/codec/decode", content=body.encode(), headers={"x-namespace": MAIL}),
            httpx.post(
                f"{gateway}/codec/decode",
                json={"payloads": [{"metadata": {}, "data": "6bCQ5rer"}], NAME: NAME},
                headers={"x-namespace": "default"},
            ),
        ]
        assert all(400 <= answer.status_code < 500 for answer in answers), answers
        self.answers += [f"{answer.headers} {answer.text}" for answer in answers]

    def _payment_in_suspense(self, request_id: str) -> None:
        dev = self.dev
        data = self._notice(NAME)
        accepted = dev.deposit(data, webhook_id=WORDS["sender's message id"])
        assert accepted.status_code == 202
        self.answers.append(accepted.text)
        conflict = dev.deposit(data | {"payer_name": NAME}, webhook_id=WORDS["sender's message id"])
        assert conflict.status_code == 409
        self.answers.append(conflict.text)
        waits = "SELECT 1 FROM deposits WHERE state = 'suspense' AND deposit_id = :id"
        until(lambda: dev.inside.rows(waits, id=data["deposit_id"]), "the deposit in suspense")
        dev.here("deposits", "assign", data["deposit_id"], request_id, by="accounts-1").ok()
        dev.inside.wait_for(request_id, Phase.PREPARING)
        left = self._notice(KANA)
        assert dev.deposit(left).status_code == 202  # and stays in suspense

    def _bank_files(self) -> None:
        """A file of the bank's, broken ones, and money that goes back to an account."""
        dev = self.dev
        payer, text = WORDS["bank's payer"], WORDS["bank's text"]
        parties = f"<RltdPties><Dbtr><Nm>{payer}</Nm></Dbtr></RltdPties>"
        told = transaction("600", "CRDT", ustrd=text, more=parties)
        paid = entry("600", booked=str(today()), reference="B7731", details=told)
        file = message(paid, account="<Othr><Id>{}</Id></Othr>".format(WORDS["bank's account"]))
        for broken in (file.replace(b"600", NAME.encode(), 1), file[:-30], PAYER.encode("cp932") * 40):
            dev.here("deposits", "import", dev.write(broken), by="accounts-1").refused(2, "bank_file_refused")
        dev.here("deposits", "import", dev.write(file), "--dry-run", by="accounts-1").ok()
        dev.kaiji("deposits", "import", dev.write(file), by="accounts-1").ok()
        listed = dev.here("deposits", "list", "--unmatched").ok()["deposits"]
        (deposit,) = [f"bank/{each['deposit_id']}" for each in listed if each["source"] == "bank"]
        goes_to = {
            "bank_code": "9999",
            "branch_code": "999",
            "account_type": "1",
            "number": WORDS["refund's account"],
            "holder_kana": WORDS["refund's holder"],
        }
        wrong = dev.write(goes_to | {"bank_code": NAME})
        dev.here("deposits", "refund", deposit, "--account", wrong, by="accounts-1").refused(2, "malformed")
        refund = ("deposits", "refund", deposit, "--account", dev.write(goes_to))
        proposed = dev.here(*refund, by="accounts-1").ok()
        dev.here("refunds", "approve", proposed["refund"], by="manager-1").ok()
        out = dev.inbox / "refunds.csv"
        pay_on = add_business_days(today(), 5)
        dev.here("refunds", "file", "--list", "--pay-on", pay_on, "--out", out, by="accounts-1").ok()
        assert WORDS["refund's account"] in out.read_text("utf-8-sig")

    def _decision(self, request_id: str) -> None:
        dev = self.dev
        propose = ("request", "propose", request_id, "--decision")
        until = str(today() + timedelta(days=28))
        extend = ("request", "extend", request_id, "--until", until, "--reason", WORDS["extension"])
        dev.here(*extend, by="officer-1").ok()
        hold = ("request", "hold", request_id, "--reason", WORDS["hold"])
        dev.here(*hold, by="officer-1").refused(3, "wrong_role")
        dev.here(*hold, by="manager-1").ok()
        said = dev.here(*propose, "partial", "--withhold", "transaction", by="officer-1")
        assert said.refused(3, "no_ground")
        ground = said.document["error"]["message"].partition("--ground CODE): ")[2].split(" ")[0]
        partial = ("partial", "--ground", ground, "--withhold", "transaction", "--reason", WORDS["ground"])
        dev.here(*propose, *partial, by="officer-2").ok()
        dev.inside.wait_for(request_id, Phase.APPROVING)
        dev.here("request", "approve", request_id, by="officer-2").refused(3, "same_person")
        dev.here("request", "return", request_id, "--reason", WORDS["return"], by="approver-1").ok()
        dev.inside.wait_for(request_id, Phase.PREPARING)
        dev.here(*propose, *partial, by="officer-1").ok()
        dev.inside.wait_for(request_id, Phase.APPROVING)
        dev.here("request", "approve", request_id, by="approver-1").ok()

    def _post(self, request_id: str) -> None:
        dev = self.dev
        status = dev.inside.wait_for(request_id, Phase.POSTING)
        for letter in status.letters:
            out = dev.folder / f"{letter.letter_id}.pdf"
            dev.here("mail", "print", letter.letter_id, "--out", out, by="mailroom-1").ok()
            self.letters.append(out)
        answer = status.letters[-1].letter_id
        record = ("mail", "record", answer)
        dev.here(*record, "posted", "--tracking", tracking_number(), by="mailroom-1").ok()
        dev.here(*record, "returned", "--reason", WORDS["returned mail"], by="mailroom-1").ok()
        dev.here("request", "confirm-address", request_id, by="officer-1").ok()
        dev.here(*record, "posted", "--tracking", tracking_number(), by="mailroom-1").ok()
        dev.here(*record, "delivered", by="mailroom-1").ok()
        dev.inside.wait_for(request_id, Phase.RETAINED)

    def _accepted_and_withdrawn(self) -> None:
        """A proxy's incomplete envelope, accepted for a reason; withdrawn; destroyed."""
        dev = self.dev
        proxy = PERSON | {"name": PROXY, "customer_number": None}
        content = self.envelope(capacity="proxy", applicant=proxy)
        request_id = dev.receive(content)
        dev.here("request", "verify", request_id, "--reason", WORDS["acceptance"], by="officer-1").ok()
        dev.inside.wait_for(request_id, Phase.AWAITING_PAYMENT)
        dev.here("request", "withdraw", request_id, by="officer-1").ok()
        dev.inside.wait_for(request_id, Phase.RETAINED)
        ended = dev.receive(self.envelope())
        dev.here("request", "withdraw", ended, by="officer-1").ok()
        dev.inside.wait_for(ended, Phase.RETAINED)
        assert dev.here("clock", "advance", ended, "3000d").ok()["phase"] == "DESTROYED"

    def _struck_out_and_amended(self) -> None:
        """A paper struck out and seen; an amendment read, approved, taken back, lost sight of, returned."""
        dev, content = self.dev, self.envelope(kind="amendment", amendment="correction")
        request_id = dev.receive(content)
        striking = ("request", "document", request_id, 3, "struck_out", "--reason", WORDS["struck out"])
        dev.here(*striking, by="officer-1").ok()
        again = {"request_id": request_id, "documents": content["documents"][2:]}
        dev.receive(content | again | {"tracking_number": tracking_number()})
        seen = dev.folder / "scan"
        dev.here("request", "show", request_id, "--document", 2, "--out", seen, by="officer-1").ok()
        assert WORDS["scan"].encode() in seen.read_bytes()
        seen.unlink()
        dev.inside.verify(request_id)
        dev.inside.wait_for(request_id, Phase.PREPARING)
        wanted = {"identity.email": WORDS["changed value"], f"identity.{WORDS['changed field']}": NAME}
        proposing = ("request", "propose", request_id, "--decision", "grant", "--changes")
        for wrong in ({NAME: NAME}, {"changes": [{"item": NAME, "to": NAME}]}, {"changes": [NAME]}):
            dev.here(*proposing, dev.write(wrong), by="officer-1").refused(2, "malformed")
        idle = {"changes": [{"item": f"identity.{WORDS['changed field']}", "to": None}]}
        dev.here(*proposing, dev.write(idle), by="officer-1").refused(3, "changes_conflict")
        changes = dev.write({"changes": [{"item": item, "to": to} for item, to in wanted.items()]})
        dev.here(*proposing, changes, by="approver-1").refused(3, "wrong_role")
        self._approved(request_id, *proposing[1:], changes)
        taking_back = ("request", "take-back", request_id, "--reason", WORDS["taking back"])
        dev.here(*taking_back, by="approver-1").ok()
        dev.inside.wait_for(request_id, Phase.PREPARING)
        answer = self._approved(request_id, *proposing[1:], changes)
        self._print("amended", answer)
        record = ("mail", "record", answer)
        dev.here(*record, "unknown", "--reason", WORDS["unknown mail"], by="mailroom-1").ok()
        number = tracking_number()
        dev.here(*record, "posted", "--tracking", number, by="mailroom-1").ok()
        self._events_of_the_post(number)
        dev.here("request", "confirm-address", request_id, by="officer-1").ok()
        dev.post_letter(answer)
        dev.inside.wait_for(request_id, Phase.RETAINED)

    def _approved(self, request_id: str, *proposal: object) -> str:
        """Proposed, read and approved; the id of the letter."""
        dev, draft = self.dev, self.dev.folder / "draft.pdf"
        dev.here("request", *proposal, by="officer-1").ok()
        dev.inside.wait_for(request_id, Phase.APPROVING)
        read = dev.here("request", "preview", request_id, "--out", draft, by="approver-1").ok()
        assert squeezed(NAME) in words(draft.read_bytes())
        assert draft.stat().st_mode & 0o077 == 0
        draft.unlink()
        dev.here("request", "approve", request_id, "--draft", read["draft"], by="approver-1").ok()
        return dev.inside.wait_for(request_id, Phase.POSTING).letters[-1].letter_id

    def _print(self, name: str, letter_id: str) -> None:
        self.answered[name] = out = self.dev.folder / f"{letter_id}.pdf"
        self.dev.here("mail", "print", letter_id, "--out", out, by="mailroom-1").ok()

    def _events_of_the_post(self, number: str) -> None:
        """A file of tracking events, after several that are none."""
        dev, on = self.dev, today()
        for wrong in (
            f"tracking_number,event,on,{NAME}\n{number},returned,{on},{NAME}\n",
            f"tracking_number,event,on,reason\n{NAME},{KANA},{ADDRESS},{NAME}\n",
            f"{NAME}\n{NAME}\n",
        ):
            ran = dev.here("mail", "import", dev.write(wrong.encode()), by="mailroom-1")
            assert ran.status == 2
        told = f"tracking_number,event,on,reason\n{number},差出人に返送済み,{on},{WORDS['tracking file']}\n"
        for encoding in ("cp932", "utf-8"):
            dev.here("mail", "import", dev.write(told.encode(encoding)), by="mailroom-1").ok()

    def _ceased_by_other_measures(self) -> None:
        dev = self.dev
        request_id = dev.receive(self.envelope(kind="cessation", cessation="cease_use"))
        dev.inside.verify(request_id)
        dev.inside.wait_for(request_id, Phase.PREPARING)
        measures = ("--decision", "alternative", "--reason", WORDS["measures"])
        self._print("ceased", self._approved(request_id, "propose", request_id, *measures))

    def _lapsed_and_reopened(self) -> None:
        dev = self.dev
        request_id = dev.receive(self.envelope(documents=[{"kind": "request_form"}]))
        dev.here("request", "verify", request_id, "--deficient", by="officer-1").ok()
        dev.inside.wait_for(request_id, Phase.AWAITING_DOCUMENTS)
        dev.inside.advance(request_id, timedelta(days=31))
        dev.here("request", "reopen", request_id, "--reason", WORDS["reopening"], by="officer-1").ok()
        dev.inside.wait_for(request_id, Phase.AWAITING_DOCUMENTS)

    def _words_on_the_command_line(self, request_id: str) -> None:
        dev = self.dev
        propose = ("request", "propose", request_id, "--decision", "partial")
        self.typed = [
            dev.here("request", "link", request_id, NAME, by="officer-1"),
            dev.here("request", "documents", NAME),
            dev.here("request", "confirm-address", request_id, "--letter", NAME, by="officer-1"),
            dev.here("request", "approve", request_id, "--draft", NAME, by="approver-1"),
            dev.here(*propose, "--withhold", f"{NAME}={NAME}", by="officer-1"),
            dev.here(*propose, "--withhold", f"usage={NAME}", by="officer-1"),
            dev.here(*propose, "--ground", NAME, "--service", MAIL, by="officer-1"),
            dev.here("mail", "record", NAME, "delivered", by="mailroom-1"),
            dev.here("holdings", "provisions", "--service", NAME),
            dev.here("policy", "show", NAME),
            dev.here("request", "show", NAME),
            dev.here("audit", "show", NAME),
            dev.here("clock", "advance", NAME, "1d"),
            dev.here("deposits", "assign", NAME, KANA, by="accounts-1"),
            dev.here("request", "approve", request_id, "--service", MAIL, by="approver-1"),
            dev.here("request", "withdraw", request_id, by=NAME),
            dev.here("request", "list", "--phase", NAME),
            dev.here(f"--{NAME}"),
        ]
        assert all(ran.status in (2, 3, 4) for ran in self.typed), [(r.command, r.status) for r in self.typed]


@pytest.fixture(scope="module")
def driven(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driven]:
    dev = Dev(tmp_path_factory.mktemp("canary"))
    dev.start()
    try:
        story = Driven(dev)
        story.run()
        yield story
    finally:
        assert dev.stop() == 0


@pytest.fixture(scope="module")
def search() -> Search:
    return Search(WORDS)


def checkpoint(dev: Dev) -> None:
    """Have PostgreSQL write all it holds in memory into its files."""
    with psycopg.connect(plain_url(dev.ready["database"]), autocommit=True) as connection:
        connection.execute("CHECKPOINT")


# ── the search finds ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("label", ["name", "kana", "payer", "mail", "acceptance"])
def test_whatever_way_a_word_is_written_into_a_file_it_is_found(
    search: Search, label: str, tmp_path: Path
) -> None:
    number = 0
    for spelling in spellings(WORDS[label]):
        for encoding, written in encodings(spelling):
            if len(written) < 6:
                continue
            number += 1
            padding = os.urandom(number % 7)
            (tmp_path / str(number)).write_bytes(padding + written + b"\0" * 100)
            assert search.within(padding + written), (spelling, encoding)
    assert len(Search(WORDS).files(tmp_path)) == number > 20


def test_a_word_is_found_in_what_is_compressed_and_in_the_name_of_a_file(
    search: Search, tmp_path: Path
) -> None:
    page = f"BT ({MAIL}) Tj ET {NAME}".encode()
    (tmp_path / "page.pdf").write_bytes(
        b"%PDF-1.7\n1 0 obj\nstream\n" + zlib.compress(page, 9) + b"\nendstream\n"
    )
    (tmp_path / "backup.gz").write_bytes(os.urandom(31) + gzip.compress(page))
    (tmp_path / f"{NAME}.txt").write_bytes(b"")
    assert set(search.files(tmp_path)) == {"page.pdf", "backup.gz", f"{NAME}.txt"}


def test_a_clear_word_in_the_database_or_in_temporal_would_be_found_in_their_files(driven: Driven) -> None:
    dev, control = driven.dev, Search({"control": CONTROL})
    with psycopg.connect(plain_url(dev.ready["database"]), autocommit=True) as connection:
        connection.execute("CREATE TABLE control (word text)")
        connection.execute("INSERT INTO control VALUES (%s)", (CONTROL,))
        connection.execute("DROP TABLE control")  # write-ahead log and catalogue keep some of it

    async def plainly() -> None:
        bare = await Client.connect(dev.ready["temporal"])
        handle = await bare.start_workflow(
            "Nothing", id=f"{CONTROL}-{uuid4()}", task_queue="nobody", memo={"word": CONTROL}
        )
        await handle.terminate()

    dev.inside.run(plainly())
    checkpoint(dev)
    found = " ".join(control.files(dev.home))
    assert "postgres/pg_wal/" in found
    assert "temporal.db" in found


def test_the_words_are_there_but_sealed(driven: Driven, search: Search) -> None:
    """Else the search would find nothing because nothing was ever kept."""
    inside = driven.dev.inside

    async def opened() -> list[bytes]:
        async with inside.database.begin() as conn:
            return [await inside.database.vault.unseal(conn, id) for id in ids]

    ids = [id for (id,) in inside.rows("SELECT id FROM vault")]
    found = " ".join(what for data in inside.run(opened()) for what in search.within(data))
    kept = set(WORDS) - NEVER_STORED
    assert {label for label in kept if f"{label} (" in found} == kept


def test_the_letters_written_for_the_mail_room_hold_the_name(driven: Driven) -> None:
    texts = [words(out.read_bytes()) for out in driven.letters]
    assert len(texts) == 4  # deficiency, invoice, extension, response
    assert all(squeezed(NAME) in text for text in texts)
    assert squeezed(MAIL) in texts[-1]
    assert all(out.stat().st_mode & 0o077 == 0 for out in driven.letters)


def test_the_answers_tell_what_was_changed_and_what_was_done_instead(driven: Driven) -> None:
    amended, ceased = (words(driven.answered[name].read_bytes()) for name in ("amended", "ceased"))
    for label in ("mail", "changed value", "changed field"):
        assert squeezed(WORDS[label]) in amended, label
    assert squeezed(WORDS["measures"]) in ceased


def test_every_command_answered_what_the_list_of_commands_says(driven: Driven) -> None:
    answers = {line.command: line.answers for line in listed()}
    seen = set()
    for ran in driven.dev.said:
        command = next((known for known in answers if tuple(ran.command[: len(known)]) == known), None)
        if ran.status == 0 and command is not None:
            seen.add(command)
            assert answers[command] <= set(ran.document), ran.command
    assert len(seen) >= 25, sorted(seen)


def test_a_password_and_a_card_number_are_never_printed(driven: Driven) -> None:
    for out in driven.letters:
        text = words(out.read_bytes())
        assert squeezed(WORDS["password"]) not in text
        assert squeezed(WORDS["card"]) not in text


# ── and finds nothing where nothing may be ────────────────────────────────────────────────────────────────


def test_no_file_under_the_home_holds_a_word(driven: Driven, search: Search) -> None:
    checkpoint(driven.dev)
    files = [path for path in driven.dev.home.rglob("*") if path.is_file()]
    names = {path.name for path in files}
    assert {"temporal.db", "worker.log", "gateway.log", "temporal.log", "postgres.log"} <= names
    assert {"stack.json", "keyring.json", "webhook.secret"} <= names
    assert len(files) > 1000  # PostgreSQL's
    assert search.files(driven.dev.home) == {}


def test_no_table_holds_a_word_in_any_column(driven: Driven, search: Search) -> None:
    """As text too: what PostgreSQL compresses on disk is not seen there."""
    with psycopg.connect(plain_url(driven.dev.ready["database"])) as connection:
        tables = connection.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname <> 'information_schema'"
        ).fetchall()
        assert {("public", "vault"), ("public", "audit"), ("public", "requests")} <= set(tables)
        found = {}
        for name in tables:
            statement = sql.SQL("COPY {} TO STDOUT").format(sql.Identifier(*name))
            with connection.cursor().copy(statement) as copy:
                content = b"".join(bytes(block) for block in copy)
            if hits := search.within(content):
                found[name] = hits
    assert found == {}


def test_no_history_holds_a_word_raw_or_decoded(driven: Driven, search: Search) -> None:
    inside = driven.dev.inside
    codec = EncryptingCodec(inside.keyring, "default")
    executions = inside.executions()
    assert len(executions) >= 8
    encrypted = 0
    for execution in executions:
        if execution.workflow_type == "Nothing":
            continue  # the control
        assert search.within(execution.raw_info.SerializeToString()) == set()
        described = inside.run(
            inside.client.get_workflow_handle(execution.id, run_id=execution.run_id).describe()
        )
        assert search.within(described.raw_description.SerializeToString()) == set()
        history = inside.history(execution.id, execution.run_id)
        assert search.within(history.to_json().encode()) == set()
        for event in history.events:
            assert search.within(event.SerializeToString()) == set()
            for payload in payloads(event):
                if payload.metadata.get("encoding") == ENCODING:
                    encrypted += 1
                    payload = codec.open(payload)
                assert search.within(payload.SerializeToString()) == set()
    assert encrypted > 100


def payloads(message: Message) -> Iterator[Payload]:
    """Every payload in a message, however deep."""
    for field, value in message.ListFields():
        if field.type != field.TYPE_MESSAGE:
            continue
        if field.message_type.GetOptions().map_entry:
            children = list(value.values()) if field.message_type.fields_by_name["value"].message_type else []
        else:
            children = list(value) if field.is_repeated else [value]
        for child in children:
            if isinstance(child, Payload):
                yield child
            else:
                yield from payloads(child)


def test_nothing_that_any_process_said_holds_a_word(driven: Driven, search: Search) -> None:
    dev = driven.dev
    assert len(dev.said) > 50
    for ran in dev.said:
        if ran in driven.typed:
            continue
        assert search.within(ran.stdout.encode() + ran.stderr.encode()) == set(), ran.command
    for output in (dev.out, dev.err):
        assert search.within(output.read_bytes()) == set()
    for answer in driven.answers:
        assert search.within(answer.encode()) == set()


def test_no_metric_no_page_and_no_command_line_of_a_process_holds_a_word(
    driven: Driven, search: Search
) -> None:
    told_at = re.search(r"Temporal Metrics: +(\S+)", driven.dev.log("temporal"))
    assert told_at is not None
    metrics = httpx.get(told_at[1]).text
    assert "DisclosureRequest" in metrics
    assert search.within(metrics.encode()) == set()
    gateway = driven.dev.ready["gateway"]
    for page in ("readyz", "healthz", "openapi.json", "metrics"):
        assert search.within(httpx.get(f"{gateway}/{page}").content) == set()
    for process in driven.dev.children():
        told = Path(f"/proc/{process.pid}")
        assert search.within((told / "cmdline").read_bytes() + (told / "environ").read_bytes()) == set()
