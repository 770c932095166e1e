"""What a request did to the register of personal data: each thing once, undone until the answer is posted,
final from then on.

Everything here happens under the lock of the register. What an item was before and after is sealed with the
response of the request and destroyed with it; the rows that are left, without content, go with the request
file. An item is not changed for a second request while its category waits for the answer of a first. A mark
may be wanted by several requests at once: it goes when the last of them is undone.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from sqlalchemy import exists, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.changes import ChangeList, Effect, carried_out, check_changes, effects, known_field, parse_changes
from policy.holdings import Value
from policy.pack import Pack
from policy.refusals import Code, Refusal
from policy.registry import pack
from policy.vocabulary import Category, ChangeAction, RecordClass
from records import audit, holdings, marks, notes, requests
from records.folding import fold
from records.tables import holding_changes
from records.tables import notes as note_rows
from records.vault import Destroyed, Vault
from runtime.keys import Keyring

CHANGES = "changes"
"""The purpose of a note that holds a change list."""

OTHER = "other"
"""What stands for a field that the pack does not know: its key may be personal."""


class State(StrEnum):
    """Where a change stands."""

    APPLIED = "applied"
    UNDONE = "undone"
    FINAL = "final"


class ChangeRow(BaseModel):
    """One change a request made; nothing personal. `item` is a field the pack knows or ``other``, or the
    recipient of a provision.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    service: str
    subject_id: UUID
    action: ChangeAction
    category: Category | None
    item: str | None
    state: State
    applied_on: date
    ended_on: date | None


@dataclass(frozen=True)
class Work:
    """What is carried out: for which request, in which service, on which day, once under its key."""

    request_id: str
    key: str
    service: str
    on: date


class _Row(ChangeRow):
    before_id: UUID | None


class _Was(BaseModel):
    """What a field held before a change, or holds after it; None is nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    field: str
    value: Value | None


# ── what an officer asks for ──────────────────────────────────────────────────────────────────────────────


async def check_change_list(
    conn: AsyncConnection,
    vault: Vault,
    keyring: Keyring,
    request_id: str,
    service: str | None,
    changes: ChangeList,
) -> None:
    """Whether this list can be carried out, in one service of a request or, with None, in all of them.

    Raises ``Refusal``: changes_conflict, not_found for a service that is not asked about, wrong_phase before
    anybody is named, unknown_request.
    """
    request = await requests.find(conn, request_id)
    if service is not None and service not in request.services:
        raise Refusal(Code.NOT_FOUND, f"the request is about {', '.join(request.services)}")
    people = await requests.parties(conn, vault, request_id)
    if people is None:
        raise Refusal(Code.WRONG_PHASE, "no envelope has arrived: nobody knows yet whom this is about")
    services = request.services if service is None else (service,)
    found = await holdings.locate(conn, vault, keyring, people.principal, services)
    subjects = [subject for each in found.values() for subject in each]
    wanted = await targets(conn, vault, subjects, changes)
    if not wanted:
        raise Refusal(
            Code.CHANGES_CONFLICT, "nothing is held of the principal there, or not under this number"
        )
    held = [await holdings.read_subject(conn, vault, subject) for subject in wanted]
    check_changes(pack(request.pack_version), changes, held)
    for subject in wanted:
        await _check_settled(conn, request_id, subject, {change.category for change in changes.changes})


async def read_list(conn: AsyncConnection, vault: Vault, request_id: str, id: str) -> ChangeList:
    """The change list sealed for a request under this id.

    Raises ``Refusal`` (not_found) where the request has no such list, ``Destroyed``, ``Tampered``.
    """
    lists = select(note_rows.c.id).where(note_rows.c.request_id == request_id, note_rows.c.purpose == CHANGES)
    for note_id in await conn.scalars(lists):
        if str(note_id) == id:
            return parse_changes(await notes.read(conn, vault, note_id))
    raise Refusal(Code.NOT_FOUND, "the request has no such change list: seal it first")


async def targets(
    conn: AsyncConnection, vault: Vault, subjects: Iterable[UUID], changes: ChangeList
) -> list[UUID]:
    """Those of these people that the list is about: all, or whom its customer number names."""
    if changes.customer_number is None:
        return list(subjects)
    wanted = fold(changes.customer_number)
    return [s for s in subjects if fold(await holdings.customer_number(conn, vault, s)) == wanted]


# ── carried out ───────────────────────────────────────────────────────────────────────────────────────────


async def amend(
    conn: AsyncConnection,
    vault: Vault,
    work: Work,
    terms: Pack,
    subjects: Sequence[UUID],
    changes: ChangeList,
    left_out: Collection[str] = (),
) -> None:
    """Change for each of these people what the list says and is not left out; what is so already stays.

    Audited. Raises ``Refusal`` (changes_conflict) while the answer to another request that changed the same
    category is not posted: repeat it then.
    """
    await holdings.lock_register(conn)
    for subject in await targets(conn, vault, subjects, changes):
        if await _is_done(conn, work, subject):
            continue
        held = await holdings.read_subject(conn, vault, subject)
        done = [effect for effect in effects(changes, held, left_out) if not effect.is_none]
        if not done:
            continue
        await _check_settled(conn, work.request_id, subject, {effect.change.category for effect in done})
        await holdings.rewrite(conn, vault, subject, carried_out(held, done))
        for effect in done:
            await _record_effect(conn, vault, work, terms, subject, effect)


async def cease(
    conn: AsyncConnection,
    work: Work,
    subjects: Sequence[UUID],
    action: ChangeAction,
    recipients: Sequence[str] = (),
) -> None:
    """Mark these people as deleted, or as nobody whose data is used, or provided to these recipients.

    What is so for good already stays as it is. Audited.
    """
    await holdings.lock_register(conn)
    stop = action is ChangeAction.STOP_THIRD_PARTY_PROVISION
    for subject in subjects:
        if await _is_done(conn, work, subject):
            continue
        for recipient in recipients if stop else (None,):
            marked = await marks.marked_on(conn, subject, action, recipient)
            if marked is None or await _is_wanted(conn, subject, action, recipient, State.APPLIED):
                await marks.mark(conn, subject, action, recipient, work.on)
                key = f"{work.key}/{recipient or action}"
                await _record(conn, work, key, subject, action=action, item=recipient)


async def undo(conn: AsyncConnection, vault: Vault, request_id: str, on: date) -> None:
    """Bring back what a request changed and is not final; nothing else, and nothing twice. Audited."""
    await holdings.lock_register(conn)
    for row in reversed(await _applied(conn, request_id)):
        await _end(conn, request_id, row, State.UNDONE, on)
        if not await holdings.exists(conn, row.subject_id):
            continue  # another request has deleted it for good
        if row.category is not None:
            await _restore(conn, vault, row, row.category)
        elif not await _is_wanted(conn, row.subject_id, row.action, row.item, State.APPLIED, State.FINAL):
            await marks.unmark(conn, row.subject_id, row.action, row.item)


async def make_final(conn: AsyncConnection, vault: Vault, request_id: str, on: date) -> None:
    """What a request changed stays so: its answer is posted. What was deleted is destroyed now. Audited."""
    if not await _applied(conn, request_id):
        return  # most requests change nothing: they wait for nobody who does
    await holdings.lock_register(conn)
    for row in await _applied(conn, request_id):
        await _end(conn, request_id, row, State.FINAL, on)
        if row.action is ChangeAction.DELETION:
            await holdings.destroy(conn, vault, row.subject_id)


async def of_request(conn: AsyncConnection, request_id: str) -> list[ChangeRow]:
    """Everything a request did to the register, in order; empty once its request file is destroyed."""
    rows = await conn.execute(
        select(*[holding_changes.c[name] for name in ChangeRow.model_fields])
        .where(holding_changes.c.request_id == request_id)
        .order_by(holding_changes.c.number)
    )
    return [ChangeRow.model_validate(row._asdict()) for row in rows]


# ── the rows ──────────────────────────────────────────────────────────────────────────────────────────────

_COLUMNS = [holding_changes.c[name] for name in _Row.model_fields]


async def _applied(conn: AsyncConnection, request_id: str) -> list[_Row]:
    applied = select(*_COLUMNS).where(
        holding_changes.c.request_id == request_id, holding_changes.c.state == State.APPLIED
    )
    rows = await conn.execute(applied.order_by(holding_changes.c.number))
    return [_Row.model_validate(row._asdict()) for row in rows]


async def _is_done(conn: AsyncConnection, work: Work, subject: UUID) -> bool:
    """Whether this was carried out for somebody, even if it was undone since."""
    done = exists().where(
        holding_changes.c.request_id == work.request_id,
        holding_changes.c.subject_id == subject,
        holding_changes.c.key.startswith(f"{work.key}/", autoescape=True),
    )
    return bool(await conn.scalar(select(done)))


async def _is_wanted(
    conn: AsyncConnection, subject: UUID, action: ChangeAction, item: str | None, *states: State
) -> bool:
    """Whether a request has put a mark on somebody that stands so."""
    wanted = exists().where(
        holding_changes.c.subject_id == subject,
        holding_changes.c.action == action,
        holding_changes.c.item.is_not_distinct_from(item),
        holding_changes.c.state.in_(states),
    )
    return bool(await conn.scalar(select(wanted)))


async def _check_settled(
    conn: AsyncConnection, request_id: str, subject: UUID, categories: Collection[Category]
) -> None:
    pending = exists().where(
        holding_changes.c.subject_id == subject,
        holding_changes.c.request_id != request_id,
        holding_changes.c.category.in_(categories),
        holding_changes.c.state == State.APPLIED,
    )
    if await conn.scalar(select(pending)):
        message = "another request has changed this category, and its answer is not posted yet: wait for that"
        raise Refusal(Code.CHANGES_CONFLICT, message)


async def _record_effect(
    conn: AsyncConnection, vault: Vault, work: Work, terms: Pack, subject: UUID, effect: Effect
) -> None:
    category, field = effect.change.category, effect.change.field
    sealed = [
        await vault.seal_model(
            conn, work.request_id, RecordClass.RESPONSE_CONTENT, label, _Was(field=field, value=value)
        )
        for label, value in (("before", effect.before), ("after", effect.after))
    ]
    await _record(
        conn,
        work,
        f"{work.key}/{effect.number}",
        subject,
        action=effect.action,
        category=category,
        item=known_field(terms, category, field) or OTHER,
        before_id=sealed[0],
        after_id=sealed[1],
    )


async def _record(conn: AsyncConnection, work: Work, key: str, subject: UUID, **what: object) -> None:
    of_request = holding_changes.c.request_id == work.request_id
    last = await conn.scalar(select(func.max(holding_changes.c.number)).where(of_request))
    inserted = await conn.execute(
        insert(holding_changes)
        .values(
            request_id=work.request_id,
            number=(last or 0) + 1,
            service=work.service,
            subject_id=subject,
            state=State.APPLIED,
            applied_on=work.on,
            key=key,
            **what,
        )
        .returning(*_COLUMNS)
    )
    row = _Row.model_validate(inserted.one()._asdict())
    await _audit(conn, work.request_id, row, work.on)


async def _end(conn: AsyncConnection, request_id: str, row: _Row, state: State, on: date) -> None:
    this = (holding_changes.c.request_id == request_id) & (holding_changes.c.number == row.number)
    await conn.execute(update(holding_changes).where(this).values(state=state, ended_on=on))
    await _audit(conn, request_id, row.model_copy(update={"state": state}), on)


async def _audit(conn: AsyncConnection, request_id: str, row: _Row, on: date) -> None:
    what = {"action": row.action, "service": row.service, "category": row.category, "item": row.item}
    told = {name: value for name, value in what.items() if value is not None}
    await audit.append(
        conn,
        request_id,
        actor=audit.AUTOMATIC,
        act=f"change_{row.state}",
        detail={"on": on.isoformat(), "number": row.number, **told},
        key=f"change/{row.number}/{row.state}",
    )


async def _restore(conn: AsyncConnection, vault: Vault, row: _Row, category: Category) -> None:
    """Put back what one field held before, whatever else has changed since."""
    if row.before_id is None:
        raise Destroyed(f"what change {row.number} replaced")
    before = await vault.unseal_model(conn, row.before_id, _Was)
    held = await holdings.read_subject(conn, vault, row.subject_id)
    fields = dict(held.get(category, {}))
    if before.value is None:
        fields.pop(before.field, None)
    else:
        fields[before.field] = before.value
    await holdings.rewrite(conn, vault, row.subject_id, {**held, category: fields})
