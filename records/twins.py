"""Twins: money of which two tell, a webhook and a bank's file say. It counts once (§5(2)(6)).

Two deposits are alike when they tell of the same day and amount and mean the same invoice, or when neither
says what it is for and one person paid both. Of those that are alike there are as many payments as the teller
has that tells of most of them: whoever pays the same twice in a day is credited twice. A teller is a source,
or one kind of a bank's files. What tells of the same money in other amounts is in ``entries``.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any
from zlib import crc32

from sqlalchemy import ColumnElement, Row, and_, case, func, or_, select, tuple_
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import String

from policy.refusals import Code, Refusal
from policy.roles import Act
from records import audit, deposits, entries, errands, staff
from records.allocations import strike_out
from records.arrays import any_of
from records.bank_lines import BankDeposit
from records.deposits import DepositRow, DepositState, Suspense, case_id, is_dismissed, is_live, stands
from records.errands import NewErrand
from records.folding import fold_payer
from records.invoices import InvoiceRow
from records.locks import lock, lock_all
from records.tables import allocations
from records.tables import deposits as deposit_rows
from records.told import Told
from runtime.keys import Keyring

_Key = tuple[date, int, str, str]
_Group = tuple[str, frozenset[_Key]]  # who tells, and what its deposits have in common
_Deposit = Row[*tuple[Any, ...]]

_BUCKETS = 1024
_OTHER_MONEY = "deposit_not_a_twin"


def likeness(keyring: Keyring, payer_name: str) -> str | None:
    """Equal for equal names of payers, however they are typed and whatever numbers stand beside them; it
    tells nothing without the key. None for no name.
    """
    name = fold_payer(payer_name)
    return keyring.fingerprint("payer", name.encode()) if name else None


async def are_twins(conn: AsyncConnection, told: Sequence[Told], meant: Iterable[InvoiceRow]) -> list[bool]:
    """Of which settled deposits another teller told already; the invoices they mean are locked.

    Of two that are alike, the one that is looked at later is the twin.
    """
    numbers: dict[str | None, str] = {}
    for invoice in meant:
        numbers[invoice.payment_reference] = numbers[invoice.request_id] = invoice.number
    seen: dict[_Key, Counter[_Group]] = {}
    for row in await _alike(conn, told, numbers):
        credited = {numbers[request_id] for request_id in row.requests or () if request_id in numbers}
        _add(seen, _keys(row, numbers, credited), _tellers(row), int(row.alike))
    found = []
    for deposit in told:
        tellers, keys = _tellers(deposit), _keys(deposit, numbers)
        groups = {group: count for key in keys for group, count in seen.get(key, {}).items()}
        counts = Counter[str]()
        for (teller, _), count in groups.items():
            counts[teller] += count
        own = max(counts.pop(teller, 0) for teller in tellers)
        found.append(max(counts.values(), default=0) > own)
        _add(seen, keys, tellers, 1)
    return found


async def possible_twins(conn: AsyncConnection, source: str, deposit_id: str) -> list[tuple[str, str]]:
    """The deposits of other tellers that are as much money of the same day, whatever they are for, and those
    that tell of the same entry of a statement in another way: source and id of each.

    Raises ``Refusal`` (unknown_deposit).
    """
    deposit = await deposits.find(conn, source, deposit_id)
    rows = await _same_money(conn, deposit, stands() | deposits.is_deposit(source, deposit_id))
    own = {
        teller
        for row in rows
        if (row.source, row.deposit_id) == (source, deposit_id)
        for teller in _tellers(row)
    }
    alike = {(row.source, row.deposit_id) for row in rows if not {*own} & {*_tellers(row)}}
    others = await entries.counterparts(conn, source, deposit_id)
    standing = {(row.source, row.deposit_id) for row in others if row.state != DepositState.CANCELLED}
    return sorted(alike | standing)


async def dismiss_twin(
    conn: AsyncConnection, source: str, deposit_id: str, *, by: str, on: date
) -> DepositRow:
    """Strike out a deposit that tells once more of money another teller told of; audited.

    As many are left as the teller has that tells of most. Doing it again changes nothing. Raises ``Refusal``:
    unknown_staff, wrong_role, unknown_deposit, deposit_not_assignable where some of it is moved already or no
    other tells of it.
    """
    await staff.require(conn, by, Act.DISMISS_TWIN)
    deposit = await _locked(conn, source, deposit_id)
    if deposit.state is DepositState.CANCELLED and deposit.suspense_reason is Suspense.TWIN:
        return deposit
    if deposit.state is not DepositState.SUSPENSE or deposit.remainder != deposit.amount:
        raise Refusal(
            Code.DEPOSIT_NOT_ASSIGNABLE, "only a whole deposit in suspense can be dismissed as a twin"
        )
    rows = await _same_money(conn, deposit, stands() | is_dismissed())
    counts = Counter(teller for row in rows for teller in _tellers(row))
    only_one = sum(row.state != DepositState.CANCELLED for row in rows) <= max(counts.values())
    if only_one and not await entries.stands_otherwise(conn, source, deposit_id):
        raise Refusal(Code.DEPOSIT_NOT_ASSIGNABLE, "no other source tells of this money: it would be lost")
    await strike_out(conn, deposit, on=on, reason=Suspense.TWIN)
    await audit.append(conn, case_id(source, deposit_id), actor=by, act="deposit_twin_dismissed")
    await errands.add(conn, NewErrand(source, deposit_id))
    return await deposits.find(conn, source, deposit_id)


async def not_a_twin(conn: AsyncConnection, source: str, deposit_id: str, *, by: str, on: date) -> DepositRow:
    """Say of a deposit in suspense that it is other money than what another source told of: it waits as
    unidentified, and may be credited. Audited.

    Doing it again changes nothing. Raises ``Refusal``: unknown_staff, wrong_role, unknown_deposit,
    deposit_not_assignable where it is not taken for a twin.
    """
    await staff.require(conn, by, Act.DISMISS_TWIN)
    deposit = await _locked(conn, source, deposit_id)
    if deposit.state is not DepositState.SUSPENSE or deposit.suspense_reason is not Suspense.TWIN:
        if any(event.act == _OTHER_MONEY for event in await audit.events(conn, case_id(source, deposit_id))):
            return deposit
        raise Refusal(
            Code.DEPOSIT_NOT_ASSIGNABLE, "only a deposit that waits as a twin is said not to be one"
        )
    restated = await deposits.restate(conn, source, deposit_id, on=on, reason=Suspense.UNIDENTIFIED)
    await audit.append(conn, case_id(source, deposit_id), actor=by, act=_OTHER_MONEY)
    await errands.add(conn, NewErrand(source, deposit_id))
    return restated


async def lock_money(conn: AsyncConnection, told: Iterable[Told | DepositRow | BankDeposit]) -> None:
    """Wait until nobody else looks for twins of deposits like these. Lock invoices afterwards."""
    money = {f"{deposit.value_date}/{deposit.amount}/{deposit.currency}" for deposit in told}
    buckets = {
        crc32(each.encode()) % _BUCKETS for each in money
    }  # a lock for each may be more than there are
    await lock_all(conn, [f"twins/{bucket}" for bucket in sorted(buckets)])


async def _locked(conn: AsyncConnection, source: str, deposit_id: str) -> DepositRow:
    told = await deposits.find(conn, source, deposit_id)
    await lock(conn, f"deposits/{source}")
    await lock_money(conn, [told])
    return await deposits.locked(conn, source, deposit_id)


async def _alike(
    conn: AsyncConnection, told: Sequence[Told], numbers: Mapping[str | None, str]
) -> Sequence[_Deposit]:
    """Deposits that were looked at and may be alike to one of these: of their day and amount and with a word
    of theirs. They may be very many, so they come in groups of those that say the same, ``alike`` in number.
    """
    rows, meant = deposit_rows.c, [*numbers.values()]
    given = [
        (rows.payment_reference, [*numbers, *(deposit.payment_reference for deposit in told)]),
        (rows.account_invoice, [*meant, *(deposit.account_invoice for deposit in told)]),
        (rows.invoice_number, [*meant, *(deposit.invoice_number for deposit in told)]),
    ]
    wordless = and_(*(column.is_(None) for column, _ in given))
    paying = (
        select(
            allocations.c.source,
            allocations.c.deposit_id,
            func.array_agg(allocations.c.request_id, type_=ARRAY(String)).label("requests"),
        )
        .where(is_live(), allocations.c.request_id == any_of(numbers))
        .group_by(allocations.c.source, allocations.c.deposit_id)
        .subquery()
    )
    kinds = select(func.jsonb_object_keys(rows.tellings)).correlate(deposit_rows).scalar_subquery()
    columns = (
        rows.source,
        func.array(kinds, type_=ARRAY(String)).label("tellings"),
        rows.value_date,
        rows.amount,
        rows.currency,
        *(column for column, _ in given),
        case((wordless, rows.likeness)).label("likeness"),
        paying.c.requests,
    )
    found = await conn.execute(
        select(*columns, func.count().label("alike"))
        .select_from(deposit_rows.outerjoin(paying, deposits.same_deposit(paying)))
        .where(
            tuple_(rows.value_date, rows.amount).in_(
                sorted({(deposit.value_date, deposit.amount) for deposit in told})
            ),
            (stands() & (rows.state != DepositState.SETTLED)) | is_dismissed(),
            or_(
                *(column == any_of(values) for column, values in given),
                wordless & (rows.likeness == any_of(deposit.likeness for deposit in told)),
                paying.c.requests.is_not(None),
            ),
        )
        .group_by(*columns)
    )
    return found.all()


def _add(seen: dict[_Key, Counter[_Group]], keys: Sequence[_Key], tellers: Sequence[str], count: int) -> None:
    """Count deposits that have these keys in common, one group of them under each."""
    for key in keys:
        groups = seen.setdefault(key, Counter())
        for teller in tellers:
            groups[teller, frozenset(keys)] += count


def _keys(
    deposit: Told | _Deposit, numbers: Mapping[str | None, str], credited: Iterable[str] = ()
) -> list[_Key]:
    """What a deposit has in common with those that are alike: what it is for, else who paid."""
    words = {
        deposit.account_invoice,
        deposit.invoice_number,
        deposit.payment_reference,
        numbers.get(deposit.payment_reference),
    }
    if words == {None}:
        words = {deposit.likeness}
    return [
        (deposit.value_date, deposit.amount, deposit.currency, word)
        for word in {*words, *credited}
        if word is not None
    ]


def _tellers(deposit: Told | _Deposit) -> list[str]:
    return [f"{deposit.source}/{kind}" for kind in deposit.tellings] or [deposit.source]


async def _same_money(
    conn: AsyncConnection, deposit: DepositRow, condition: ColumnElement[bool]
) -> Sequence[_Deposit]:
    rows = await conn.execute(
        select(deposit_rows)
        .where(
            deposit_rows.c.value_date == deposit.value_date,
            deposit_rows.c.amount == deposit.amount,
            deposit_rows.c.currency == deposit.currency,
            condition,
        )
        .order_by(deposit_rows.c.source, deposit_rows.c.deposit_id)
    )
    return rows.all()
