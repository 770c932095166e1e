"""`kaiji retention certificate`: what was destroyed, and proof of it that needs no server (§1)."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from policy.vocabulary import Language
from starter.cli.context import Installation, command
from starter.cli.failures import CERTIFICATE_BROKEN
from starter.cli.options import check_writable, public_keys, write_private
from starter.cli.output import Answer, facts, stack, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from policy.retention import Expiry
    from records.certificate_document import Document
    from records.certificates import Certificate
    from records.heads import PublicKeys
    from records.requests import RequestRow

_UNSIGNED = "not signed: from before there were signatures"


def register(app: typer.Typer) -> None:
    """Add the command to a group."""
    command(app, "certificate", example="kaiji retention certificate DR-2018-000001-8 --verify")(certificate)


async def certificate(
    installation: Installation,
    id: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="A request id, a page of a sweep as holdings/2026-11-24/1, or the .json file of either.",
        ),
    ],
    verify: Annotated[
        bool, typer.Option("--verify", help="Check every signature; needs no server where there is a file.")
    ] = False,
    key: Annotated[
        Path | None,
        typer.Option(
            "--key",
            metavar="FILE.pem",
            help="With --verify or --out: trust these public keys alone, not those of the keyring.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE.pdf", help="Where to write it, as .pdf or .json, once it is checked."
        ),
    ] = None,
    language: Annotated[Language, typer.Option("--language", help="The language of a PDF.")] = Language.JA,
) -> Answer:
    """Show what was destroyed: when, by whom, under which rule; and of a request what is still kept.

    Every certificate is also a file in HOME/certificates (KAIJI_CERTIFICATES). What is signed and does not
    agree with its signature ends with 3.
    """
    is_file = id.endswith(".json")
    if out is not None:
        if out.suffix not in (".pdf", ".json"):
            raise typer.BadParameter(f"{out}: name a .pdf or a .json file", param_hint="--out")
        check_writable(out)
    if not (verify or out or is_file):
        if key is not None:
            raise typer.BadParameter("goes with --verify or --out", param_hint="--key")
        return await _show(installation, id)
    return await _checked(installation, id, is_file, key, out, language)


async def _show(installation: Installation, id: str) -> Answer:
    from records import certificates, expiries, requests

    if "/" in id:
        from policy.refusals import Code, Refusal

        async with installation.database.begin() as conn:
            of_page = await certificates.of_request(conn, id)
        if not of_page:
            raise Refusal(Code.NOT_FOUND, "no sweep has written a certificate of this id")
        return Answer({"case_id": id, "classes": _classes(of_page)}, lambda: _table(of_page))
    async with installation.database.begin() as conn:
        request = await requests.find(conn, id)
        destroyed = await certificates.of_request(conn, id)
        kept = await expiries.outstanding(conn, request)
    document = {
        "request_id": request.id,
        "outcome": request.outcome,
        "closed_on": request.closed_on,
        "destroyed_on": request.destroyed_on,
        "classes": _classes(destroyed),
        "kept": kept,
    }
    return Answer(document, lambda: _human(request, destroyed, kept))


async def _checked(
    installation: Installation, id: str, is_file: bool, key: Path | None, out: Path | None, language: Language
) -> Answer:
    from starter import certificates

    trusted = public_keys(key) if key is not None else _own(installation)
    content, source, told = await _find(installation, id, is_file)
    checked = certificates.check(content, trusted, case_id=None if is_file else id)
    faults = (*checked.faults, *(fault for fault in told if fault not in checked.faults))
    if faults or checked.document is None:
        return _broken(source, faults)
    if out is not None:
        pdf = out.suffix == ".pdf"
        write_private(out, certificates.to_pdf(checked.document, language) if pdf else content)
    return _sound(checked.document, checked.keys, source, out)


async def _find(installation: Installation, id: str, is_file: bool) -> tuple[bytes, str, list[str]]:
    """The document, where it is from, and what else speaks against it."""
    from policy.refusals import Code, Refusal
    from records.certificate_files import CertificateFolder
    from starter import certificates

    if is_file:
        return certificates.read_file(Path(id)), id, []
    folder = CertificateFolder(installation.settings.certificates_folder)
    content = certificates.in_folder(folder, id)
    if content is not None:
        return content, str(folder.file_of(id)), []
    if installation.settings.database_url is None:
        where = f"there is no file {folder.file_of(id)}"
        raise Refusal(Code.NOT_FOUND, f"{where}, and no database to ask: KAIJI_CERTIFICATES names the folder")
    content, told = await certificates.in_database(installation.database, installation.keyring, id)
    return content, "database", told


def _own(installation: Installation) -> "PublicKeys":
    from runtime.errors import Misconfigured, Unreachable

    try:
        return installation.keyring.public_keys()
    except Unreachable as error:
        raise Misconfigured(
            f"nothing to check the signature with: of keyrings there is {error.hint}; or give the public key"
            " you were handed with --key FILE.pem"
        ) from None


def _sound(document: "Document", used: "PublicKeys", source: str, out: Path | None) -> Answer:
    from records.public_keys import fingerprint, in_fours

    keys = [{"id": name, "fingerprint": fingerprint(key)} for name, key in used.items()]
    answer: dict[str, object] = {
        "case_id": document.case_id,
        "source": source,
        "classes": _classes(document.certificates),
        "signing_key": document.signing_key,
        "keys": keys,
        "unsigned": [each.record_class for each in document.certificates if not each.is_signed],
    }
    rows = [
        (each.record_class, each.destroyed_on, each.signing_key or _UNSIGNED)
        for each in document.certificates
    ]
    lines = [f"{key['id']}: {in_fours(key['fingerprint'])}" for key in keys]
    written = [] if out is None else ["", f"Written: {out}."]
    if out is not None:
        answer["out"] = str(out)
    return Answer(
        answer,
        lambda: stack(
            f"{document.case_id}: as it was signed ({source}).",
            "",
            table(["records", "destroyed on", "signed with"], rows, empty=""),
            "",
            "Compare the fingerprints of the keys (SHA-256) with those you know:",
            *lines,
            *written,
        ),
    )


def _broken(source: str, faults: tuple[str, ...]) -> Answer:
    message = f"the certificate is not what was signed ({source}): tell the privacy manager"
    return Answer(
        {"error": {"code": CERTIFICATE_BROKEN, "message": message}, "source": source, "faults": faults},
        lambda: stack(message, "", *(f"  {fault}" for fault in faults)),
        status=3,
    )


def _classes(destroyed: "Sequence[Certificate]") -> list[dict[str, object]]:
    return [{**each.to_document(), "digest": each.digest()} for each in destroyed]


def _table(destroyed: "Sequence[Certificate]") -> "RenderableType":
    rows = [
        (
            each.record_class,
            each.destroyed_on,
            each.destroyed_by,
            each.rule,
            each.clause,
            each.records,
            len(each.key_ids),
            each.signing_key,
        )
        for each in destroyed
    ]
    headings = ["records", "destroyed on", "by", "rule", "clause", "sealed records", "keys", "signed with"]
    return table(headings, rows, empty="Nothing of it has been destroyed.")


def _human(request: "RequestRow", destroyed: "list[Certificate]", kept: "list[Expiry]") -> "RenderableType":
    return stack(
        facts(
            [
                ("request", request.id),
                ("outcome", request.outcome or "not over yet"),
                ("closed", request.closed_on),
                ("all destroyed", request.destroyed_on),
                ("still kept", ", ".join(f"{each.record_class} until {each.on}" for each in kept)),
            ]
        ),
        "",
        _table(destroyed),
    )
