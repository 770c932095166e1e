"""`kaiji database`: brings the schema up to date, where no development stack does."""

import asyncio

from starter.cli.context import Installation, command, new_group
from starter.cli.output import Answer, say

app = new_group("Database: its schema.")


@command(app, "upgrade", example="kaiji database upgrade")
async def upgrade(installation: Installation) -> Answer:
    """Bring the database to the newest revision, all of it or nothing; one that has it is left alone."""
    from records import migrate
    from runtime.errors import Unreachable

    if installation.settings.database_url is None:
        raise Unreachable("database", "set KAIJI_DATABASE_URL to where it is")
    url = installation.settings.database()
    before = await asyncio.to_thread(migrate.current, url)
    await asyncio.to_thread(migrate.upgrade, url)
    after = migrate.head()
    done = f"Revision {after}." if before == after else f"From revision {before or 'none'} to {after}."
    return say({"before": before, "after": after}, done)
