"""What the tests of the ledger are made of: invoices, deposits out of bank files, accounts to refund to."""

import io
from collections.abc import Sequence
from datetime import date

from pypdf import PdfWriter
from sqlalchemy.ext.asyncio import AsyncConnection

from policy.checkdigits import payment_reference
from policy.fees import Quote, QuoteLine
from policy.law import included_tax
from policy.refund import AccountType, RefundAccount
from policy.vocabulary import Language, LetterKind, RecordClass
from records import books, invoices, letters, refunds
from records.bank_lines import BankDeposit, Recorded
from records.database import Database
from records.ledger import record_many
from records.vault import Vault
from runtime.keys import Keyring
from tests.records.material import open_request

ON = date(2018, 12, 6)
REFERENCE = payment_reference(1234567)
ACCOUNT = RefundAccount(
    bank_code="0001",
    branch_code="001",
    account_type=AccountType.ORDINARY,
    number="1234567",
    holder_kana="ミホン ハナコ",
)


def _blank_page() -> bytes:
    """A letter that can be printed with others."""
    writer, content = PdfWriter(), io.BytesIO()
    writer.add_blank_page(595, 842)
    writer.write(content)
    return content.getvalue()


async def issue(
    conn: AsyncConnection,
    vault: Vault,
    request_id: str,
    *,
    total: int = 5400,
    reference: str = REFERENCE,
    on: date = date(2018, 11, 5),
    services: Sequence[str] = ("gmo-appscloud",),
) -> str:
    """A request's invoice over as much for each service, and its letter; answers the invoice's number."""
    number = f"INV-2018-{request_id[8:14]}"
    letter_id = await letters.queue(
        conn,
        vault,
        key="invoice",
        request_id=request_id,
        kind=LetterKind.INVOICE,
        record_class=RecordClass.PAYMENT_RECORDS,
        language=Language.JA,
        queued_on=on,
        pdf=_blank_page(),
        pages=1,
    )
    issued = [
        await invoices.issue(
            conn,
            number=number,
            request_id=request_id,
            letter_id=letter_id,
            payment_reference=reference,
            issued_on=on,
            due_on=date(2018, 12, 5),
            quote=Quote(
                lines=tuple(QuoteLine(service=each, amount=total // len(services)) for each in services),
                total=total,
                tax=included_tax(total, 8),
                rate=8,
            ),
        )
        for _ in range(2)
    ]
    assert issued == [True, False]
    return number


async def invoice(db: Database, request_id: str, total: int = 5400, reference: str = REFERENCE) -> None:
    async with db.begin() as conn:
        await issue(conn, db.vault, request_id, total=total, reference=reference)


async def invoiced(db: Database, count: int, total: int = 5400) -> list[tuple[str, str]]:
    """So many requests with an open invoice: their ids and payment references."""
    made = []
    async with db.begin() as conn:
        for number in range(1, count + 1):
            request_id, reference = await open_request(conn), payment_reference(number)
            await issue(conn, db.vault, request_id, total=total, reference=reference)
            made.append((request_id, reference))
    return made


async def invoice_state(db: Database, request_id: str) -> str:
    async with db.begin() as conn:
        found = await invoices.of_request(conn, request_id)
        assert found is not None
        return found.state


def bank(deposit_id: str = "B1", amount: int = 5400, reference: str = "", **changes: object) -> BankDeposit:
    content: dict[str, object] = {
        "deposit_id": deposit_id,
        "amount": amount,
        "value_date": date(2018, 11, 12),
        "account": "0000-001-1234567",
        "bank_likeness": f"like {deposit_id}",
        "payer_name": f"{reference}ﾐﾎﾝ ﾊﾅｺ",
    }
    return BankDeposit(**{**content, **changes})  # type: ignore[arg-type]


async def record(
    db: Database,
    keyring: Keyring,
    *deposits: BankDeposit,
    source: str = "zengin",
    import_id: str = "file-1",
    kind: str = "",
) -> Recorded:
    async with db.begin() as conn:
        return await record_many(conn, db.vault, keyring, source, import_id, deposits, kind=kind)


async def propose_refund(
    conn: AsyncConnection,
    vault: Vault,
    deposit_id: str,
    amount: int | None = None,
    *,
    source: str = "zengin",
    account: RefundAccount = ACCOUNT,
    by: str = "accounts-1",
    on: date = ON,
    key: str = "1",
) -> refunds.RefundRow:
    """A refund that a clerk proposes, with the account sealed for it."""
    account_id = await refunds.seal_account(conn, vault, source, deposit_id, account)
    return await refunds.propose(
        conn, source, deposit_id, account_id=account_id, by=by, on=on, key=key, amount=amount
    )


async def balanced(db: Database, month: date = date(2018, 11, 1)) -> books.Books:
    """The books of a month, which balance."""
    async with db.begin() as conn:
        found = await books.month(conn, month)
    assert found.faults == ()
    for line in found.deposits:
        assert line.opening + line.received == line.matched + line.refunded + line.taken_back + line.closing
        assert line.amount == line.total_matched + line.total_refunded + line.closing
    for owed in found.invoices:
        assert owed.opening + owed.invoiced == owed.paid + owed.credited + owed.closing
        assert owed.total == owed.total_paid + owed.total_credited + owed.closing
    return found
