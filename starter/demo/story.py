"""The story: one disclosure request in the order of section 5, from the form to the end of its records."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from starter.demo.props import SERVICE, settled_deposit, signed, tracking_numbers, write_envelope
from starter.demo.stage import Document, Stage, StepFailed
from starter.today import machine_day


@dataclass(frozen=True)
class Ending:
    """What the story leaves behind: the request, its certificate, and the letters that were printed."""

    request_id: str
    certificate: Document
    letters: tuple[Path, ...]


async def tell(stage: Stage, gateway: str, secret: str) -> Ending:
    """Tell the whole story. ``secret`` signs what the payment system sends to ``gateway``.

    Raises ``StepFailed``.
    """
    tracking = tracking_numbers()
    today = machine_day()
    request_id, form = await _form(stage)
    await _envelope(stage, request_id, today)
    await _identity(stage, request_id)
    invoice = await _invoice(stage, request_id, tracking)
    await _payment(stage, request_id, gateway, secret, today)
    await _decision(stage, request_id)
    answer = await _answer(stage, request_id, tracking)
    certificate = await _retention(stage, request_id)
    return Ending(request_id, certificate, (form, invoice, answer))


async def _form(stage: Stage) -> tuple[str, Path]:
    stage.step("Somebody asks for the form", "§5(2)(1)")
    path = stage.letters / "1-form.pdf"
    opened = await stage.kaiji(
        *("request", "open", "--kind", "disclosure", "--service", SERVICE),
        *("--form-out", str(path), "--by", "mailroom-1"),
    )
    stage.result(f"{opened['request_id']} is open; the form {path} lapses on {opened['lapses_on']}")
    return opened["request_id"], path


async def _envelope(stage: Stage, request_id: str, today: date) -> None:
    stage.step("The form comes back with documents, by certified mail", "§5(2)(3) to (5)")
    envelope = write_envelope(stage.letters, request_id, today)
    received = await stage.kaiji("receive", str(envelope), "--by", "mailroom-1")
    findings = received["assessment"]["findings"]
    if not received["assessment"]["complete"]:
        raise StepFailed(f"the rules found {[finding['code'] for finding in findings]}")
    stage.result(f"{received['phase']}: the rules checked the documents, complete, {len(findings)} findings")


async def _identity(stage: Stage, request_id: str) -> None:
    stage.step("An officer verifies the sender's identity; the data are located", "§5(1), §5(2)(6)")
    await stage.kaiji("request", "verify", request_id, "--by", "officer-1")
    await stage.until(request_id, "AWAITING_PAYMENT")


async def _invoice(stage: Stage, request_id: str, tracking: Iterator[str]) -> Path:
    stage.step("The invoice for the handling fee is printed and posted", "§5(2)(6)")
    letter_id = await _next_letter(stage, request_id)
    path = stage.letters / "2-invoice.pdf"
    await _post(stage, letter_id, path, next(tracking))
    return path


async def _payment(stage: Stage, request_id: str, gateway: str, secret: str, today: date) -> None:
    stage.step("The payment system tells of a deposit, signed, over HTTP", "§5(2)(6)")
    invoiced = await stage.kaiji("request", "show", request_id, shown=False)
    body = settled_deposit(invoiced["payment_reference"], invoiced["fee"], today)
    url, headers = f"{gateway}/webhooks/deposits", signed(body, secret)
    first = await stage.post(url, headers, body)
    stage.say("Senders repeat. The same notice again is answered the same, and moves nothing:")
    again = await stage.post(url, headers, body)
    if first[0] != 202 or again != first:
        raise StepFailed("the gateway did not answer both notices alike with 202")
    paid = await stage.until(request_id, "PREPARING")
    payments = paid["payments"]
    if payments["received"] != invoiced["fee"] or payments["deposits"] != ["D-0001"]:
        raise StepFailed(f"the ledger has JPY {payments['received']:,} in {payments['deposits']}")
    stage.result(f"received JPY {payments['received']:,} of JPY {payments['invoiced']:,}, once")


async def _decision(stage: Stage, request_id: str) -> None:
    stage.step("One person proposes the response, another approves it", "§5(1)")
    stage.say("officer-2 is an approver too, but nobody approves their own proposal:")
    propose = ("request", "propose", request_id, "--decision", "grant", "--by", "officer-2")
    await stage.kaiji(*propose)
    await stage.until(request_id, "APPROVING")
    refused = (await stage.kaiji("request", "approve", request_id, "--by", "officer-2", status=3))["error"]
    if refused["code"] != "same_person":
        raise StepFailed(f"refused for {refused['code']}, not because it was the same person")
    stage.result(f"exit 3, {refused['code']}: {refused['message']}")
    await stage.kaiji("request", "approve", request_id, "--by", "approver-1")
    await stage.until(request_id, "POSTING")


async def _answer(stage: Stage, request_id: str, tracking: Iterator[str]) -> Path:
    stage.step("The answer goes out by certified mail, and arrives", "§5(2)(7)")
    letter_id = await _next_letter(stage, request_id)
    path = stage.letters / "3-response.pdf"
    await _post(stage, letter_id, path, next(tracking))
    await stage.until(request_id, "IN_TRANSIT")
    await stage.kaiji("mail", "record", letter_id, "delivered", "--by", "mailroom-1")
    await stage.until(request_id, "RETAINED")
    return path


async def _retention(stage: Stage, request_id: str) -> Document:
    stage.step("Years pass: each record class is destroyed when its period ends", "§1, Period of Retention")
    stage.say(
        "The request's own clock is moved on the real server; its timers fire as if the days had passed."
    )
    status = await stage.kaiji("request", "show", request_id, shown=False)
    while status["records"]:
        expiring = status["records"][0]
        days = (date.fromisoformat(expiring["on"]) - date.fromisoformat(status["today"])).days
        await stage.kaiji("clock", "advance", request_id, f"{days}d")
        status = await stage.kaiji("request", "show", request_id, shown=False)
        if expiring in status["records"]:
            raise StepFailed(f"on {status['today']} {expiring['what']} still are there")
        stage.result(f"{status['today']}: {expiring['what']} destroyed; the request is {status['phase']}")
    certificate = await stage.kaiji("retention", "certificate", request_id)
    for done in certificate["classes"]:
        keys = len(done["key_ids"])
        stage.result(f"{done['record_class']}: {done['rule']}; {done['destroyed_on']}, {keys} key(s) gone")
    if certificate["kept"] or not certificate["destroyed_on"]:
        raise StepFailed(f"still kept: {certificate['kept']}")
    verified = await stage.kaiji("audit", "verify")
    stage.result(f"{verified['events']} events in {verified['cases']} audited cases: every chain is whole")
    return certificate


async def _next_letter(stage: Stage, request_id: str) -> str:
    """The letter of this request that waits for the mail room."""
    queue = await stage.kaiji("mail", "queue")
    waiting = [letter for letter in queue["letters"] if letter["request_id"] == request_id]
    if len(waiting) != 1:
        raise StepFailed(f"{len(waiting)} letters wait to be posted, not one")
    letter_id, kind, pages = (waiting[0][key] for key in ("letter_id", "kind", "pages"))
    stage.result(f"{letter_id}: {kind}, {pages} page(s)")
    return str(letter_id)


async def _post(stage: Stage, letter_id: str, path: Path, tracking: str) -> None:
    await stage.kaiji("mail", "print", letter_id, "--out", str(path), "--by", "mailroom-1")
    await stage.kaiji("mail", "record", letter_id, "posted", "--tracking", tracking, "--by", "mailroom-1")
    stage.result(f"{path} posted as {tracking}")
