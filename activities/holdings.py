"""The register of personal data: searched for a person, and gathered into the response (§5(1), §3)."""

from collections.abc import Iterable
from uuid import NAMESPACE_URL, UUID, uuid5

from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity

from activities.draft import respond
from activities.messages import Located, LocateOrder, Prepared, PrepareOrder, ServiceDecision
from policy.registry import pack
from policy.vocabulary import RecordClass
from records import audit, holdings, notes, requests
from records.changes import read_list, targets
from records.database import Database
from runtime.keys import Keyring


class HoldingsActivities:
    """Reads the register; what is gathered is sealed, and only its id comes back."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring

    @activity.defn
    async def locate(self, order: LocateOrder) -> Located:
        """In which of the services there is data about the principal; audited."""
        async with self._database.begin() as conn:
            found = await search(conn, self._database, self._keyring, order.request_id, order.services)
            services = tuple(service for service in order.services if found[service])
            await audit.append(
                conn,
                order.request_id,
                actor=audit.AUTOMATIC,
                act="data_located",
                detail={"services": list(services)},
                key="data_located",
            )
        return Located(services=services)

    @activity.defn
    async def prepare_response(self, order: PrepareOrder) -> Prepared:
        """Gather the answer for each decided service and seal it, word for word what will be approved."""
        drafts, vault = {}, self._database.vault
        async with self._database.begin() as conn:
            named = [decision.service for decision in order.decisions]
            found = await search(conn, self._database, self._keyring, order.request_id, named)
            request = await requests.find(conn, order.request_id)
            terms = pack(request.pack_version)
            for decision in order.decisions:
                changes, subjects = None, found[decision.service]
                if decision.changes_id:
                    changes = await read_list(conn, vault, order.request_id, decision.changes_id)
                    subjects = await targets(conn, vault, subjects, changes)
                answer = respond(
                    decision,
                    pack=terms,
                    kind=request.kind,
                    change=request.detail_kind,
                    language=request.language,
                    remarks=await notes.read_text(conn, vault, UUID(decision.note_id))
                    if decision.note_id
                    else None,
                    changes=changes,
                    data=[await holdings.read_subject(conn, vault, subject) for subject in subjects],
                    on=order.on,
                )
                drafts[decision.service] = str(
                    await notes.write(
                        conn,
                        vault,
                        request_id=order.request_id,
                        purpose=notes.GATHERED,
                        content=answer.model_dump_json(),
                        written_by=audit.AUTOMATIC,
                        record_class=RecordClass.RESPONSE_CONTENT,
                        id=_draft_id(order, decision),
                    )
                )
            await audit.append(
                conn,
                order.request_id,
                actor=audit.AUTOMATIC,
                act="response_gathered",
                detail={"services": list(drafts)},
                key=f"response_gathered/{order.number}",
            )
        return Prepared(drafts=drafts)


async def search(
    conn: AsyncConnection,
    database: Database,
    keyring: Keyring,
    request_id: str,
    services: Iterable[str],
    *,
    deleted: bool = False,
) -> dict[str, list[UUID]]:
    """The principal of a request in each of these services; see `holdings.locate`."""
    people = await requests.parties(conn, database.vault, request_id)
    if people is None:
        raise LookupError(f"request {request_id} names nobody to search for")
    return await holdings.locate(conn, database.vault, keyring, people.principal, services, deleted=deleted)


def _draft_id(order: PrepareOrder, decision: ServiceDecision) -> UUID:
    """One for one decision at one gathering: a retry finds its draft, any other decision none."""
    return uuid5(NAMESPACE_URL, f"{order.request_id}/{order.number}/{decision.model_dump_json()}")
