"""What was decided, done in the register of personal data: amendments and cessations (§1, §5(1))."""

from temporalio import activity

from activities.holdings import search
from activities.messages import CarriedOut, CarryOutOrder, ServiceDecision, UndoOrder
from policy.registry import pack
from policy.vocabulary import Cessation, ChangeAction, Decision, Kind
from records import changes, holdings, requests
from records.changes import State, Work
from records.database import Database
from runtime.keys import Keyring


class CarryingOutActivities:
    """Each is one transaction; what was done once under a number is not done again, even if it was undone."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring

    @activity.defn
    async def carry_out(self, order: CarryOutOrder) -> CarriedOut:
        """Carry out each decision that needs no hand: an amendment, whole or in part, with a change list; a
        cessation granted in whole. Anything else an officer does, and tells of in the letter.

        Raises `Refusal` (changes_conflict) as long as the answer to another request waits that changed the
        same: it is repeated until then.
        """
        vault = self._database.vault
        async with self._database.begin() as conn:
            await holdings.lock_register(conn)
            request = await requests.find(conn, order.request_id)
            terms = pack(request.pack_version)
            decided = [each for each in order.decisions if _needs_no_hand(each, request.kind)]
            found = await search(
                conn,
                self._database,
                self._keyring,
                order.request_id,
                [each.service for each in decided],
                deleted=True,
            )
            for decision in decided:
                service = decision.service
                work = Work(order.request_id, f"{order.number}/{service}", service, order.on)
                if isinstance(request.detail_kind, Cessation):
                    action = ChangeAction(request.detail_kind)
                    recipients = [provision.code for provision in terms.provisions]
                    await changes.cease(conn, work, found[service], action, recipients)
                elif decision.changes_id:
                    wanted = await changes.read_list(conn, vault, order.request_id, decision.changes_id)
                    left_out = [each.item for each in decision.withhold]
                    await changes.amend(conn, vault, work, terms, found[service], wanted, left_out)
            rows = await changes.of_request(conn, order.request_id)
        return CarriedOut(changes=_applied(rows))

    @activity.defn
    async def undo(self, order: UndoOrder) -> CarriedOut:
        """Undo what was carried out and is not final."""
        async with self._database.begin() as conn:
            await changes.undo(conn, self._database.vault, order.request_id, order.on)
            rows = await changes.of_request(conn, order.request_id)
        return CarriedOut(changes=_applied(rows))


def _needs_no_hand(decision: ServiceDecision, kind: Kind) -> bool:
    if kind is Kind.AMENDMENT:
        return decision.changes_id is not None and decision.decision in (Decision.GRANT, Decision.PARTIAL)
    return kind is Kind.CESSATION and decision.decision is Decision.GRANT


def _applied(rows: list[changes.ChangeRow]) -> int:
    return sum(row.state is State.APPLIED for row in rows)
