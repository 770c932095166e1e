"""The register of personal data: what each service holds of each customer, by category (§3).

Each person in a service is a case of their own (`holding/<uuid>`), so that they can be destroyed alone. They
are found by blind indexes, keyed fingerprints of the customer number and of the folded name, and then
compared in clear.

Marks that a request left on a person (`records.marks`) stay when the content is replaced. Who is marked as
deleted is held back until the answer is posted, and found by nobody meanwhile.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from types import MappingProxyType
from uuid import UUID, uuid4

from pydantic import BaseModel, ConfigDict
from sqlalchemy import func, insert, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.envelope import Address, Name, PaperDate, Party
from policy.holdings import Fields, Holding, HoldingsFile
from policy.refusals import Code, Refusal
from policy.registry import pack_in_force
from policy.vocabulary import Category, ChangeAction
from records import audit, holding_terms, marks
from records.encoding import joined
from records.folding import fold
from records.holding_terms import NOTHING, Kept, Term
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
    """What a service holds of a customer, until when, and the marks on it; recipients by the pack's code.

    From the first moment of its day in ``kept_until`` a category is destroyed; None while nothing has begun
    its period.
    """

    kept_until: Mapping[Category, date | None]
    use_stopped_on: date | None
    provisions_stopped: Mapping[str, date]


class _Contents(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    fields: Fields


@dataclass(frozen=True)
class ImportResult:
    """How many customers of services an import added, replaced, found unchanged, and kept as they are because
    the answer to a request that changed them is not posted yet.

    Of ``redated`` ones only days changed from which periods run; ``expired`` ones were not taken in, nor
    ``left_out`` categories of others, because their period was over.
    """

    added: int = 0
    replaced: int = 0
    unchanged: int = 0
    kept: int = 0
    redated: int = 0
    expired: int = 0
    left_out: int = 0


def case_id(subject_id: UUID) -> str:
    """The case under which what is held of a person is sealed, and its events audited."""
    return f"holding/{subject_id}"


async def import_file(
    conn: AsyncConnection, vault: Vault, keyring: Keyring, file: HoldingsFile, by: str, *, on: date
) -> ImportResult:
    """Bring the register to what the file says of its customers; others stay. Audited with the counts.

    A customer is known by service and customer number. What is replaced is sealed anew under a new key, so
    that the old content is destroyed; marks stay. Importing the same file again changes nothing.

    Until when each category is kept is reckoned by the pack in force ``on`` that day in Tokyo. What has
    expired by then is not taken in, so that no old file brings back what was destroyed; what is still here of
    it stays for the sweep.
    """
    await lock_register(conn)
    pack = pack_in_force(on)
    unsettled = await _unsettled(conn)
    done: Counter[str] = Counter()
    for holding in file.holdings:
        subject_id = await _subject(conn, keyring, holding.service, holding.customer_number)
        if subject_id in unsettled:
            done["kept"] += 1
            continue
        now = holding_terms.of_holding(pack, holding)
        before = NOTHING if subject_id is None else await holding_terms.read(conn, subject_id)
        told = _non_empty(holding.categories)
        taken = {
            category: fields
            for category, fields in told.items()
            if category in before.terms or not now.terms[category].has_expired(on)
        }
        if subject_id is None and told and not taken:
            done["expired"] += 1
            continue
        done["left_out"] += len(told) - len(taken)
        holding = holding.model_copy(update={"categories": taken})
        if subject_id is None:
            await _add(conn, vault, keyring, holding, now.terms)
            done["added"] += 1
        else:
            done[await _update(conn, vault, keyring, subject_id, holding, before, now)] += 1
    result = ImportResult(**done)
    detail: audit.Detail = {**asdict(result), "on": on.isoformat(), "pack_version": pack.version}
    await audit.append(conn, CASE, actor=by, act="holdings_imported", detail=detail)
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
    await audit.append(conn, case_id(subject_id), actor=by, act="holding_shown", detail={"service": service})
    kept = await holding_terms.read(conn, subject_id)
    achieved = {category: kept.terms[category].purpose_achieved_on for category in categories}
    return Shown(
        service=service,
        contract_ended_on=kept.contract_ended_on,
        categories=categories,
        purpose_achieved_on={category: day for category, day in achieved.items() if day is not None},
        kept_until={category: kept.terms[category].expires_on for category in categories},
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

    Each category is kept as long as before; until when one that is new is kept, the next sweep reckons.
    Raises ``Destroyed``, ``Tampered``.
    """
    person, kept = await _read_person(conn, vault, subject_id), await holding_terms.read(conn, subject_id)
    await _replace(conn, vault, subject_id, person, categories, kept.terms)


async def destroy(conn: AsyncConnection, vault: Vault, subject_id: UUID) -> None:
    """Destroy all that a service holds of a person, with its key and its rows; nothing where that is done."""
    await vault.destroy(conn, case_id(subject_id), RECORD_CLASS, rule="deleted at a request")


async def exists(conn: AsyncConnection, subject_id: UUID) -> bool:
    """Whether anything is held of this person, whatever is marked."""
    wanted = select(holding_subjects.c.id).where(holding_subjects.c.id == subject_id)
    return await conn.scalar(wanted) is not None


async def _unsettled(conn: AsyncConnection) -> frozenset[UUID]:
    """Whom a request changed whose answer is not posted yet."""
    applied = select(holding_changes.c.subject_id).where(holding_changes.c.state == "applied")
    return frozenset((await conn.scalars(applied)).all())


async def _add(
    conn: AsyncConnection,
    vault: Vault,
    keyring: Keyring,
    holding: Holding,
    terms: Mapping[Category, Term],
) -> None:
    person = _person(holding)
    row = {"id": uuid4(), "service": holding.service, **_told_columns(keyring, holding, person)}
    await _write(conn, vault, row, person, holding.categories, terms)


async def _update(
    conn: AsyncConnection,
    vault: Vault,
    keyring: Keyring,
    subject_id: UUID,
    holding: Holding,
    before: Kept,
    now: Kept,
) -> str:
    """Bring a customer to what is told of them; answers what that took, as `ImportResult` calls it."""
    person = _person(holding)
    if await _read(conn, vault, subject_id) == (person, holding.categories):
        return "redated" if await holding_terms.redate(conn, subject_id, before, now) else "unchanged"
    columns = _told_columns(keyring, holding, person)
    await _replace(conn, vault, subject_id, person, holding.categories, now.terms, columns)
    return "replaced"


async def _replace(
    conn: AsyncConnection,
    vault: Vault,
    subject_id: UUID,
    person: Person,
    categories: Mapping[Category, Fields],
    terms: Mapping[Category, Term],
    columns: Mapping[str, object] = MappingProxyType({}),
) -> None:
    """Destroy what was held, and its row with it, and write both anew."""
    row = (await conn.execute(select(*_KEPT).where(holding_subjects.c.id == subject_id))).one()
    stops = await marks.stops(conn, subject_id)
    await vault.destroy(conn, case_id(subject_id), RECORD_CLASS, rule="replaced by what is held now")
    await _write(conn, vault, {**row._mapping, **columns}, person, categories, terms)
    for recipient, stopped_on in stops.items():
        await marks.mark(conn, subject_id, ChangeAction.STOP_THIRD_PARTY_PROVISION, recipient, stopped_on)


async def _write(
    conn: AsyncConnection,
    vault: Vault,
    row: Mapping[str, object],
    person: Person,
    categories: Mapping[Category, Fields],
    terms: Mapping[Category, Term],
) -> None:
    subject_id = row["id"]
    assert isinstance(subject_id, UUID)
    case = case_id(subject_id)
    person_id = await vault.seal_model(conn, case, RECORD_CLASS, "person", person)
    await conn.execute(insert(holding_subjects).values(**row, person_id=person_id))
    for category, fields in _non_empty(categories).items():
        contents = _Contents(fields=fields)
        await conn.execute(
            insert(holdings).values(
                id=uuid4(),
                service=row["service"],
                category=category,
                subject_id=subject_id,
                content_id=await vault.seal_model(conn, case, RECORD_CLASS, category, contents),
                **asdict(terms.get(category, Term())),
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
        raise Destroyed(case_id(subject_id))
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


def _told_columns(keyring: Keyring, holding: Holding, person: Person) -> dict[str, object]:
    """What stands in a customer's row of what a file tells of them."""
    return {
        "customer_index": _customer_index(keyring, holding.service, person.customer_number),
        "name_index": _name_index(keyring, person.name),
        "contract_ended_on": holding.contract_ended_on,
    }


def _customer_index(keyring: Keyring, service: str, customer_number: str) -> str:
    return keyring.fingerprint("holdings customer", joined(service, customer_number))


def _name_index(keyring: Keyring, name: str) -> str:
    return keyring.fingerprint("holdings name", fold(name).encode())
