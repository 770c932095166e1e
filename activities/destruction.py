"""The end of a record class: rows and key gone in one transaction, with certificate and audit event (§1)."""

from temporalio import activity

from activities.messages import Destroyed, DestroyOrder
from policy.refusals import Code, Refusal
from records import audit, retention
from records.database import Database


class DestructionActivities:
    """Destroying twice is destroying once: a repeat finds the certificate."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn
    async def destroy_class(self, order: DestroyOrder) -> Destroyed:
        """Destroy one record class of a request, unless a hold stands against it."""
        try:
            async with self._database.begin() as conn:
                certificate = await retention.destroy_class(
                    conn,
                    self._database.vault,
                    request_id=order.request_id,
                    record_class=order.record_class,
                    on=order.on,
                    rule=order.rule,
                    clause=order.clause,
                    pack_version=order.pack_version,
                    by=audit.AUTOMATIC,
                )
                if order.last:
                    await retention.mark_destroyed(conn, order.request_id, order.on)
        except Refusal as refusal:
            if refusal.code is not Code.ON_HOLD:
                raise
            return Destroyed(record_class=order.record_class, held=True)
        return Destroyed(record_class=order.record_class, records=certificate.records)
