"""Past the command line: what somebody who reaches Temporal can do, with our keys and without."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowUpdateFailedError
from temporalio.common import RawValue, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError

from policy.vocabulary import Decision, MailEvent, Phase
from records import requests as request_rows
from starter.requests import new_case
from tests.e2e.driving import Dev, envelope, payment, today, tracking_number
from workflows import messages as m
from workflows.disclosure_request import DisclosureRequest
from workflows.task_queue import TASK_QUEUE

NOTE = str(uuid4())


@pytest.fixture(scope="module")
def verifying(dev: Dev) -> str:
    """A request that waits for an officer."""
    request_id = dev.receive(envelope())
    dev.inside.wait_for(request_id, Phase.VERIFYING)
    return request_id


def refused(dev: Dev, request_id: str, update: Any, act: m.Act) -> ApplicationError:
    """Why Temporal refuses an update that is sent straight to it."""
    handle = dev.inside.client.get_workflow_handle(request_id)
    with pytest.raises(WorkflowUpdateFailedError) as failure:
        dev.inside.run(handle.execute_update(update, act))
    cause = failure.value.cause
    assert isinstance(cause, ApplicationError)
    return cause


@pytest.mark.parametrize(
    ("update", "make", "wrong"),
    [
        (DisclosureRequest.verify_identity, m.VerifyIdentity, "mailroom-1"),
        (DisclosureRequest.verify_identity, m.VerifyIdentity, "approver-1"),
        (DisclosureRequest.withdraw, m.Withdraw, "accounts-1"),
        (
            DisclosureRequest.extend,
            lambda by: extension(by, NOTE),
            "mailroom-1",
        ),
        (DisclosureRequest.place_hold, lambda by: m.PlaceHold(by=by, note_id=NOTE), "officer-1"),
    ],
)
def test_who_may_not_is_refused_by_the_workflow_itself(
    dev: Dev, verifying: str, update: Any, make: Any, wrong: str
) -> None:
    before = dev.inside.status(verifying)
    assert refused(dev, verifying, update, make(by=wrong)).type == "wrong_role"
    assert refused(dev, verifying, update, make(by="ghost-9")).type == "unknown_staff"
    assert dev.inside.status(verifying) == before


def extension(by: str, note: str) -> m.Extend:
    return m.Extend.model_construct(by=by, until=today() + timedelta(days=28), note_id=note)


def test_who_proposed_cannot_approve_whatever_way_they_come(dev: Dev) -> None:
    request_id = dev.verified(envelope(kind="amendment", amendment="removal"), Phase.PREPARING).request_id
    proposal = m.ProposeResponse(by="officer-2", decision=Decision.GRANT)
    for wrong in ("approver-1", "mailroom-1"):
        act = m.ProposeResponse(by=wrong, decision=Decision.GRANT)
        assert refused(dev, request_id, DisclosureRequest.propose_response, act).type == "wrong_role"
    dev.inside.act(request_id, DisclosureRequest.propose_response, proposal)
    dev.inside.wait_for(request_id, Phase.APPROVING)
    own = m.ApproveResponse(by="officer-2")
    assert refused(dev, request_id, DisclosureRequest.approve_response, own).type == "same_person"
    officer = m.ApproveResponse(by="officer-1")
    assert refused(dev, request_id, DisclosureRequest.approve_response, officer).type == "wrong_role"
    back = m.ReturnProposal(by="officer-1", note_id=NOTE)
    assert refused(dev, request_id, DisclosureRequest.return_proposal, back).type == "wrong_role"
    assert dev.inside.status(request_id).phase is Phase.APPROVING

    dev.inside.act(request_id, DisclosureRequest.approve_response, m.ApproveResponse(by="approver-1"))
    letter_id = dev.inside.wait_for(request_id, Phase.POSTING).letters[-1].letter_id
    act = m.RecordMail(
        by="auditor-1", letter_id=letter_id, event=MailEvent.POSTED, tracking_number=tracking_number()
    )
    assert refused(dev, request_id, DisclosureRequest.record_mail, act).type == "wrong_role"


def test_an_act_on_a_note_that_was_never_written_is_refused_and_stops_nothing(dev: Dev) -> None:
    """A letter that cannot find its reason would be tried for ever."""
    request_id = dev.verified(envelope(kind="amendment", amendment="addition"), Phase.PREPARING).request_id
    for note in (NOTE, "", "Hanako is my neighbour"):
        assert refused(dev, request_id, DisclosureRequest.extend, extension("officer-1", note)).type
        hold = m.PlaceHold.model_construct(by="manager-1", note_id=note)
        assert refused(dev, request_id, DisclosureRequest.place_hold, hold).type
    status = dev.inside.status(request_id)
    assert (status.letters, status.holds, status.phase) == ((), (), Phase.PREPARING)
    events = dev.inside.rows("SELECT detail::text FROM audit WHERE case_id = :id", id=request_id)
    assert not [detail for (detail,) in events if "Hanako" in detail]
    proposal = m.ProposeResponse(by="officer-1", decision=Decision.GRANT)
    dev.inside.act(request_id, DisclosureRequest.propose_response, proposal)
    dev.inside.wait_for(request_id, Phase.APPROVING)


# ── without our keys ──────────────────────────────────────────────────────────────────────────────────────


def test_without_our_keys_nobody_moves_reads_or_stops_a_request(dev: Dev) -> None:
    status = dev.verified(envelope())
    request_id = status.request_id
    run = dev.inside.run
    bare: Client = run(Client.connect(dev.ready["temporal"]))
    handle = bare.get_workflow_handle(request_id)
    before = dev.inside.status(request_id)

    for name, argument in [
        ("verify_identity", {"by": "officer-1"}),
        ("propose_response", {"by": "officer-1", "decision": "grant"}),
        ("approve_response", {"by": "approver-1"}),
        ("withdraw", {"by": "officer-1"}),
        ("place_hold", {"by": "manager-1", "note_id": NOTE}),
    ]:
        with pytest.raises(WorkflowUpdateFailedError):
            run(handle.execute_update(name, argument))
    run(handle.signal("payment_received", {"deposit_id": "forged"}))
    run(handle.signal("documents_received", {"envelope_id": str(uuid4())}))
    run(handle.signal("no_such_signal", "nothing"))
    read = run(handle.query("status", result_type=RawValue))
    assert read.payload.metadata["encoding"] == b"binary/encrypted"

    after = dev.inside.status(request_id)
    assert (after.phase, after.payments, after.envelopes) == (before.phase, before.payments, before.envelopes)
    assert not [step for step in after.timeline if step.ref == "forged"]
    # and it goes on
    assert dev.deposit(payment(status.payment_reference or "")).status_code == 202
    dev.inside.wait_for(request_id, Phase.PREPARING)


def test_a_workflow_planted_in_plain_text_does_nothing(dev: Dev) -> None:
    run = dev.inside.run
    bare: Client = run(Client.connect(dev.ready["temporal"]))
    planted = f"planted-{uuid4()}"
    request_id = dev.receive(envelope())
    letters = dev.inside.rows("SELECT count(*) FROM letters")
    handle = run(
        bare.start_workflow(
            "DisclosureRequest", {"request_id": request_id}, id=planted, task_queue=TASK_QUEUE
        )
    )
    deposit = run(
        bare.start_workflow(
            "Deposit",
            {"source": "webhook", "deposit_id": "planted"},
            id=f"deposit/webhook/{planted}",
            task_queue=TASK_QUEUE,
        )
    )
    dev.inside.verify(request_id)  # the worker has been there since
    dev.inside.wait_for(request_id, Phase.AWAITING_PAYMENT)
    for planted_handle in (handle, deposit):
        history = dev.inside.history(planted_handle.id)
        assert not [e for e in history.events if e.HasField("activity_task_scheduled_event_attributes")]
        assert run(planted_handle.describe()).status is WorkflowExecutionStatus.FAILED
    assert dev.inside.rows("SELECT count(*) FROM letters")[0][0] == letters[0][0] + 1  # the invoice just now


def test_a_request_that_is_over_cannot_be_started_again_by_an_envelope(dev: Dev) -> None:
    request_id = dev.receive(envelope())
    dev.inside.act(request_id, DisclosureRequest.withdraw, m.Withdraw(by="officer-1"))
    dev.inside.wait_for(request_id, Phase.RETAINED)
    dev.inside.advance(request_id, timedelta(days=3000))
    assert dev.inside.run(dev.inside.client.get_workflow_handle(request_id).describe()).status is not None
    dev.kaiji("receive", dev.write(envelope(request_id=request_id)), by="mailroom-1").refused(3, "ended")

    async def again() -> None:
        async with dev.inside.database.begin() as conn:
            case = new_case(await request_rows.find(conn, request_id))
        await dev.inside.client.start_workflow(
            DisclosureRequest.run,
            case,
            id=request_id,
            task_queue=TASK_QUEUE,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
        )

    with pytest.raises(Exception, match="already started"):
        dev.inside.run(again())
