"""Our own payments as statements show them: refunds that were paid, and refunds that came back (§5(2)(6)).

A statement shows many payments that are none of the ledger's; only what is certain is marked.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.currency import YEN
from records import audit, import_log, refunds
from records.arrays import any_of
from records.bank_lines import Doubt, Outcome, Recorded, Seen, What
from records.deposits import case_id
from records.locks import lock
from records.refunds import PaidLine, RefundRow
from records.tables import refunds as refund_rows
from records.vault import Vault

_RETURNED = "refund_returned"
_WHOLE_FILE = ("総合振込", "ソウゴウフリコミ")
"""What banks call the one line that stands for all of a transfer file."""


@dataclass(frozen=True)
class OwnPayment:
    """A payment of ours, or one that came back where it is ``returned``; refunds are in yen."""

    line: PaidLine
    currency: str = YEN
    returned: bool = False


async def record_own(
    conn: AsyncConnection,
    vault: Vault,
    source: str,
    import_id: str,
    payments: Sequence[OwnPayment],
    *,
    by: str,
    seen: Seen | None = None,
) -> Recorded:
    """Mark the refunds that these lines show as paid or as come back, each once; audited.

    What came back and is no refund for certain is a doubt of the import, and so is what was paid and could be
    one of several. Raises ``Refusal``: unknown_staff, wrong_role.
    """
    await lock(conn, f"deposits/{source}")
    out = await refunds.outstanding(conn)
    known = await _known(conn, source, [payment.line.key for payment in payments])
    outcomes = []
    for payment in payments:
        if payment.line.key in known:
            outcomes.append(_outcome(payment, What.REPEATED))
        elif payment.returned:
            outcomes.append(await _came_back(conn, vault, source, import_id, payment, by))
        else:
            outcomes.append(await _paid(conn, vault, payment, out, by))
    await import_log.note(conn, import_id, outcomes)
    if seen:
        for outcome in outcomes:
            seen(outcome)
    return Recorded.of(outcomes)


async def _known(conn: AsyncConnection, source: str, keys: Sequence[str]) -> set[str]:
    """Which lines were taken in before."""
    paid = await conn.scalars(select(refund_rows.c.paid_line).where(refund_rows.c.paid_line == any_of(keys)))
    returned = await audit.with_event(conn, [case_id(source, key) for key in keys], _RETURNED)
    return {*paid, *(case.rpartition("/")[2] for case in returned)}


async def _paid(
    conn: AsyncConnection, vault: Vault, payment: OwnPayment, out: Sequence[RefundRow], by: str
) -> Outcome:
    line, marked = payment.line, list[RefundRow]()
    if payment.currency != YEN:
        return _outcome(payment, What.OTHER)
    if any(refund.amount == line.amount for refund in out):
        marked = await refunds.mark_paid(conn, vault, line, by=by)
        if not marked and len(await refunds.find_paid(conn, vault, line)) > 1:
            return _outcome(payment, What.NOTHING, Doubt.REFUND_UNSURE)
    if not marked and (file_id := _file(line, out)):
        marked = await refunds.mark_paid(conn, vault, replace(line, file_id=file_id), by=by)
    return _outcome(payment, What.REFUND_PAID if marked else What.OTHER)


def _file(line: PaidLine, out: Sequence[RefundRow]) -> str | None:
    """The one file whose sum a line shows that speaks of no payee."""
    text = unicodedata.normalize("NFKC", line.text)
    if line.holder or not any(word in text for word in _WHOLE_FILE):
        return None
    sums: dict[str, int] = {}
    for refund in out:
        if refund.file_id:
            sums[refund.file_id] = sums.get(refund.file_id, 0) + refund.amount
    found = [file_id for file_id, total in sums.items() if total == line.amount]
    return found[0] if len(found) == 1 else None


async def _came_back(
    conn: AsyncConnection, vault: Vault, source: str, import_id: str, payment: OwnPayment, by: str
) -> Outcome:
    line = payment.line
    found = await refunds.find_returned(conn, vault, line) if payment.currency == YEN else []
    if len(found) != 1:
        return _outcome(payment, What.NOTHING, Doubt.REFUND_UNSURE if found else Doubt.RETURN_UNKNOWN)
    refund = await refunds.came_back(conn, found[0].number, by=by, on=line.on)
    await refunds.show_returned(conn, refund, by=by)
    await audit.append(
        conn,
        case_id(source, line.key),
        actor=by,
        act="refund_came_back",
        detail={"refund": refund.number, "amount": refund.amount, "import": import_id},
        key=_RETURNED,
    )
    return _outcome(payment, What.REFUND_RETURNED)


def _outcome(payment: OwnPayment, what: What, doubt: Doubt | None = None) -> Outcome:
    line = payment.line
    return Outcome(line.key, None, what, line.amount, payment.currency, line.on, doubt=doubt)
