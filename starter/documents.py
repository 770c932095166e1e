"""Looking at a document (§5(2)(6)): its scan is opened for who may see it, and that is recorded."""

from dataclasses import dataclass
from uuid import uuid4

from activities.acting import acting
from policy.refusals import Code, Refusal
from policy.roles import Act
from policy.vocabulary import CustodyEvent, RecordClass
from records import audit, certificates, documents, requests
from records.database import Database
from records.documents import DocumentRow
from starter.today import machine_day


@dataclass(frozen=True, repr=False)
class Scan:
    """A scan as it was recorded, and the document it is of."""

    content: bytes
    media_type: str
    document: DocumentRow


async def view(database: Database, request_id: str, number: int, *, by: str) -> Scan:
    """The scan of a document of a request; each viewing is audited and stands in the document's custody.

    Raises `Refusal`: unknown_request; unknown_staff, wrong_role (audited too); unknown_document; not_found
    for a document that has no scan, or whose scan is destroyed.
    """
    async with database.begin() as conn:
        await requests.find(conn, request_id)
        done = {gone.record_class: gone for gone in await certificates.of_request(conn, request_id)}
    async with acting(database, request_id, by, Act.VIEW_DOCUMENT, f"view/{number}/{uuid4()}") as conn:
        if (gone := done.get(RecordClass.IDENTITY_DOCUMENTS)) is not None:
            message = f"the identity documents of this request were destroyed on {gone.destroyed_on}"
            raise Refusal(Code.NOT_FOUND, message, clause=gone.clause)
        document = await documents.find(conn, request_id, number)
        if document.scan_id is None or document.scan_type is None:
            raise Refusal(Code.NOT_FOUND, f"document {number} was recorded without a scan: look at the paper")
        content = await database.vault.unseal(conn, document.scan_id)
        await documents.add_custody(
            conn,
            request_id,
            document.paper,
            CustodyEvent.LOOKED_AT,
            on=machine_day(),
            by=by,
        )
        await audit.append(conn, request_id, actor=by, act="document_viewed", detail={"document": number})
    return Scan(content, document.scan_type, document)
