"""The gateway dies between its two steps, or while many notices are under way: money counts once."""

import json
from datetime import UTC, datetime
from threading import Thread

import httpx
import pytest
from temporalio.service import RPCError

from policy.deposit import parse_notice
from policy.vocabulary import Phase
from records import ledger
from tests.e2e.driving import Dev, envelope, payment, until


def test_a_notice_that_was_recorded_and_not_carried_is_carried_by_its_repeat(dev: Dev) -> None:
    status = dev.verified(envelope())
    data = payment(status.payment_reference or "")
    body = json.dumps(
        {"type": "deposit.settled", "timestamp": datetime.now(UTC).isoformat(), "data": data}
    ).encode()

    async def recorded() -> None:
        """What the gateway does first; then it is gone."""
        inside = dev.inside
        async with inside.database.begin() as conn:
            await ledger.record_notice(
                conn,
                inside.database.vault,
                inside.keyring,
                source="webhook",
                webhook_id="msg-1",
                body=body,
                notice=parse_notice(body),
            )

    dev.inside.run(recorded())
    with pytest.raises(RPCError, match="not found"):
        dev.inside.history(f"deposit/webhook/{data['deposit_id']}")
    assert dev.inside.status(status.request_id).payments.received == 0

    assert dev.deposit(data, webhook_id="msg-1").status_code == 202
    paid = dev.inside.wait_for(status.request_id, Phase.PREPARING)
    assert (paid.payments.received, paid.payments.paid) == (5400, True)


def test_a_gateway_killed_among_many_notices_takes_each_once(dev: Dev) -> None:
    requests = [dev.verified(envelope()) for _ in range(3)]
    notices = [payment(status.payment_reference or "") for status in requests]

    def send(data: dict[str, object]) -> None:
        """As the payment system does: again until it is accepted."""

        def accepted() -> bool:
            try:
                return dev.deposit(data, webhook_id=f"msg-{data['deposit_id']}").status_code == 202
            except httpx.HTTPError:
                return False

        until(accepted, "the gateway", 120)

    senders = [Thread(target=send, args=(data,)) for data in notices * 4]
    for sender in senders:
        sender.start()
    dev.part("gateway").kill()
    for sender in senders:
        sender.join()
    for status, data in zip(requests, notices, strict=True):
        paid = dev.inside.wait_for(status.request_id, Phase.PREPARING)
        assert (paid.payments.received, paid.payments.deposits) == (5400, (data["deposit_id"],))
        case = f"deposit/webhook/{data['deposit_id']}"
        acts = dev.inside.rows("SELECT act FROM audit WHERE case_id = :case ORDER BY seq", case=case)
        assert [act for (act,) in acts] == ["deposit_settled", "deposit_matched"]
