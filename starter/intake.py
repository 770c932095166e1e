"""The ways in for requests: a form is sent out, an envelope comes in (§5(2)(1) to (5)).

Claim check: what arrived is sealed in the records first, in one transaction, keyed so that a repeat is
a no-op; then the request's workflow is started or told, with ids alone. If that second step fails, repeating
the whole completes it.
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio.client import Client

from activities.acting import acting
from activities.casework import CaseActivities
from policy.assessment import Assessment
from policy.calendar import today_in_tokyo
from policy.envelope import Envelope, check_services
from policy.refusals import Code, Refusal
from policy.registry import pack_in_force
from policy.roles import Act
from policy.vocabulary import Capacity, Kind, Language, Phase, SubjectMatter
from records import envelopes, requests, staff
from records.database import Database
from records.envelopes import Recorded
from records.requests import RequestRow
from runtime.keys import Keyring
from runtime.temporal import virtual_now
from starter.answers import NoWorkflow, understood
from starter.delivery import Delivery, Received
from starter.errands import ClientSource
from starter.requests import shown_phase, start
from starter.today import machine_day
from workflows.messages import DocumentsReceived

_TAKEN_IN = 5.0  # seconds in which a worker usually has judged an envelope
_POLL = 0.05


async def open_request(
    client: Client,
    database: Database,
    *,
    by: str,
    kind: Kind,
    services: Iterable[str],
    capacity: Capacity = Capacity.SELF,
    language: Language = Language.JA,
    subject_matter: SubjectMatter = SubjectMatter.CUSTOMER,
) -> RequestRow:
    """Open a request for somebody who asks for the form (§5(2)(1)), and start its workflow.

    Raises `Refusal` (unknown_staff, wrong_role, unknown_service, malformed), `Unreachable`.
    """
    today = machine_day()
    pack = pack_in_force(today)
    named = tuple(services)
    check_services(named, [service.code for service in pack.services])
    async with acting(database, staff.CASE, by, Act.OPEN_REQUEST, f"open/{uuid4()}") as conn:
        request_id = await requests.open_request(
            conn,
            opened_on=today,
            opened_by=by,
            kind=kind,
            detail_kind=None,
            capacity=capacity,
            subject_matter=subject_matter,
            language=language,
            services=named,
            pack_version=pack.version,
        )
        request = await requests.find(conn, request_id)
    await start(client, request)
    return request


async def receive(
    client: ClientSource, database: Database, keyring: Keyring, delivery: Delivery, *, by: str
) -> Received:
    """Record an envelope and tell its request; without a request id, it opens one of its own.

    The assessment is of all documents attached to the request; of this envelope alone where it is not
    attached. Raises `Refusal` (unknown_staff, wrong_role, unknown_request, ended, envelope_conflict,
    malformed) and `Unreachable`: what is recorded by then stays, and a repeat does the rest.
    """
    envelope = delivery.envelope
    await _check_day(client, envelope)
    case = await _case(database, envelope.request_id)
    async with acting(database, case, by, Act.RECEIVE_ENVELOPE, f"receive/{uuid4()}") as conn:
        recorded = await envelopes.lookup(conn, keyring, envelope, delivery.scans)
        opened = recorded is None and envelope.request_id is None
        if recorded is None:
            recorded = await _record(conn, database, keyring, delivery, by)
        request = await requests.find(conn, recorded.request_id)
    if recorded.attached and request.closed_on is None:
        judged = await CaseActivities(database, keyring).assess_documents(request.id)
        assessment = Assessment(complete=judged.complete, findings=judged.findings)
    else:
        assessment = delivery.assess_alone()
    return Received(
        request_id=request.id,
        opened=opened,
        repeated=recorded.repeated,
        phase=await _tell(await client(), request, recorded),
        assessment=assessment,
        envelope=recorded.number,
        attached=recorded.attached,
    )


async def attach(client: Client, database: Database, request_id: str, number: int, *, by: str) -> None:
    """Attach an envelope that was set aside, as an officer decides, and tell its request.

    Raises `Refusal` (unknown_staff, wrong_role, unknown_request, ended, not_found), `Unreachable`.
    """
    case = await _case(database, request_id)
    async with acting(database, case, by, Act.ATTACH_ENVELOPE, f"attach/{uuid4()}") as conn:
        request = await requests.find(conn, request_id)
        if request.closed_on is not None:
            raise requests.closed(request.outcome)
        await envelopes.attach(conn, database.vault, request_id=request_id, number=number, by=by)
        listed = await envelopes.list_envelopes(conn, request_id)
        request = await requests.find(conn, request_id)
    ids = [str(envelope.id) for envelope in listed if envelope.number == number]
    await start(client, request, received=DocumentsReceived(envelope_id=ids[0]))


async def _case(database: Database, request_id: str | None) -> str:
    """Under which case an attempt that is refused is audited: the request's, if there is such a request."""
    async with database.begin() as conn:
        known = request_id is not None and await requests.exists(conn, request_id)
    return request_id if request_id is not None and known else staff.CASE


async def _check_day(client: ClientSource, envelope: Envelope) -> None:
    """Nothing is received tomorrow; a request on a development server may be ahead of the machine's day."""
    today = machine_day()
    if envelope.received_on > today and envelope.request_id is not None:
        with suppress(NoWorkflow), understood():
            today = today_in_tokyo(await virtual_now(await client(), envelope.request_id))
    if envelope.received_on > today:
        raise Refusal(Code.MALFORMED, f"received_on: the envelope cannot have come after today, {today}")


async def _record(
    conn: AsyncConnection, database: Database, keyring: Keyring, delivery: Delivery, by: str
) -> Recorded:
    envelope = delivery.envelope
    request_id = envelope.request_id
    if request_id is None:
        request_id = await requests.open_request(
            conn,
            opened_on=machine_day(),
            opened_by=by,
            kind=envelope.kind,
            detail_kind=envelope.amendment or envelope.cessation,
            capacity=envelope.capacity,
            subject_matter=envelope.subject_matter,
            language=envelope.language,
            services=envelope.services,
            pack_version=delivery.pack.version,
        )
    return await envelopes.record(
        conn,
        database.vault,
        keyring,
        envelope,
        request_id=request_id,
        received_by=by,
        scans=delivery.scans,
    )


async def _tell(client: Client, request: RequestRow, recorded: Recorded) -> Phase | None:
    """Tell the request's workflow of the envelope; a repeat tells it again, and is heard once."""
    if recorded.attached and request.closed_on is None:
        await start(client, request, received=DocumentsReceived(envelope_id=str(recorded.envelope_id)))
    phase = await shown_phase(client, request.id)
    if recorded.attached and not recorded.repeated:
        loop = asyncio.get_running_loop()
        patience = loop.time() + _TAKEN_IN
        while phase is Phase.AWAITING_DOCUMENTS and loop.time() < patience:
            await asyncio.sleep(_POLL)
            phase = await shown_phase(client, request.id)
    return phase
