"""The staff register: pseudonyms and their roles. Nobody acts who is not in it."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.refusals import Code, Refusal
from policy.roles import Act, check_role, is_staff_id
from policy.vocabulary import Role
from records import audit
from records.tables import staff

CASE = "staff"
"""The case under which changes to the register are audited."""

_DEVELOPMENT = {
    **{f"{role}-1": frozenset({role}) for role in Role},
    "officer-2": frozenset({Role.OFFICER, Role.APPROVER}),  # to try that nobody approves their own proposal
}


@dataclass(frozen=True)
class StaffMember:
    """A member of staff; inactive ones stay in the register, because the audit trail names them."""

    id: str
    roles: frozenset[Role]
    active: bool


async def add(conn: AsyncConnection, id: str, roles: Iterable[Role], by: str) -> StaffMember:
    """Enter somebody with their roles, or give somebody new roles; audited.

    Raises ``Refusal`` (malformed) for an id that is no pseudonym of 2 to 32 characters, is reserved, or has
    no role.
    """
    member = StaffMember(id, frozenset(roles), active=True)
    if not is_staff_id(id) or id == audit.AUTOMATIC:
        raise Refusal(Code.MALFORMED, "a staff id is a pseudonym of 2 to 32 characters out of a-z, 0-9 and -")
    if not member.roles:
        raise Refusal(Code.MALFORMED, "a member of staff has at least one role")
    names = sorted(member.roles)
    await conn.execute(
        insert(staff)
        .values(id=id, roles=names)
        .on_conflict_do_update(index_elements=["id"], set_={"roles": names, "active": True})
    )
    await audit.append(
        conn, CASE, actor=by, act="staff_added", detail={"staff": id, "roles": [str(name) for name in names]}
    )
    return member


async def deactivate(conn: AsyncConnection, id: str, by: str) -> None:
    """Take every role from somebody from now on; audited. Raises ``Refusal`` (unknown_staff)."""
    gone = await conn.execute(
        update(staff).where(staff.c.id == id, staff.c.active).values(active=False).returning(staff.c.id)
    )
    if gone.one_or_none() is None:
        raise _unknown()
    await audit.append(conn, CASE, actor=by, act="staff_deactivated", detail={"staff": id})


async def all_staff(conn: AsyncConnection) -> list[StaffMember]:
    """Everybody in the register, by id."""
    rows = await conn.execute(select(staff.c.id, staff.c.roles, staff.c.active).order_by(staff.c.id))
    return [StaffMember(row.id, frozenset(map(Role, row.roles)), row.active) for row in rows]


async def roles_of(conn: AsyncConnection, id: str) -> frozenset[Role]:
    """The roles of somebody who may act. Raises ``Refusal`` (unknown_staff) for anybody else."""
    roles = await conn.scalar(select(staff.c.roles).where(staff.c.id == id, staff.c.active))
    if roles is None:
        raise _unknown()
    return frozenset(map(Role, roles))


async def require(conn: AsyncConnection, actor: str, act: Act) -> frozenset[Role]:
    """The actor's roles, one of which allows the act. Raises ``Refusal`` (unknown_staff, wrong_role)."""
    roles = await roles_of(conn, actor)
    check_role(roles, act)
    return roles


async def seed_development(conn: AsyncConnection) -> None:
    """One member of staff per role, and one who is officer and approver; whoever is there stays as is."""
    known = {member.id for member in await all_staff(conn)}
    for id, roles in _DEVELOPMENT.items():
        if id not in known:
            await add(conn, id, roles, by=audit.AUTOMATIC)


def _unknown() -> Refusal:
    return Refusal(Code.UNKNOWN_STAFF, "not in the staff register, or no longer active: `kaiji staff list`")
