"""Deposit notices, whatever way they come in: recorded in the ledger, then carried to Temporal by ids alone.

Both steps are idempotent. If the second one fails the notice is not acknowledged; its repeat completes it, or
the worker does before that.
"""

from policy.deposit import DepositNotice
from policy.refusals import Code, Refusal
from records import ledger
from records.database import Database
from runtime.keys import Keyring
from starter.errands import ClientSource, Errands


class Notices:
    """The way in for notices of one source."""

    def __init__(self, source: str, database: Database, keyring: Keyring, client: ClientSource) -> None:
        self._source = source
        self._database = database
        self._keyring = keyring
        self._errands = Errands(database, client)

    async def take(self, webhook_id: str, body: bytes, notice: DepositNotice) -> None:
        """Record a notice and tell Temporal; a repeat changes nothing but completes what was left half done.

        Raises ``Refusal`` (notice_conflict) where other content has its place, and ``Unreachable``: then it
        is to be repeated.
        """
        async with self._database.begin() as conn:
            result = await ledger.record_notice(
                conn,
                self._database.vault,
                self._keyring,
                source=self._source,
                webhook_id=webhook_id,
                body=body,
                notice=notice,
            )
        if result.conflict:
            message = "a notice with this id, or of this type for this deposit, said otherwise"
            raise Refusal(Code.NOTICE_CONFLICT, message)
        await self._errands.run_for(self._source, notice.data.deposit_id)
