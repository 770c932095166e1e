"""The ledger of deposits: what the payment system tells of them, each thing once. Nothing paid is lost.

Notices of a deposit may come twice, late and in any order. Only a settled deposit pays. This is the front of
the ledger; the rest has files of its own: bank files in ``imports``, what a deposit pays in ``matching`` and
``allocations``, what is taken back in ``cancelling``. Beside it: ``closing``, ``refunds``, ``books``.
"""

from dataclasses import dataclass

from sqlalchemy import exists, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.deposit import DepositNotice, NoticeType
from policy.vocabulary import RecordClass
from records import audit, errands, reversals
from records.allocations import Part, Payments, assign, payments, split, unassign
from records.bank_lines import BankDeposit, Recorded
from records.cancelling import take_back
from records.deposits import (
    DepositRow,
    DepositState,
    Match,
    Suspense,
    case_id,
    find,
    is_deposit,
    list_deposits,
)
from records.encoding import canonical_json, joined
from records.errands import NewErrand
from records.imports import record_many
from records.locks import lock
from records.matching import find_invoice_number, match
from records.tables import deposits, webhooks
from records.twins import dismiss_twin, likeness, not_a_twin, possible_twins
from records.vault import Vault
from records.virtual_accounts import stood_for
from runtime.keys import Keyring

__all__ = [
    "BankDeposit",
    "DepositRow",
    "DepositState",
    "Match",
    "NoticeResult",
    "Part",
    "Payments",
    "Recorded",
    "Suspense",
    "assign",
    "case_id",
    "dismiss_twin",
    "find",
    "list_deposits",
    "match",
    "not_a_twin",
    "payments",
    "possible_twins",
    "record_many",
    "record_notice",
    "split",
    "unassign",
]


@dataclass(frozen=True)
class NoticeResult:
    """What became of a notice: it was there already, or other content is in its place; else it is new."""

    repeated: bool = False
    conflict: bool = False


async def record_notice(
    conn: AsyncConnection,
    vault: Vault,
    keyring: Keyring,
    *,
    source: str,
    webhook_id: str,
    body: bytes,
    notice: DepositNotice,
) -> NoticeResult:
    """Record a notice, once, with the body as it was sent; audited.

    A repeat has the same webhook id, or the same deposit and type, and the same type and data; when it was
    sent does not matter. So is whatever tells of a deposit that was destroyed at its end. A preliminary
    notice after a settled one changes nothing; a cancellation stays, whatever comes after. A deposit counts
    from its value date, or from the day it was told of where that is earlier; a cancellation from the day it
    was sent.
    """
    data = notice.data
    case = case_id(source, data.deposit_id)
    await lock(conn, case)
    if await _is_destroyed(conn, source, data.deposit_id):
        return NoticeResult(repeated=True)
    content = joined(notice.type, canonical_json(data.model_dump(mode="json")))
    fingerprint = keyring.fingerprint("deposit notice", content)
    id = keyring.fingerprint("webhook id", joined(source, webhook_id))
    recorded = await conn.execute(
        insert(webhooks)
        .values(id=id, fingerprint=fingerprint, source=source, deposit_id=data.deposit_id, type=notice.type)
        .on_conflict_do_nothing()
        .returning(webhooks.c.id)
    )
    if recorded.one_or_none() is None:
        same_id = webhooks.c.id == id
        same_notice = (
            (webhooks.c.source == source)
            & (webhooks.c.deposit_id == data.deposit_id)
            & (webhooks.c.type == notice.type)
        )
        known = set(await conn.scalars(select(webhooks.c.fingerprint).where(same_id | same_notice)))
        return NoticeResult(repeated=known == {fingerprint}, conflict=known != {fingerprint})
    await _apply(conn, vault, keyring, source, notice, body)
    await audit.append(
        conn,
        case,
        actor=audit.AUTOMATIC,
        act=f"deposit_{notice.type.removeprefix('deposit.')}",
        detail={
            "amount": data.amount,
            "currency": data.currency,
            "value_date": data.value_date.isoformat(),
        },
        key=notice.type,
    )
    return NoticeResult()


async def _is_destroyed(conn: AsyncConnection, source: str, deposit_id: str) -> bool:
    """Whether a deposit is gone of which its trail still tells."""
    if await conn.scalar(select(exists().where(is_deposit(source, deposit_id)))):
        return False
    return bool(await reversals.ended(conn, [case_id(source, deposit_id)]))


async def _apply(
    conn: AsyncConnection, vault: Vault, keyring: Keyring, source: str, notice: DepositNotice, body: bytes
) -> None:
    """Change the deposit as the notice says, and note who is to be told."""
    data = notice.data
    is_one = is_deposit(source, data.deposit_id)
    state = await conn.scalar(select(deposits.c.state).where(is_one).with_for_update())
    if state is None or (notice.type is NoticeType.SETTLED and state == DepositState.PRELIMINARY):
        # money of a day to come is known from the day it was told of: else nothing could count before
        day = min(data.value_date, notice.sent_on)
        cancelled_on = notice.sent_on if notice.type is NoticeType.CANCELLED else None
        key = data.account, data.value_date
        values = {
            "state": DepositState(notice.type.removeprefix("deposit.")),
            "amount": data.amount,
            "currency": data.currency,
            "value_date": data.value_date,
            "booked_on": day if day < data.value_date else None,
            "moved_on": cancelled_on or day,
            "cancelled_on": cancelled_on,
            "account_invoice": (await stood_for(conn, [key])).get(key),
            "payment_reference": data.payment_reference,
            "invoice_number": find_invoice_number(data.reference, data.edi, data.payer_name),
            "likeness": likeness(keyring, data.payer_name),
            "content_id": await vault.seal(
                conn, case_id(source, data.deposit_id), RecordClass.PAYMENT_RECORDS, "deposit", body
            ),
        }
        await conn.execute(
            insert(deposits)
            .values(source=source, deposit_id=data.deposit_id, **values)
            .on_conflict_do_update(index_elements=["source", "deposit_id"], set_=values)
        )
        if notice.type is NoticeType.SETTLED:
            await errands.add(conn, NewErrand(source, data.deposit_id))
    elif notice.type is NoticeType.CANCELLED:
        await take_back(conn, source, data.deposit_id, on=notice.sent_on)
