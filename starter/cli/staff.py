"""`kaiji staff`: who may act, by pseudonym, and in which roles."""

from typing import Annotated
from uuid import uuid4

import typer

from policy.vocabulary import Role
from starter.cli.context import By, Installation, command, new_group
from starter.cli.output import Answer, say, table

app = new_group("Staff: who may act, and in which roles.")


@command(app, "list", example="kaiji staff list")
async def list_(installation: Installation) -> Answer:
    """List the staff register."""
    from records import staff

    async with installation.database.begin() as conn:
        members = await staff.all_staff(conn)
    listed = [{"id": m.id, "roles": sorted(m.roles), "active": m.active} for m in members]
    rows = [(m.id, ", ".join(sorted(m.roles)), None if m.active else "no longer active") for m in members]
    empty = "Nobody yet: the first to be added is a manager, by themselves."
    return Answer({"staff": listed}, lambda: table(["staff", "roles", ""], rows, empty=empty))


@command(app, "add", example="kaiji staff add officer-3 --role officer --role approver --by manager-1")
async def add(
    installation: Installation,
    id: Annotated[str, typer.Argument(metavar="ID", help="A pseudonym of 2 to 32 characters: a-z, 0-9, -.")],
    role: Annotated[list[Role], typer.Option("--role", help="What they may do; may be repeated.")],
    by: By,
) -> Answer:
    """Enter somebody in the register, or give somebody new roles. The first is a manager, by themselves."""
    from activities.acting import acting
    from policy.roles import Act
    from records import staff

    database = installation.database
    async with database.begin() as conn:
        first = not await staff.all_staff(conn) and id == by and Role.MANAGER in role
    adding = acting(database, staff.CASE, by, Act.ADD_STAFF, f"add/{uuid4()}")
    async with database.begin() if first else adding as conn:
        member = await staff.add(conn, id, role, by=by)
    roles = sorted(member.roles)
    return say({"id": member.id, "roles": roles, "active": True}, f"{member.id} is {', '.join(roles)}.")
