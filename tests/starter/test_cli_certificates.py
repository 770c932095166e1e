"""`kaiji retention certificate --verify`: proof with no server near, and what people are told."""

import base64
import hashlib
import json
import re
import stat
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from records.certificate_document import Document
from records.database import Database
from records.public_keys import fingerprint, in_fours, to_pem
from runtime.keys import Keyring
from runtime.settings import Settings
from starter.cli.main import run
from tests.activities.letters.reading import metadata, reader, squeezed, words
from tests.records.certified import PAGE, REQUEST, document, issue_page
from tests.starter.office import Office

Json = dict[str, Any]


class Desk:
    """A home with nothing in it but a keyring and the file of a certificate; nothing runs."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.home = folder / "home"
        self.keyring = Keyring.open(self.home / "keyring.json", create=True)
        self.document = document(self.keyring)
        self.file = self.home / "certificates" / f"{REQUEST}.json"
        self.file.parent.mkdir()
        self.file.write_bytes(self.document.to_bytes())
        self._capsys = capsys

    def run(self, *words: str) -> tuple[int, Json]:
        """A command with --json: its status and document."""
        status = run([*words, "--home", str(self.home), "--json"])
        answer: Json = json.loads(self._capsys.readouterr().out)
        return status, answer

    def ask(self, *words: str) -> tuple[int, Json]:
        return self.run("retention", "certificate", *words)

    def read(self, *words: str) -> tuple[int, str]:
        """A command as people see it."""
        status = run(["retention", "certificate", *words, "--home", str(self.home)])
        seen = self._capsys.readouterr()
        return status, seen.out + seen.err

    def without_keyring(self) -> Path:
        """Somebody else's machine: answers the file of the public keys that was handed over."""
        keys = self.home.parent / "public.pem"
        keys.write_text(to_pem(self.keyring.public_keys()))
        (self.home / "keyring.json").unlink()
        return keys


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    return Desk(tmp_path, capsys)


def test_it_is_checked_with_nothing_running(desk: Desk) -> None:
    status, answer = desk.ask(REQUEST, "--verify")
    (name, key), *_ = desk.keyring.public_keys().items()
    assert (status, answer["case_id"], answer["source"]) == (0, REQUEST, str(desk.file))
    assert answer["keys"] == [{"id": name, "fingerprint": fingerprint(key)}]
    assert [each["signing_key"] for each in answer["classes"]] == [name] * 4
    assert [each["digest"] for each in answer["classes"]] == [
        each.digest() for each in desk.document.certificates
    ]
    assert answer["unsigned"] == []
    status, text = desk.read(REQUEST, "--verify")
    assert status == 0
    for said in (REQUEST, "identity_documents", name, in_fours(fingerprint(key)), str(desk.file)):
        assert said in text


def test_a_file_is_checked_wherever_it_is(desk: Desk, tmp_path: Path) -> None:
    keys = desk.without_keyring()
    moved = desk.file.rename(tmp_path / "from-the-post.json")
    for options in ([], ["--verify"]):
        assert desk.ask(str(moved), *options, "--key", str(keys))[0] == 0
    status, answer = desk.ask(str(moved), "--verify")
    assert (status, answer["error"]["code"]) == (2, "misconfigured")
    for said in ("keyring.json", "--key"):
        assert said in answer["error"]["message"]


def test_those_from_before_there_were_signatures_are_told(desk: Desk) -> None:
    desk.file.write_bytes(document(desk.keyring, unsigned=frozenset({0})).to_bytes())
    status, answer = desk.ask(REQUEST, "--verify")
    assert (status, answer["unsigned"]) == (0, ["identity_documents"])
    assert "not signed: from before there were signatures" in desk.read(REQUEST, "--verify")[1]


def test_what_was_altered_is_status_3_and_named(desk: Desk) -> None:
    content = desk.file.read_bytes()
    desk.file.write_bytes(content.replace(b'"note": 1', b'"note": 2', 1))
    status, answer = desk.ask(REQUEST, "--verify")
    assert (status, answer["error"]["code"]) == (3, "certificate_broken")
    assert answer["faults"] == [
        "identity_documents: its signature does not hold",
        "document: its signature does not hold",
    ]
    status, text = desk.read(REQUEST, "--verify")
    assert status == 3
    assert "identity_documents: its signature does not hold" in text
    desk.file.write_bytes(b"not a certificate")
    assert desk.ask(REQUEST, "--verify")[0] == 3
    desk.file.write_bytes(document(desk.keyring, "DR-2018-000002-6").to_bytes())
    status, answer = desk.ask(REQUEST, "--verify")
    assert (status, answer["faults"]) == (3, ["document: is that of DR-2018-000002-6"])


def test_nothing_is_printed_of_what_was_altered(desk: Desk, tmp_path: Path) -> None:
    desk.file.write_bytes(desk.file.read_bytes().replace(b"kaiji", b"kaijo", 1))
    for name in ("out.pdf", "out.json"):
        assert desk.ask(REQUEST, "--out", str(tmp_path / name))[0] == 3
        assert not (tmp_path / name).exists()


def test_another_key_is_not_trusted(desk: Desk, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    other.write_text(to_pem({"sign-1": Ed25519PrivateKey.generate().public_key()}))
    status, answer = desk.ask(REQUEST, "--verify", "--key", str(other))
    assert (status, len(answer["faults"])) == (3, 5)
    other.write_text("no key")
    assert desk.ask(REQUEST, "--verify", "--key", str(other))[0] == 2
    assert desk.ask(REQUEST, "--key", str(other))[0] == 2


@pytest.mark.parametrize("id", ["DR-2018-000042-2", "holdings/2026-11-24/9", "../keyring", "no/such.json"])
def test_what_nobody_knows_is_status_4(desk: Desk, id: str) -> None:
    status, answer = desk.ask(id, "--verify")
    assert (status, answer["error"]["code"]) == (4, "not_found")


def test_a_database_that_does_not_answer_is_status_5(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAIJI_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nowhere")
    assert desk.ask("DR-2018-000042-2", "--verify")[0] == 5
    assert desk.ask(REQUEST, "--verify")[0] == 0


def test_the_folder_may_be_elsewhere(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.file.parent.rename(tmp_path / "kept")
    monkeypatch.setenv("KAIJI_CERTIFICATES", str(tmp_path / "kept"))
    assert desk.ask(REQUEST, "--verify")[0] == 0


def test_on_paper_it_is_one_sheet_that_says_everything(desk: Desk, tmp_path: Path) -> None:
    said = {
        "ja": ("個人情報廃棄証明書", "GMOインターネット株式会社", "本人確認書類", "2018年12月20日", "4年"),
        "en": ("Certificate of Destruction", "GMO Internet, Inc.", "Identity documents", "20 December 2018"),
    }
    key = desk.keyring.public_keys()[desk.document.signing_key]
    for language, sentences in said.items():
        out = tmp_path / f"{language}.pdf"
        status, answer = desk.ask(REQUEST, "--out", str(out), "--language", language)
        assert (status, answer["out"]) == (0, str(out))
        pdf = out.read_bytes()
        assert len(reader(pdf).pages) == 1
        for sentence in (*sentences, REQUEST, "§1, Period of Retention", desk.document.signing_key):
            assert squeezed(sentence) in words(pdf)
        for digits in (
            desk.document.signature.hex(),
            fingerprint(key),
            *(each.digest() for each in desk.document.certificates),
            *(each.audit_digest.hex() for each in desk.document.certificates),
        ):
            assert digits in words(pdf)
        assert "/StructTreeRoot" in reader(pdf).trailer["/Root"]
        assert "<pdfaid:part>2</pdfaid:part>" in metadata(pdf).replace("\n", "")
        again = tmp_path / "again.pdf"
        assert desk.ask(REQUEST, "--out", str(again), "--language", language)[0] == 0
        assert again.read_bytes() == pdf


def test_the_copy_is_the_file_itself(desk: Desk, tmp_path: Path) -> None:
    out = tmp_path / "copy.json"
    assert desk.ask(REQUEST, "--out", str(out))[0] == 0
    assert out.read_bytes() == desk.file.read_bytes()
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert desk.ask(REQUEST, "--out", str(tmp_path / "copy.txt"))[0] == 2


def test_the_keys_that_are_handed_out_are_what_it_is_checked_with(desk: Desk, tmp_path: Path) -> None:
    out = tmp_path / "public.pem"
    answer = desk.run("keys", "public", "--out", str(out))[1]
    assert desk.ask(REQUEST, "--verify", "--key", str(out))[0] == 0
    _, key, _ = re.split("-----.*?-----", out.read_text())  # DER, as any other program reads it
    digest = hashlib.sha256(base64.b64decode(key)).hexdigest()
    assert [each["fingerprint"] for each in answer["keys"]] == [digest]
    assert in_fours(digest) in out.read_text()
    assert desk.run("keys", "public")[1]["keys"] == answer["keys"]


async def test_without_a_file_the_database_is_asked(office: Office) -> None:
    settings = Settings.load(office.home)
    keyring = Keyring.from_settings(settings)
    database = Database(settings.database(), keyring)
    try:
        async with database.begin() as conn:
            await issue_page(conn, keyring)
    finally:
        await database.dispose()
    shown = await office.do("retention", "certificate", PAGE)
    checked = await office.do("retention", "certificate", PAGE, "--verify")
    assert (checked["source"], checked["classes"]) == ("database", shown["classes"])
    assert "holdings" in await office.read("retention", "certificate", PAGE)
    out = office.desk / "page.json"
    await office.do("retention", "certificate", PAGE, "--out", str(out))
    assert Document.parse(out.read_bytes()).case_id == PAGE
    sheet = office.desk / "page.pdf"
    await office.do("retention", "certificate", PAGE, "--out", str(sheet))
    for said in ("お客さまの個人情報", "契約情報", "契約の終了から1年"):
        assert squeezed(said) in words(sheet.read_bytes())
    for id in ("DR-2018-000999-9", "holdings/2026-11-24/999"):
        for options in ([], ["--verify"]):
            assert (await office.run("retention", "certificate", id, *options)).status == 4
