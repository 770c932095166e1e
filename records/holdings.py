"""The register of personal data: what each service holds of each customer, by category (§3).

Each person in a service is a case of their own (`holding/<uuid>`), so that they can be destroyed alone. They
are found by blind indexes, keyed fingerprints of the customer number and of the folded name, and then
compared in clear.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID, uuid4

from pydantic import BaseModel, ConfigDict
from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.envelope import Address, Name, PaperDate, Party
from policy.holdings import Fields, Holding, HoldingsFile
from policy.refusals import Code, Refusal
from policy.vocabulary import Category
from records import audit
from records.encoding import joined
from records.folding import fold
from records.locks import lock
from records.tables import holding_subjects, holdings
from records.vault import Destroyed, Vault
from runtime.keys import Keyring

RECORD_CLASS = "holdings"
"""The class under which the register is sealed: no request's, so no retention of a request reaches it."""

CASE = "holdings"
"""The case under which imports are audited."""


class Person(BaseModel):
    """Who a customer is: what a principal is compared with."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    customer_number: str
    name: Name
    name_kana: Name | None
    postal_code: str | None
    address: Address | None
    born_on: PaperDate | None


class _Contents(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    fields: Fields


@dataclass(frozen=True)
class ImportResult:
    """How many customers of services an import added, replaced, and found unchanged."""

    added: int
    replaced: int
    unchanged: int


async def import_file(
    conn: AsyncConnection, vault: Vault, keyring: Keyring, file: HoldingsFile, by: str
) -> ImportResult:
    """Bring the register to what the file says of its customers; others stay. Audited with the counts.

    A customer is known by service and customer number. What is replaced is sealed anew under a new key, so
    that the old content is destroyed. Importing the same file again changes nothing.
    """
    await lock(conn, CASE)
    added = replaced = unchanged = 0
    for holding in file.holdings:
        subject_id = await _subject(conn, keyring, holding.service, holding.customer_number)
        if subject_id is None:
            await _write(conn, vault, keyring, uuid4(), holding)
            added += 1
        elif await _read(conn, vault, subject_id) == (_person(holding), _non_empty(holding.categories)):
            unchanged += 1
        else:
            await vault.destroy(conn, _case(subject_id), RECORD_CLASS)
            await _write(conn, vault, keyring, subject_id, holding)
            replaced += 1
    await audit.append(
        conn,
        CASE,
        actor=by,
        act="holdings_imported",
        detail={"added": added, "replaced": replaced, "unchanged": unchanged},
    )
    return ImportResult(added, replaced, unchanged)


async def locate(
    conn: AsyncConnection, vault: Vault, keyring: Keyring, principal: Party, services: Iterable[str]
) -> dict[str, list[UUID]]:
    """The people in each of these services who are the principal; an empty list where there is no such data.

    The same person: the same name, no other day of birth, and one of customer number, day of birth and
    address the same, all as folded for comparison.
    """
    found: dict[str, list[UUID]] = {service: [] for service in services}
    candidates = await conn.execute(
        select(holding_subjects.c.id, holding_subjects.c.service, holding_subjects.c.person_id)
        .where(
            holding_subjects.c.name_index == _name_index(keyring, principal.name),
            holding_subjects.c.service.in_(found),
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


async def show(
    conn: AsyncConnection, vault: Vault, keyring: Keyring, *, service: str, customer_number: str, by: str
) -> Holding:
    """All that a service holds of a customer, as it would stand in a file; audited as a disclosure.

    Raises ``Refusal`` (not_found).
    """
    subject_id = await _subject(conn, keyring, service, customer_number)
    if subject_id is None:
        raise Refusal(Code.NOT_FOUND, "this service holds nothing under this customer number")
    person, categories = await _read(conn, vault, subject_id)
    await audit.append(conn, _case(subject_id), actor=by, act="holding_shown", detail={"service": service})
    return Holding(service=service, categories=categories, **dict(person))


async def count_by_service(conn: AsyncConnection) -> dict[str, int]:
    """How many customers each service has in the register."""
    rows = await conn.execute(
        select(holding_subjects.c.service, func.count())
        .group_by(holding_subjects.c.service)
        .order_by(holding_subjects.c.service)
    )
    return dict(rows.all())


async def _write(
    conn: AsyncConnection, vault: Vault, keyring: Keyring, subject_id: UUID, holding: Holding
) -> None:
    case = _case(subject_id)
    await conn.execute(
        insert(holding_subjects).values(
            id=subject_id,
            service=holding.service,
            customer_index=_customer_index(keyring, holding.service, holding.customer_number),
            name_index=_name_index(keyring, holding.name),
            person_id=await vault.seal_model(conn, case, RECORD_CLASS, "person", _person(holding)),
        )
    )
    for category, fields in _non_empty(holding.categories).items():
        contents = _Contents(fields=fields)
        await conn.execute(
            insert(holdings).values(
                id=uuid4(),
                service=holding.service,
                category=category,
                subject_id=subject_id,
                content_id=await vault.seal_model(conn, case, RECORD_CLASS, category, contents),
            )
        )


async def _read(
    conn: AsyncConnection, vault: Vault, subject_id: UUID
) -> tuple[Person, dict[Category, Fields]]:
    person_id = await conn.scalar(
        select(holding_subjects.c.person_id).where(holding_subjects.c.id == subject_id)
    )
    if person_id is None:
        raise Destroyed(_case(subject_id))
    rows = await conn.execute(
        select(holdings.c.category, holdings.c.content_id).where(holdings.c.subject_id == subject_id)
    )
    content_ids = {Category(category): content_id for category, content_id in rows}
    return (
        await vault.unseal_model(conn, person_id, Person),
        {
            category: (await vault.unseal_model(conn, content_ids[category], _Contents)).fields
            for category in Category
            if category in content_ids
        },
    )


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


def _customer_index(keyring: Keyring, service: str, customer_number: str) -> str:
    return keyring.fingerprint("holdings customer", joined(service, customer_number))


def _name_index(keyring: Keyring, name: str) -> str:
    return keyring.fingerprint("holdings name", fold(name).encode())
