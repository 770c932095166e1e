"""The register of personal data: what each service holds of each customer, by category (§3).

Each person in a service is a case of their own (`holding/<uuid>`), so that they can be destroyed alone. They
are found by blind indexes, keyed fingerprints of the customer number and of the folded name, and then
compared in clear.

Marks that a request left on a person (`records.marks`) stay when the content is replaced. Who is marked as
deleted is held back until the answer is posted, and found by nobody meanwhile.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from uuid import UUID, uuid4

from pydantic import BaseModel, ConfigDict
from sqlalchemy import func, insert, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.envelope import Address, Name, PaperDate, Party
from policy.holdings import Fields, Holding, HoldingsFile
from policy.refusals import Code, Refusal
from policy.vocabulary import Category, ChangeAction
from records import audit, marks
from records.encoding import joined
from records.folding import fold
from records.locks import lock
from records.tables import holding_changes, holding_subjects, holdings
from records.vault import Destroyed, Vault
from runtime.keys import Keyring

RECORD_CLASS = "holdings"
"""The class under which the register is sealed: no request's, so no retention of a request reaches it."""

CASE = "holdings"
"""The case under which imports are audited."""

_KEPT = [column for column in holding_subjects.c if column is not holding_subjects.c.person_id]
"""What stays of a person's row when the content is replaced."""


class Person(BaseModel):
    """Who a customer is: what a principal is compared with."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    customer_number: str
    name: Name
    name_kana: Name | None
    postal_code: str | None
    address: Address | None
    born_on: PaperDate | None


class Shown(Holding):
    """What a service holds of a customer, and the marks on it; recipients by the pack's code."""

    use_stopped_on: date | None
    provisions_stopped: Mapping[str, date]


class _Contents(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    fields: Fields


@dataclass(frozen=True)
class ImportResult:
    """How many customers of services an import added, replaced, found unchanged, and kept as they are because
    the answer to a request that changed them is not posted yet.
    """

    added: int
    replaced: int
    unchanged: int
    kept: int = 0


async def import_file(
    conn: AsyncConnection, vault: Vault, keyring: Keyring, file: HoldingsFile, by: str
) -> ImportResult:
    """Bring the register to what the file says of its customers; others stay. Audited with the counts.

    A customer is known by service and customer number. What is replaced is sealed anew under a new key, so
    that the old content is destroyed; marks stay. Importing the same file again changes nothing.
    """
    await lock_register(conn)
    unsettled = await _unsettled(conn)
    added = replaced = unchanged = kept = 0
    for holding in file.holdings:
        subject_id = await _subject(conn, keyring, holding.service, holding.customer_number)
        if subject_id is None:
            await _add(conn, vault, keyring, holding)
            added += 1
        elif subject_id in unsettled:
            kept += 1
        elif await _read(conn, vault, subject_id) == (_person(holding), _non_empty(holding.categories)):
            unchanged += 1
        else:
            person = _person(holding)
            indexes = _indexes(keyring, holding.service, person)
            await _replace(conn, vault, subject_id, person, holding.categories, indexes)
            replaced += 1
    result = ImportResult(added, replaced, unchanged, kept)
    await audit.append(conn, CASE, actor=by, act="holdings_imported", detail=asdict(result))
    return result


async def lock_register(conn: AsyncConnection) -> None:
    """Keep everybody else from changing the register until the transaction ends."""
    await lock(conn, CASE)


async def locate(
    conn: AsyncConnection,
    vault: Vault,
    keyring: Keyring,
    principal: Party,
    services: Iterable[str],
    *,
    deleted: bool = False,
) -> dict[str, list[UUID]]:
    """The people in each of these services who are the principal; an empty list where there is no such data.

    The same person: the same name, no other day of birth, and one of customer number, day of birth and
    address the same, all as folded for comparison. With ``deleted``, those too whose deletion is not final.
    """
    found: dict[str, list[UUID]] = {service: [] for service in services}
    candidates = await conn.execute(
        select(holding_subjects.c.id, holding_subjects.c.service, holding_subjects.c.person_id)
        .where(
            holding_subjects.c.name_index == _name_index(keyring, principal.name),
            holding_subjects.c.service.in_(found),
            true() if deleted else holding_subjects.c.deleted_on.is_(None),
        )
        .order_by(holding_subjects.c.recorded_at, holding_subjects.c.id)
    )
    for row in candidates.all():
        if _is(principal, await vault.unseal_model(conn, row.person_id, Person)):
            found[row.service].append(row.id)
    return found


async def read_subject(conn: AsyncConnection, vault: Vault, subject_id: UUID) -> dict[Category, Fields]:
    """All that is held of one person in one service, by category. Raises ``Destroyed``, ``Tampered``."""
    _, categories = await _read(conn, vault, subject_id)
    return categories


async def customer_number(conn: AsyncConnection, vault: Vault, subject_id: UUID) -> str:
    """Under which number a service knows somebody. Raises ``Destroyed``, ``Tampered``."""
    return (await _read_person(conn, vault, subject_id)).customer_number


async def show(
    conn: AsyncConnection, vault: Vault, keyring: Keyring, *, service: str, customer_number: str, by: str
) -> Shown:
    """All that a service holds of a customer, as it would stand in a file, and the marks on it; audited as a
    disclosure.

    Raises ``Refusal`` (not_found).
    """
    subject_id = await _subject(conn, keyring, service, customer_number)
    if subject_id is None:
        raise Refusal(Code.NOT_FOUND, "this service holds nothing under this customer number")
    deleted_on = await marks.marked_on(conn, subject_id, ChangeAction.DELETION)
    if deleted_on is not None:
        message = f"holds nothing under this customer number any more: it was deleted on {deleted_on}"
        raise Refusal(Code.NOT_FOUND, f"this service {message}, for good once the answer is posted")
    person, categories = await _read(conn, vault, subject_id)
    await audit.append(conn, _case(subject_id), actor=by, act="holding_shown", detail={"service": service})
    return Shown(
        service=service,
        categories=categories,
        use_stopped_on=await marks.marked_on(conn, subject_id, ChangeAction.CEASE_USE),
        provisions_stopped=await marks.stops(conn, subject_id),
        **dict(person),
    )


async def count_by_service(conn: AsyncConnection) -> dict[str, int]:
    """How many customers each service has in the register."""
    rows = await conn.execute(
        select(holding_subjects.c.service, func.count())
        .where(holding_subjects.c.deleted_on.is_(None))
        .group_by(holding_subjects.c.service)
        .order_by(holding_subjects.c.service)
    )
    return dict(rows.all())


# ── what a request does to it; under the lock of the register ─────────────────────────────────────────────


async def rewrite(
    conn: AsyncConnection, vault: Vault, subject_id: UUID, categories: Mapping[Category, Fields]
) -> None:
    """Seal what is held of a person anew, under a new key: what was held before is destroyed, marks stay.

    Raises ``Destroyed``, ``Tampered``.
    """
    await _replace(conn, vault, subject_id, await _read_person(conn, vault, subject_id), categories)


async def destroy(conn: AsyncConnection, vault: Vault, subject_id: UUID) -> None:
    """Destroy all that a service holds of a person, with its key and its rows; nothing where that is done."""
    await vault.destroy(conn, _case(subject_id), RECORD_CLASS, rule="deleted at a request")


async def exists(conn: AsyncConnection, subject_id: UUID) -> bool:
    """Whether anything is held of this person, whatever is marked."""
    wanted = select(holding_subjects.c.id).where(holding_subjects.c.id == subject_id)
    return await conn.scalar(wanted) is not None


async def _unsettled(conn: AsyncConnection) -> frozenset[UUID]:
    """Whom a request changed whose answer is not posted yet."""
    applied = select(holding_changes.c.subject_id).where(holding_changes.c.state == "applied")
    return frozenset((await conn.scalars(applied)).all())


async def _add(conn: AsyncConnection, vault: Vault, keyring: Keyring, holding: Holding) -> None:
    subject_id, person = uuid4(), _person(holding)
    row = {"id": subject_id, "service": holding.service, **_indexes(keyring, holding.service, person)}
    await _write(conn, vault, row, person, holding.categories)


async def _replace(
    conn: AsyncConnection,
    vault: Vault,
    subject_id: UUID,
    person: Person,
    categories: Mapping[Category, Fields],
    indexes: Mapping[str, str] | None = None,
) -> None:
    """Destroy what was held, and its row with it, and write both anew."""
    row = (await conn.execute(select(*_KEPT).where(holding_subjects.c.id == subject_id))).one()
    stops = await marks.stops(conn, subject_id)
    await vault.destroy(conn, _case(subject_id), RECORD_CLASS, rule="replaced by what is held now")
    await _write(conn, vault, {**row._mapping, **(indexes or {})}, person, categories)
    for recipient, stopped_on in stops.items():
        await marks.mark(conn, subject_id, ChangeAction.STOP_THIRD_PARTY_PROVISION, recipient, stopped_on)


async def _write(
    conn: AsyncConnection,
    vault: Vault,
    row: Mapping[str, object],
    person: Person,
    categories: Mapping[Category, Fields],
) -> None:
    case = f"holding/{row['id']}"
    person_id = await vault.seal_model(conn, case, RECORD_CLASS, "person", person)
    await conn.execute(insert(holding_subjects).values(**row, person_id=person_id))
    for category, fields in _non_empty(categories).items():
        contents = _Contents(fields=fields)
        await conn.execute(
            insert(holdings).values(
                id=uuid4(),
                service=row["service"],
                category=category,
                subject_id=row["id"],
                content_id=await vault.seal_model(conn, case, RECORD_CLASS, category, contents),
            )
        )


async def _read(
    conn: AsyncConnection, vault: Vault, subject_id: UUID
) -> tuple[Person, dict[Category, Fields]]:
    person = await _read_person(conn, vault, subject_id)
    rows = await conn.execute(
        select(holdings.c.category, holdings.c.content_id).where(holdings.c.subject_id == subject_id)
    )
    content_ids = {Category(category): content_id for category, content_id in rows}
    return (
        person,
        {
            category: (await vault.unseal_model(conn, content_ids[category], _Contents)).fields
            for category in Category
            if category in content_ids
        },
    )


async def _read_person(conn: AsyncConnection, vault: Vault, subject_id: UUID) -> Person:
    person_id = await conn.scalar(
        select(holding_subjects.c.person_id).where(holding_subjects.c.id == subject_id)
    )
    if person_id is None:
        raise Destroyed(_case(subject_id))
    return await vault.unseal_model(conn, person_id, Person)


async def _subject(
    conn: AsyncConnection, keyring: Keyring, service: str, customer_number: str
) -> UUID | None:
    id: UUID | None = await conn.scalar(
        select(holding_subjects.c.id).where(
            holding_subjects.c.service == service,
            holding_subjects.c.customer_index == _customer_index(keyring, service, customer_number),
        )
    )
    return id


def _is(principal: Party, person: Person) -> bool:
    """Whether two papers speak of one person: never with another day of birth; with another customer number
    only if day of birth and address both agree."""
    if fold(principal.name) != fold(person.name):
        return False
    number = _agree(principal.customer_number, person.customer_number)
    born = _agree(principal.born_on, person.born_on)
    address = _agree(principal.address, person.address)
    if born is False:
        return False
    if number is False:
        return born is True and address is True
    return number is True or born is True or address is True


def _agree(here: object, there: object) -> bool | None:
    """Whether both say the same; None where one of them says nothing."""
    if here is None or there is None:
        return None
    return fold(str(here)) == fold(str(there))


def _person(holding: Holding) -> Person:
    return Person(**{name: getattr(holding, name) for name in Person.model_fields})


def _non_empty(categories: Mapping[Category, Fields]) -> dict[Category, Fields]:
    return {category: fields for category, fields in categories.items() if fields}


def _case(subject_id: UUID) -> str:
    return f"holding/{subject_id}"


def _indexes(keyring: Keyring, service: str, person: Person) -> dict[str, str]:
    return {
        "customer_index": _customer_index(keyring, service, person.customer_number),
        "name_index": _name_index(keyring, person.name),
    }


def _customer_index(keyring: Keyring, service: str, customer_number: str) -> str:
    return keyring.fingerprint("holdings customer", joined(service, customer_number))


def _name_index(keyring: Keyring, name: str) -> str:
    return keyring.fingerprint("holdings name", fold(name).encode())
