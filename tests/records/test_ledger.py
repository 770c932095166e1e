import asyncio
import json
from datetime import date
from itertools import permutations

import pytest
from sqlalchemy import func, select

from policy.checkdigits import payment_reference
from policy.deposit import parse_notice
from policy.refusals import Code, Refusal
from policy.vocabulary import Outcome
from records import audit, invoices, ledger, requests
from records.closing import close_invoice
from records.database import Database
from records.ledger import DepositState, Match, NoticeResult, Suspense
from records.tables import deposits, vault, webhooks
from runtime.keys import Keyring
from tests.records.material import open_request
from tests.records.money import ON, REFERENCE, invoice, invoice_state

NEW = NoticeResult()
REPEAT, CONFLICT = NoticeResult(repeated=True), NoticeResult(conflict=True)
SETTLED, PRELIMINARY, CANCELLED = "deposit.settled", "deposit.preliminary", "deposit.cancelled"


def notice_body(type: str = SETTLED, timestamp: str = "2018-11-12T09:00:00+09:00", **data: object) -> bytes:
    content: dict[str, object] = {
        "deposit_id": "D1",
        "account": "0000-001-1234567",
        "amount": 5400,
        "currency": "JPY",
        "value_date": "2018-11-12",
        "payer_name": f"{REFERENCE} ミホン ハナコ",
        "reference": "",
        "edi": "",
    }
    return json.dumps({"type": type, "timestamp": timestamp, "data": content | data}).encode()


async def notify(
    db: Database,
    keyring: Keyring,
    type: str = SETTLED,
    *,
    webhook_id: str | None = None,
    source: str = "webhook",
    timestamp: str = "2018-11-12T09:00:00+09:00",
    **data: object,
) -> NoticeResult:
    body = notice_body(type, timestamp, **data)
    async with db.begin() as conn:
        return await ledger.record_notice(
            conn,
            db.vault,
            keyring,
            source=source,
            webhook_id=webhook_id or f"msg_{type}_{data.get('deposit_id')}",
            body=body,
            notice=parse_notice(body),
        )


async def match(db: Database, deposit_id: str = "D1", source: str = "webhook") -> Match:
    async with db.begin() as conn:
        return await ledger.match(conn, source, deposit_id)


async def test_an_exact_payment_pays_the_invoice_once(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    await invoice(db, request_id)
    assert await notify(db, keyring) == NEW
    for _ in range(2):
        assert await match(db) == Match(DepositState.MATCHED, request_id)
    async with db.begin() as conn:
        assert await ledger.payments(conn, request_id) == ledger.Payments(5400, 5400, True, ("D1",))
        acts = [event.act for event in await audit.events(conn, "deposit/webhook/D1")]
        assert acts == ["deposit_settled", "deposit_matched"]
        (credited,) = [e for e in await audit.events(conn, request_id) if e.act == "deposit_matched"]
        assert (credited.actor, credited.detail["amount"]) == (audit.AUTOMATIC, 5400)
        found = await invoices.of_request(conn, request_id)
        assert found is not None
        assert (found.state, found.lines[0].service, found.tax) == ("paid", "gmo-appscloud", 400)


async def test_what_the_payer_typed_is_sealed_as_it_was_sent(db: Database, keyring: Keyring) -> None:
    await notify(db, keyring)
    async with db.begin() as conn:
        content_id = await conn.scalar(select(deposits.c.content_id))
        assert content_id is not None
        assert await db.vault.unseal(conn, content_id) == notice_body()
        case = (await conn.execute(select(vault.c.case_id, vault.c.record_class))).one()
        assert tuple(case) == ("deposit/webhook/D1", "payment_records")


async def test_ten_identical_notices_at_once_record_one(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    await invoice(db, request_id)
    results = await asyncio.gather(*(notify(db, keyring, webhook_id="msg_1") for _ in range(10)))
    assert sorted(result.repeated for result in results) == [False] + [True] * 9
    assert not any(result.conflict for result in results)
    matches = await asyncio.gather(*(match(db) for _ in range(10)))
    assert set(matches) == {Match(DepositState.MATCHED, request_id)}
    async with db.begin() as conn:
        assert await conn.scalar(select(func.count()).select_from(deposits)) == 1
        assert (await ledger.payments(conn, request_id)).received == 5400
        acts = [event.act for event in await audit.events(conn, request_id)]
        assert acts == ["request_opened", "deposit_matched"]


async def test_a_repeat_has_the_same_content_and_a_conflict_another(db: Database, keyring: Keyring) -> None:
    assert await notify(db, keyring, webhook_id="msg_1") == NEW
    assert await notify(db, keyring, webhook_id="msg_1") == REPEAT
    later = "2018-11-13T09:00:00+09:00"
    assert await notify(db, keyring, webhook_id="msg_2", timestamp=later) == REPEAT
    assert await notify(db, keyring, webhook_id="msg_1", amount=5401) == CONFLICT
    assert await notify(db, keyring, webhook_id="msg_3", amount=5401) == CONFLICT
    assert await notify(db, keyring, webhook_id="msg_1", deposit_id="D2") == CONFLICT
    assert await notify(db, keyring, PRELIMINARY, webhook_id="msg_1") == CONFLICT
    assert await notify(db, keyring, webhook_id="msg_1", source="bank") == NEW
    async with db.begin() as conn:
        rows = (await conn.execute(select(deposits.c.source, deposits.c.amount))).all()
        assert sorted(map(tuple, rows)) == [("bank", 5400), ("webhook", 5400)]
        assert await conn.scalar(select(func.count()).select_from(webhooks)) == 2


@pytest.mark.parametrize("order", list(permutations([PRELIMINARY, SETTLED])))
async def test_a_settled_notice_wins_over_a_preliminary_one_in_any_order(
    db: Database, keyring: Keyring, order: tuple[str, ...]
) -> None:
    amounts = {PRELIMINARY: 5000, SETTLED: 5400}
    for type in order:
        assert await notify(db, keyring, type, amount=amounts[type]) == NEW
    async with db.begin() as conn:
        deposit = await ledger.find(conn, "webhook", "D1")
        assert (deposit.state, deposit.amount) == (DepositState.SETTLED, 5400)
        content_id = await conn.scalar(select(deposits.c.content_id))
        assert content_id is not None
        assert b"5400" in await db.vault.unseal(conn, content_id)


@pytest.mark.parametrize("order", list(permutations([PRELIMINARY, SETTLED, CANCELLED])))
async def test_a_cancellation_wins_in_any_order(
    db: Database, keyring: Keyring, request_id: str, order: tuple[str, ...]
) -> None:
    await invoice(db, request_id)
    for type in order:
        assert await notify(db, keyring, type) == NEW
    assert (await match(db)).state is DepositState.CANCELLED
    assert await invoice_state(db, request_id) == "open"


async def test_a_preliminary_deposit_pays_nothing(db: Database, keyring: Keyring, request_id: str) -> None:
    await invoice(db, request_id)
    await notify(db, keyring, PRELIMINARY)
    assert await match(db) == Match(DepositState.PRELIMINARY)
    assert await invoice_state(db, request_id) == "open"


async def test_a_cancellation_after_the_match_opens_the_invoice_again(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    await invoice(db, request_id)
    await notify(db, keyring)
    await match(db)
    await notify(db, keyring, CANCELLED)
    assert await match(db) == Match(DepositState.CANCELLED, request_id)
    assert await invoice_state(db, request_id) == "open"
    async with db.begin() as conn:
        assert await ledger.payments(conn, request_id) == ledger.Payments(5400, 0, False, ())
    await notify(db, keyring, deposit_id="D2")
    assert (await match(db, "D2")).state is DepositState.MATCHED
    assert await invoice_state(db, request_id) == "paid"


async def test_short_deposits_add_up_and_more_than_enough_waits(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    await invoice(db, request_id)
    for number, amount in enumerate((5000, 400, 100), start=1):
        await notify(db, keyring, deposit_id=f"D{number}", amount=amount)
    assert (await match(db, "D1")).state is DepositState.MATCHED
    assert await invoice_state(db, request_id) == "open"
    assert (await match(db, "D2")).state is DepositState.MATCHED
    assert await match(db, "D3") == Match(DepositState.SUSPENSE, suspense_reason=Suspense.DOUBLE)
    async with db.begin() as conn:
        assert await ledger.payments(conn, request_id) == ledger.Payments(5400, 5400, True, ("D1", "D2"))
        assert [d.deposit_id for d in await ledger.list_deposits(conn, unmatched=True)] == ["D3"]
        assert len(await ledger.list_deposits(conn)) == 3


async def test_two_deposits_at_once_cannot_both_pay_it(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    await invoice(db, request_id)
    for number in range(8):
        await notify(db, keyring, deposit_id=f"D{number}")
    matches = await asyncio.gather(*(match(db, f"D{number}") for number in range(8)))
    assert sorted(m.state for m in matches) == ["matched"] + ["suspense"] * 7


@pytest.mark.parametrize(
    ("state", "data", "reason"),
    [
        ("lapsed", {}, Suspense.LATE),
        ("cancelled", {}, Suspense.LATE),
        ("open", {"payer_name": "ミホン ハナコ"}, Suspense.UNIDENTIFIED),
        ("open", {"payer_name": payment_reference(7654321)}, Suspense.UNIDENTIFIED),
        ("open", {"currency": "USD"}, Suspense.CURRENCY),
    ],
)
async def test_what_cannot_be_credited_waits_with_a_reason(
    db: Database, keyring: Keyring, request_id: str, state: str, data: dict[str, object], reason: Suspense
) -> None:
    await invoice(db, request_id)
    if state in ("lapsed", "cancelled"):
        async with db.begin() as conn:
            await close_invoice(conn, request_id, "lapsed" if state == "lapsed" else "cancelled", on=ON)
    await notify(db, keyring, **data)
    for _ in range(2):
        assert await match(db) == Match(DepositState.SUSPENSE, suspense_reason=reason)
    assert await invoice_state(db, request_id) == state


async def test_the_same_payment_from_two_sources_is_credited_once(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    await invoice(db, request_id)
    for source in ("webhook", "bank"):
        await notify(db, keyring, source=source, amount=2700)
    assert (await match(db)).state is DepositState.MATCHED
    assert await match(db, source="bank") == Match(DepositState.SUSPENSE, suspense_reason=Suspense.TWIN)
    assert await invoice_state(db, request_id) == "open"


async def test_a_paid_invoice_does_not_lapse(db: Database, keyring: Keyring, request_id: str) -> None:
    await invoice(db, request_id)
    await notify(db, keyring)
    await match(db)
    async with db.begin() as conn:
        await close_invoice(conn, request_id, "lapsed", on=ON)
    assert await invoice_state(db, request_id) == "paid"


async def test_a_clerk_assigns_what_is_in_suspense(db: Database, keyring: Keyring, request_id: str) -> None:
    await invoice(db, request_id)
    await notify(db, keyring, payer_name="ミホン ハナコ")
    await match(db)
    for _ in range(2):
        async with db.begin() as conn:
            assigned = await ledger.assign(conn, "webhook", "D1", request_id, "accounts-1")
            assert assigned == Match(DepositState.MATCHED, request_id)
    assert await invoice_state(db, request_id) == "paid"
    async with db.begin() as conn:
        (event,) = [e for e in await audit.events(conn, request_id) if e.act == "deposit_assigned"]
        assert event.actor == "accounts-1"


async def test_what_cannot_be_assigned_is_refused(db: Database, keyring: Keyring, request_id: str) -> None:
    async with db.begin() as conn:
        without_invoice = await open_request(conn)
        closed = await open_request(conn)
        await requests.close(conn, closed, Outcome.LAPSED_PAYMENT, date(2018, 12, 6))
    await invoice(db, request_id)
    await invoice(db, closed, reference=payment_reference(2))
    async with db.begin() as conn:
        await close_invoice(conn, closed, "lapsed", on=ON)
    await notify(db, keyring, deposit_id="yen", payer_name="")
    await notify(db, keyring, deposit_id="dollars", currency="USD")
    await notify(db, keyring, deposit_id="early", type=PRELIMINARY)
    await notify(db, keyring, deposit_id="matched")
    await match(db, "matched")
    cases = [
        ("yen", without_invoice, Code.DEPOSIT_NOT_ASSIGNABLE),
        ("yen", closed, Code.DEPOSIT_NOT_ASSIGNABLE),
        ("yen", request_id, Code.DEPOSIT_NOT_ASSIGNABLE),  # paid already
        ("yen", "DR-2018-000099-1", Code.UNKNOWN_REQUEST),
        ("dollars", request_id, Code.DEPOSIT_NOT_ASSIGNABLE),
        ("early", request_id, Code.DEPOSIT_NOT_ASSIGNABLE),
        ("matched", closed, Code.DEPOSIT_NOT_ASSIGNABLE),
        ("nothing", request_id, Code.UNKNOWN_DEPOSIT),
    ]
    for deposit_id, request, code in cases:
        async with db.begin() as conn:
            with pytest.raises(Refusal) as caught:
                await ledger.assign(conn, "webhook", deposit_id, request, "accounts-1")
            assert caught.value.code is code


async def test_without_an_invoice_nothing_is_owed_and_nothing_paid(db: Database, request_id: str) -> None:
    async with db.begin() as conn:
        assert await ledger.payments(conn, request_id) == ledger.Payments(0, 0, False, ())
        with pytest.raises(Refusal):
            await ledger.match(conn, "webhook", "D1")


async def test_an_amount_larger_than_32_bits_is_kept(db: Database, keyring: Keyring) -> None:
    await notify(db, keyring, amount=9_999_999_999)
    async with db.begin() as conn:
        assert (await ledger.find(conn, "webhook", "D1")).amount == 9_999_999_999
