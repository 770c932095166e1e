"""A world to run requests in: real PostgreSQL, real Temporal with time skipping, a worker, staff, holdings.

`World.open` sends a form and starts a request; `Case` drives one request the way its people do: envelopes
and deposits through the records, everything else as bare updates, time as virtual time.
"""

import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import Client, WorkflowHistory, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from policy import roles
from policy.calendar import end_of_day, today_in_tokyo
from policy.deposit import parse_notice
from policy.envelope import parse_envelope
from policy.holdings import parse_holdings
from policy.refund import AccountType, RefundAccount
from policy.refusals import Code, Refusal
from policy.registry import pack_in_force
from policy.vocabulary import (
    Capacity,
    CustodyEvent,
    Decision,
    Kind,
    Language,
    LetterState,
    MailEvent,
    Phase,
    StandingEnd,
    SubjectMatter,
)
from records import envelopes, holdings, ledger, letters, refunds, requests, staff
from records.database import Database
from records.envelopes import Recorded
from runtime.codec import ENCODING, EncryptingCodec
from runtime.keys import Keyring
from runtime.plugin import kaiji_plugin
from runtime.temporal import fast_forward, virtual_now, wait_until_idle
from starter.changes import seal_changes
from starter.errands import Errands
from starter.notices import Notices
from starter.reasons import seal_reason
from starter.requests import start
from starter.updates import say_update
from worker import create_worker, register_search_attributes
from workflows.deposit import Deposit
from workflows.disclosure_request import DisclosureRequest
from workflows.messages import (
    Act,
    ApproveResponse,
    AssignDeposit,
    ConfirmAddress,
    DepositStatus,
    DocumentsReceived,
    EndStanding,
    Extend,
    LinkDuplicate,
    PlaceHold,
    ProposeResponse,
    RecordDocument,
    RecordMail,
    RefundDeposit,
    ReleaseHold,
    Reopen,
    ReturnProposal,
    SendReceipt,
    Status,
    TakeBackResponse,
    VerifyIdentity,
    Withdraw,
)

SERVICE, OTHER_SERVICE = "gmo-appscloud", "sample-hosting"
HOLDINGS = Path(__file__).parents[2] / "starter" / "samples" / "holdings.json"
MOMENT = timedelta(seconds=30)
"""Shorter than anything here waits for, longer than anything here takes."""

Json = dict[str, Any]

ACCOUNT = RefundAccount(
    bank_code="9999",
    branch_code="999",
    account_type=AccountType.ORDINARY,
    number="7654321",
    holder_kana="ミホン ハナコ",
)
"""Where money goes back to."""

HANAKO: Json = {
    "name": "見本 花子",
    "name_kana": "ミホン ハナコ",
    "postal_code": "150-8512",
    "address": "東京都渋谷区桜丘町26-1",
    "born_on": "1980-04-01",
    "customer_number": "C0012345",
}
"""In both services of the sample holdings."""
TARO: Json = {
    "name": "見本 太郎",
    "postal_code": "150-8512",
    "address": "東京都渋谷区桜丘町26-1",
    "born_on": "1978-12-24",
    "customer_number": "C0012346",
}
"""In one of them."""
NOBODY: Json = {"name": "無 名", "postal_code": "100-0001", "address": "東京都千代田区千代田9-9-9"}
"""In none."""
PROXY: Json = {"name": "代理 次郎", "postal_code": "530-0001", "address": "大阪府大阪市北区梅田9-9-9"}


def documents(capacity: Capacity, today: date) -> list[Json]:
    """All that the policy asks for, and nothing else."""
    issued = (today - timedelta(days=10)).isoformat()
    form: Json = {"kind": "request_form"}
    licence = {"kind": "drivers_license", "medium": "copy", "holder": "applicant"}
    original = {"medium": "original", "holder": "principal", "issued_on": issued}
    residence = {"kind": "certificate_of_residence", "medium": "copy", "issued_on": issued}
    match capacity:
        case Capacity.SELF:
            return [form, residence | {"holder": "principal"}, licence | {"holder": "principal"}]
        case Capacity.PROXY:
            return [
                form,
                residence | {"holder": "applicant"},
                licence,
                {"kind": "certificate_of_residence"} | original,
                {"kind": "power_of_attorney"},
                {"kind": "seal_registration_certificate"} | original,
            ]
        case Capacity.STATUTORY_REPRESENTATIVE:
            guardian = {
                "kind": "family_court_certificate",
                "medium": "copy",
                "holder": "applicant",
                "issued_on": issued,
            }
            return [form, {"kind": "certificate_of_residence"} | original, guardian, licence]


class World:
    """Everything a request needs to run in; one for all tests."""

    def __init__(self, client: Client, database: Database, keyring: Keyring) -> None:
        self.client = client
        self.database = database
        self.keyring = keyring
        self.cases: list[Case] = []
        self.deposits: list[Money] = []
        self._numbers = itertools.count(1)

    @property
    def today(self) -> date:
        """The machine's day in Tokyo: each request's own clock starts there."""
        return today_in_tokyo(datetime.now(UTC))

    def number(self) -> int:
        """A number that nothing else here has."""
        return next(self._numbers)

    def tracking_number(self) -> str:
        """A tracking number that nothing else here has."""
        number = 1_000_000_000 + self.number()
        return f"{number}{number % 7}"

    async def open(
        self,
        kind: Kind = Kind.DISCLOSURE,
        services: Sequence[str] = (SERVICE,),
        capacity: Capacity = Capacity.SELF,
        *,
        language: Language = Language.JA,
        subject_matter: SubjectMatter = SubjectMatter.CUSTOMER,
    ) -> "Case":
        """Somebody asks for a form."""
        today = self.today
        async with self.database.begin() as conn:
            request_id = await requests.open_request(
                conn,
                opened_on=today,
                opened_by="mailroom-1",
                kind=kind,
                detail_kind=None,
                capacity=capacity,
                subject_matter=subject_matter,
                language=language,
                services=services,
                pack_version=pack_in_force(today).version,
            )
            row = await requests.find(conn, request_id)
        await start(self.client, row)
        case = Case(self, row.id, kind, tuple(services), capacity, language, subject_matter)
        case.first_run = (await self.client.get_workflow_handle(row.id).describe()).run_id
        await case.idle()
        self.cases.append(case)
        return case

    async def connected(self) -> Client:
        """The client, as ways in ask for it."""
        return self.client

    async def notice(self, type: str, deposit: "Money") -> None:
        """The payment system tells of a deposit; the ledger takes it down."""
        body = deposit.notice(type)
        way_in = Notices(deposit.source, self.database, self.keyring, self.connected)
        await way_in.take(f"{deposit.source}/{deposit.id}/{type}", body, parse_notice(body))

    async def run_errands(self) -> int:
        """Whoever is to be told that money moved is told."""
        return await Errands(self.database, self.connected).run()

    async def match_untold(self, amount: int, reference: str) -> None:
        """A deposit is in the ledger and matched, but no word of it has reached its request yet."""
        money = Money(self, f"D{self.number()}", "webhook", amount, reference)
        await self.record_untold("settled", money)
        async with self.database.begin() as conn:
            await ledger.match(conn, money.source, money.id)

    async def record_untold(self, type: str, money: "Money") -> None:
        """The ledger knows of a notice, and nobody was told yet."""
        body = money.notice(type)
        async with self.database.begin() as conn:
            await ledger.record_notice(
                conn,
                self.database.vault,
                self.keyring,
                source=money.source,
                webhook_id=f"{money.id}/{type}/untold",
                body=body,
                notice=parse_notice(body),
            )

    async def deposit(
        self, amount: int, reference: str = "", *, source: str = "webhook", currency: str = "JPY"
    ) -> "Money":
        """A deposit settles, and its workflow does what it can."""
        money = Money(self, f"D{self.number()}", source, amount, reference, currency)
        await self.notice("settled", money)
        await wait_until_idle(self.client, money.workflow_id)
        if (
            await money.row()
        ).state is ledger.DepositState.MATCHED:  # its word to the request may be on its way
            await self.client.get_workflow_handle(money.workflow_id).result()
        self.deposits.append(money)
        return money


@dataclass
class Money:
    """One deposit."""

    world: World
    id: str
    source: str
    amount: int
    reference: str
    currency: str = "JPY"

    @property
    def workflow_id(self) -> str:
        return ledger.case_id(self.source, self.id)

    def notice(self, type: str) -> bytes:
        """What the payment system says of it."""
        today = self.world.today.isoformat()
        data = {
            "deposit_id": self.id,
            "account": "1234567",
            "amount": self.amount,
            "currency": self.currency,
            "value_date": today,
            "payer_name": "ミホン ハナコ",
            "reference": self.reference,
            "edi": "",
        }
        return json.dumps(
            {"type": f"deposit.{type}", "timestamp": datetime.now(UTC).isoformat(), "data": data}
        ).encode()

    async def cancel(self) -> None:
        """The payment system takes it back."""
        await self.world.notice("cancelled", self)

    async def assign(self, case: "Case", by: str = "accounts-1") -> None:
        """A clerk says whose it is. Raises `Refused`."""
        handle = self.world.client.get_workflow_handle(self.workflow_id)
        await updating(
            say_update(handle, Deposit.assign, AssignDeposit(by=by, request_id=case.id), patience=MOMENT)
        )
        await handle.result()
        await case.idle()

    async def refund(self, by: str = "accounts-1", amount: int | None = None) -> str:
        """A clerk proposes to give back what is left; answers the refund's number. Raises `Refused`."""
        async with self.world.database.begin() as conn:
            account_id = await refunds.seal_account(
                conn, self.world.database.vault, self.source, self.id, ACCOUNT
            )
        handle = self.world.client.get_workflow_handle_for(Deposit.run, self.workflow_id)
        act = RefundDeposit(by=by, account_id=str(account_id), amount=amount)
        try:
            status = await say_update(handle, Deposit.refund, act, patience=MOMENT)
        except WorkflowUpdateFailedError as error:
            raise _refused(error) from None
        await wait_until_idle(self.world.client, self.workflow_id)
        return status.refund or ""

    async def status(self) -> DepositStatus:
        await wait_until_idle(self.world.client, self.workflow_id)
        return await self.world.client.get_workflow_handle(self.workflow_id).query(Deposit.status)

    async def row(self) -> ledger.DepositRow:
        """Where it stands in the ledger."""
        async with self.world.database.begin() as conn:
            return await ledger.find(conn, self.source, self.id)


@dataclass
class Case:
    """One request, and what people do to it."""

    world: World
    id: str
    kind: Kind
    services: tuple[str, ...]
    capacity: Capacity
    language: Language
    subject_matter: SubjectMatter
    first_run: str | None = field(default=None)

    # ── the ways in ───────────────────────────────────────────────────────────────────────────────────────

    def envelope(self, **changes: object) -> Json:
        """A complete envelope for this request."""
        today = self.world.today
        content: Json = {
            "request_id": self.id,
            "channel": "certified_mail",
            "tracking_number": self.world.tracking_number(),
            "posted_on": (today - timedelta(days=1)).isoformat(),
            "received_on": today.isoformat(),
            "kind": self.kind.value,
            "services": list(self.services),
            "subject_matter": self.subject_matter.value,
            "capacity": self.capacity.value,
            "language": self.language.value,
            "principal": HANAKO,
            "applicant": None if self.capacity is Capacity.SELF else PROXY,
            "documents": documents(self.capacity, today),
        }
        if self.kind is Kind.AMENDMENT:
            content["amendment"] = "correction"
        if self.kind is Kind.CESSATION:
            content["cessation"] = "cease_use"
        return content | changes

    async def receive(self, **changes: object) -> Json:
        """The mail room records an envelope; answers it."""
        envelope = self.envelope(**changes)
        await self.receive_again(envelope)
        return envelope

    async def receive_again(self, envelope: Json) -> Recorded:
        """The mail room records an envelope, for the first time or not, and the request is told."""
        recorded = await self.record(envelope)
        if recorded.attached:
            received = DocumentsReceived(envelope_id=str(recorded.envelope_id))
            async with self.world.database.begin() as conn:
                row = await requests.find(conn, self.id)
            await start(self.world.client, row, received=received)
        await self.idle()
        return recorded

    async def record(self, envelope: Json) -> Recorded:
        """An envelope is recorded, and no word of it reaches the request yet."""
        database = self.world.database
        async with database.begin() as conn:
            return await envelopes.record(
                conn,
                database.vault,
                self.world.keyring,
                parse_envelope(json.dumps(envelope)),
                request_id=self.id,
                received_by="mailroom-1",
                scans={},
            )

    async def pay(self, amount: int, *, source: str = "webhook") -> Money:
        """Money arrives with the request's payment reference."""
        status = await self.status()
        money = await self.world.deposit(amount, status.payment_reference or "", source=source)
        await self.idle()
        return money

    async def note(self, act: roles.Act, by: str, text: str = "調査に時間を要するため") -> str:
        """Why somebody acts, sealed; answers the note's id."""
        database, printed = self.world.database, act is roles.Act.EXTEND
        return await seal_reason(database, self.id, text, by=by, act=act, printed=printed)

    async def noted(self, act: roles.Act, by: str, otherwise: str) -> str:
        """A reason of the one who acts, or of somebody else where they may not."""
        try:
            return await self.note(act, by)
        except Refusal:
            return await self.note(act, otherwise)

    # ── acts ──────────────────────────────────────────────────────────────────────────────────────────────

    async def act(self, update: Callable[..., Awaitable[Any]], act: Act) -> None:
        """One bare update. Raises `Refused`."""
        handle = self.world.client.get_workflow_handle(self.id)
        await updating(say_update(handle, update, act, patience=MOMENT))

    async def verify(self, by: str = "officer-1", **how: Any) -> None:
        await self.act(DisclosureRequest.verify_identity, VerifyIdentity(by=by, **how))
        await self.idle()

    async def propose(self, decision: Decision = Decision.GRANT, by: str = "officer-1", **how: Any) -> None:
        await self.act(DisclosureRequest.propose_response, ProposeResponse(by=by, decision=decision, **how))
        await self.idle()

    async def note_of_measures(self) -> str:
        """What is done in the place of a cessation, sealed."""
        return await self.note(roles.Act.PROPOSE_RESPONSE, "officer-1", "閲覧できる者を限定しました。")

    async def approve(
        self, by: str = "approver-1", service: str | None = None, draft: str | None = None
    ) -> None:
        act = ApproveResponse(by=by, service=service, draft=draft)
        await self.act(DisclosureRequest.approve_response, act)
        await self.idle()

    async def send_back(self, by: str = "approver-1", service: str | None = None) -> None:
        note_id = await self.noted(roles.Act.RETURN_PROPOSAL, by, "approver-1")
        await self.act(
            DisclosureRequest.return_proposal, ReturnProposal(by=by, note_id=note_id, service=service)
        )
        await self.idle()

    async def changes(self, changes: dict[str, object], service: str | None = None) -> str:
        """What an amendment changes, sealed; answers the note's id. Raises `Refusal`."""
        content = {"changes": [{"item": item, "to": to} for item, to in changes.items()]}
        return await seal_changes(
            self.world.database,
            self.world.keyring,
            self.id,
            service,
            json.dumps(content).encode(),
            by="officer-1",
        )

    async def take_back(self, by: str = "approver-1") -> None:
        note_id = await self.noted(roles.Act.TAKE_BACK_RESPONSE, by, "approver-1")
        await self.act(DisclosureRequest.take_back_response, TakeBackResponse(by=by, note_id=note_id))
        await self.idle()

    async def strike_out(self, document: int, replaced_by: int | None = None, by: str = "officer-1") -> None:
        struck = replaced_by is None
        act = RecordDocument(
            by=by,
            document=document,
            event=CustodyEvent.STRUCK_OUT if struck else CustodyEvent.REPLACED,
            replaced_by=replaced_by,
            note_id=await self.noted(roles.Act.RECORD_DOCUMENT, by, "officer-1") if struck else None,
        )
        await self.act(DisclosureRequest.record_document, act)
        await self.idle()

    async def end_standing(self, cause: StandingEnd, by: str = "officer-1") -> None:
        await self.act(DisclosureRequest.end_standing, EndStanding(by=by, cause=cause))
        await self.idle()

    async def link(self, other: str, by: str = "officer-1") -> None:
        await self.act(DisclosureRequest.link_duplicate, LinkDuplicate(by=by, duplicate_of=other))
        await self.idle()

    async def confirm_address(self, envelope: int | None = None, by: str = "officer-1") -> None:
        await self.act(DisclosureRequest.confirm_address, ConfirmAddress(by=by, envelope=envelope))
        await self.idle()

    async def reopen(self, by: str = "officer-1") -> None:
        note_id = await self.noted(roles.Act.REOPEN, by, "officer-1")
        await self.act(DisclosureRequest.reopen, Reopen(by=by, note_id=note_id))
        await self.idle()

    async def receipt(self, by: str = "accounts-1") -> None:
        await self.act(DisclosureRequest.send_receipt, SendReceipt(by=by))
        await self.idle()

    async def withdraw(self, by: str = "officer-1") -> None:
        await self.act(DisclosureRequest.withdraw, Withdraw(by=by))
        await self.idle()

    async def extend(self, until: date, by: str = "officer-1") -> None:
        note_id = await self.noted(roles.Act.EXTEND, by, "officer-1")
        await self.act(DisclosureRequest.extend, Extend(by=by, until=until, note_id=note_id))
        await self.idle()

    async def hold(self, by: str = "manager-1") -> None:
        note_id = await self.noted(roles.Act.PLACE_HOLD, by, "manager-1")
        await self.act(DisclosureRequest.place_hold, PlaceHold(by=by, note_id=note_id))
        await self.idle()

    async def release(self, by: str = "manager-1") -> None:
        await self.act(DisclosureRequest.release_hold, ReleaseHold(by=by))
        await self.idle()

    async def mail(
        self,
        event: MailEvent,
        letter_id: str | None = None,
        by: str = "mailroom-1",
        on: date | None = None,
    ) -> None:
        """Something happens to a letter, by default the last one."""
        letter_id = letter_id or await self._last_letter()
        posted = event is MailEvent.POSTED
        act = RecordMail(
            by=by,
            letter_id=letter_id,
            event=event,
            on=on,
            tracking_number=self.world.tracking_number() if posted else None,
            note_id=await self.noted(roles.Act.RECORD_MAIL, by, "mailroom-1")
            if event in (MailEvent.RETURNED, MailEvent.UNKNOWN)
            else None,
        )
        await self.act(DisclosureRequest.record_mail, act)
        await self.idle()

    async def _last_letter(self) -> str:
        """The last letter there is, but for one that was taken from the queue."""
        letters = (await self.status()).letters
        return [x.letter_id for x in letters if x.state is not LetterState.CANCELLED][-1]

    async def deliver(self, letter_id: str | None = None) -> None:
        """A letter is posted and arrives."""
        letter_id = letter_id or await self._last_letter()
        await self.mail(MailEvent.POSTED, letter_id)
        await self.mail(MailEvent.DELIVERED, letter_id)

    async def mail_posted_and_delivered_after(self, days: int) -> None:
        """Every letter in the print queue is posted, and arrives so many days later."""
        queued = [x.letter_id for x in (await self.status()).letters if x.state is LetterState.QUEUED]
        for letter_id in queued:
            await self.mail(MailEvent.POSTED, letter_id)
        await self.advance(days=days)
        for letter_id in queued:
            await self.mail(MailEvent.DELIVERED, letter_id)

    async def deliver_all(self) -> None:
        """Every letter in the print queue is posted and arrives."""
        for letter in (await self.status()).letters:
            if letter.state is LetterState.QUEUED:
                await self.deliver(letter.letter_id)

    async def signal_envelope(self, envelope_id: str) -> None:
        """A bare signal, such as a repeat of the way in sends."""
        handle = self.world.client.get_workflow_handle(self.id)
        await handle.signal(DisclosureRequest.documents_received, DocumentsReceived(envelope_id=envelope_id))
        await self.idle()

    async def reach(self, phase: Phase) -> None:
        """Straight on to a phase: paid in full, all granted, posted and delivered."""
        steps: dict[Phase, Callable[[], Awaitable[object]]] = {
            Phase.AWAITING_DOCUMENTS: self.receive,
            Phase.VERIFYING: self.verify,
            Phase.AWAITING_PAYMENT: self.pay_in_full,
            Phase.PREPARING: self.propose,
            Phase.APPROVING: self.approve,
            Phase.POSTING: lambda: self.mail(MailEvent.POSTED),
            Phase.IN_TRANSIT: lambda: self.mail(MailEvent.DELIVERED),
        }
        while (now := (await self.status()).phase) is not phase:
            await steps[now]()

    async def pay_in_full(self) -> None:
        await self.pay((await self.status()).fee)

    # ── time ──────────────────────────────────────────────────────────────────────────────────────────────

    async def idle(self) -> None:
        """Until nothing is under way, and everybody was told of what money did."""
        await wait_until_idle(self.world.client, self.id)
        if await self.world.run_errands():
            await wait_until_idle(self.world.client, self.id)

    async def now(self) -> datetime:
        return await virtual_now(self.world.client, self.id)

    async def advance(self, **duration: float) -> bool:
        """Virtual time passes; False when the workflow ended on the way."""
        going_on: bool = await fast_forward(self.world.client, self.id, timedelta(**duration))
        await self.idle()
        return going_on

    async def to_the_end_of(self, day: date, *, but: timedelta = timedelta()) -> bool:
        """Virtual time passes to just after the day's end in Tokyo, or to `but` before it."""
        moment = end_of_day(day) - but if but else end_of_day(day) + timedelta(seconds=1)
        return await self.advance(seconds=(moment - await self.now()).total_seconds())

    async def to_the_end(self) -> None:
        """Virtual time passes until nothing is left, at most thirty years."""
        for _ in range(30):
            if not await self.advance(days=366):
                return
        status = await self.status()
        raise AssertionError(f"{status.phase} does not end: {status.explanation}")

    async def to_the_last_moment_of(self, day: date) -> None:
        await self.to_the_end_of(day, but=MOMENT)

    # ── what can be seen ──────────────────────────────────────────────────────────────────────────────────

    async def status(self) -> Status:
        await self.idle()
        return await self.world.client.get_workflow_handle(self.id).query(DisclosureRequest.status)

    async def letters(self) -> list[str]:
        """The kinds of all letters in the records, in the order of their numbers."""
        return [kind for kind, _ in await self.every_letter()]

    async def standing_letters(self) -> list[str]:
        """The kinds of letters that were not taken from the print queue."""
        return [kind for kind, state in await self.every_letter() if state is not LetterState.CANCELLED]

    async def every_letter(self) -> list[tuple[str, LetterState]]:
        """The kind and state of all letters in the records, in the order of their numbers."""
        async with self.world.database.begin() as conn:
            rows = sorted(await letters.list_of_request(conn, self.id), key=lambda row: row.id)
        return [(row.kind.value, row.state) for row in rows]

    async def shown(self) -> Mapping[str, Any]:
        """The search attributes that operators filter by."""
        description = await self.world.client.get_workflow_handle(self.id).describe()
        return {pair.key.name: pair.value for pair in description.typed_search_attributes}

    async def details(self) -> str:
        """The current details that the Temporal UI shows."""
        handle = self.world.client.get_workflow_handle(self.id)
        metadata = await handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
        return metadata.current_details

    async def decoded(self) -> bytes:
        """Every history, every payload in it opened: all that anybody with the keys could read."""
        codec = EncryptingCodec(self.world.keyring, self.world.client.namespace)
        told = b""
        for event in [event for run in await self.histories() for event in run.events]:
            told += event.SerializeToString()
            for payload in _payloads(event):
                if payload.metadata.get("encoding") == ENCODING:
                    told += codec.open(payload).SerializeToString()
        return told

    async def histories(self) -> list[WorkflowHistory]:
        """The history of every run, the oldest first."""
        runs: list[WorkflowHistory] = []
        run_id: str | None = self.first_run
        while run_id:
            history = await self.world.client.get_workflow_handle(self.id, run_id=run_id).fetch_history()
            runs.append(history)
            last = history.events[-1]
            run_id = last.workflow_execution_continued_as_new_event_attributes.new_execution_run_id
        return runs


async def updating(update: Awaitable[object]) -> None:
    """Wait for an update. Raises `Refused`."""
    try:
        await update
    except WorkflowUpdateFailedError as error:
        raise _refused(error) from None


def _refused(error: WorkflowUpdateFailedError) -> Exception:
    """What the caller is told: the reason code, or the failure as it is."""
    if isinstance(error.cause, ApplicationError) and error.cause.type in set(Code):
        return Refused(Code(error.cause.type))
    return error


@contextmanager
def refused(code: Code) -> Iterator[None]:
    """What is done inside must be refused with this code."""
    with pytest.raises(Refused) as refusal:
        yield
    assert refusal.value.code is code


class Refused(Exception):
    """An update was refused with this reason code."""

    def __init__(self, code: Code) -> None:
        super().__init__(code.value)
        self.code = code


def _payloads(message: Message) -> Iterator[Payload]:
    """Every payload anywhere in a message."""
    if isinstance(message, Payload):
        yield message
        return
    for descriptor, value in message.ListFields():
        if descriptor.message_type is None:
            continue
        if descriptor.message_type.GetOptions().map_entry:
            held = [each for each in value.values() if isinstance(each, Message)]
        else:
            held = [value] if isinstance(value, Message) else list(value)
        for each in held:
            yield from _payloads(each)


@asynccontextmanager
async def running(address: str, database_url: str, keyring: Keyring) -> AsyncIterator[World]:
    """A world on these servers, with a worker."""
    client = await Client.connect(address, plugins=[kaiji_plugin(keyring, "default")])
    await register_search_attributes(client)
    database = Database(database_url, keyring)
    async with database.begin() as conn:
        await staff.seed_development(conn)
        file = parse_holdings(HOLDINGS.read_bytes())
        await holdings.import_file(conn, database.vault, keyring, file, "manager-1", on=date(2018, 11, 1))
    async with create_worker(client, database, keyring):
        yield World(client, database, keyring)
    await database.dispose()
