"""The ledger of deposits: what the payment system tells of them, each thing once. Nothing paid is lost.

Notices of a deposit may come twice, late and in any order. Only a settled deposit pays. This is the front of
the ledger; the rest has files of its own: bank files in ``imports``, what a deposit pays in ``matching`` and
``allocations``, what is taken back in ``cancelling``. Beside it: ``closing``, ``refunds``, ``books``.
"""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.calendar import today_in_tokyo
from policy.deposit import DepositNotice, NoticeType
from policy.vocabulary import RecordClass
from records import audit, errands
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
from records.twins import dismiss_twin, likeness, possible_twins
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
    sent does not matter. A preliminary notice after a settled one changes nothing; a cancellation stays,
    whatever comes after, and counts from the day it was sent.
    """
    data = notice.data
    case = case_id(source, data.deposit_id)
    await lock(conn, case)
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


async def _apply(
    conn: AsyncConnection, vault: Vault, keyring: Keyring, source: str, notice: DepositNotice, body: bytes
) -> None:
    """Change the deposit as the notice says, and note who is to be told."""
    data = notice.data
    is_one = is_deposit(source, data.deposit_id)
    state = await conn.scalar(select(deposits.c.state).where(is_one).with_for_update())
    sent_on = today_in_tokyo(notice.timestamp)
    if state is None or (notice.type is NoticeType.SETTLED and state == DepositState.PRELIMINARY):
        cancelled_on = max(sent_on, data.value_date) if notice.type is NoticeType.CANCELLED else None
        key = data.account, data.value_date
        values = {
            "state": DepositState(notice.type.removeprefix("deposit.")),
            "amount": data.amount,
            "currency": data.currency,
            "value_date": data.value_date,
            "moved_on": cancelled_on or data.value_date,
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
        await take_back(conn, source, data.deposit_id, on=sent_on)
