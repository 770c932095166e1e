"""A ledger of the second revision, with its money where it was, in the third."""

from datetime import date

from alembic import command
from sqlalchemy import create_engine, text

from records import books, ledger, migrate
from records.database import Database, psycopg_url
from records.ledger import DepositState, Match, Suspense
from runtime.embedded.postgres import PostgresServer
from runtime.keys import Keyring

_REQUESTS = {1: "open", 2: "paid", 3: "lapsed", 4: "cancelled"}
_DEPOSITS = [  # id, state, amount, request, reason
    ("short", "matched", 5000, 1, None),
    ("first", "matched", 5000, 2, None),
    ("over", "matched", 1000, 2, None),
    ("useless", "matched", 10, 2, None),
    ("gone", "cancelled", 5400, 2, None),
    ("part", "matched", 2000, 3, None),
    ("waiting", "suspense", 70, None, "unidentified"),
    ("early", "preliminary", 5400, None, None),
    ("new", "settled", 5400, None, None),
    ("euro", "suspense", 7, None, "currency"),
]

_REQUEST = """
insert into requests (id, opened_on, opened_by, kind, capacity, subject_matter, language, services,
                      pack_version, closed_on)
values (:id, '2018-11-01', 'officer-1', 'disclosure', 'self', 'customer', 'ja', '{}', 'x', '2018-12-06')
"""
_LETTER = """
insert into letters (id, request_id, key, kind, record_class, language, queued_on, state, pages)
values (:letter, :id, 'i', 'invoice', 'payment_records', 'ja', '2018-11-05', 'queued', 1)
"""
_INVOICE = """
insert into invoices (number, request_id, letter_id, payment_reference, issued_on, due_on, lines, total, tax,
                      tax_rate, state)
values (:number, :id, :letter, :number, '2018-11-05', '2018-12-05', '[]', 5400, 400, 8, :state)
"""
_DEPOSIT = """
insert into deposits (source, deposit_id, state, amount, currency, value_date, request_id, suspense_reason,
                      recorded_at)
values ('webhook', :id, :state, :amount, :currency, '2018-11-12', :request, :reason,
        timestamptz '2018-11-12 00:00Z' + :at * interval '1 s')
"""


async def test_every_yen_is_where_it_was(postgres: PostgresServer, keyring: Keyring) -> None:
    await postgres.ensure_database("money_migration")
    url = postgres.url("money_migration")
    engine = create_engine(psycopg_url(url))
    with engine.begin() as conn:
        command.upgrade(migrate._config(conn), "0002")
        for number, state in _REQUESTS.items():
            fill = {"id": f"DR-{number}", "letter": f"L-{number}", "number": f"INV-{number}", "state": state}
            conn.execute(
                text(_REQUEST),
                fill,
            )
            conn.execute(
                text(_LETTER),
                fill,
            )
            conn.execute(
                text(_INVOICE),
                fill,
            )
        for second, (id, state, amount, request, reason) in enumerate(_DEPOSITS):
            conn.execute(
                text(_DEPOSIT),
                {
                    "id": id,
                    "state": state,
                    "amount": amount,
                    "currency": "EUR" if id == "euro" else "JPY",
                    "request": request and f"DR-{request}",
                    "reason": reason,
                    "at": second,
                },
            )
    engine.dispose()
    migrate.upgrade(url)
    db = Database(url, keyring)
    async with db.begin() as conn:
        rows = {row.deposit_id: row for row in await ledger.list_deposits(conn)}
        assert {id: row.match for id, row in rows.items()} == {
            "short": Match(DepositState.MATCHED, "DR-1"),
            "first": Match(DepositState.MATCHED, "DR-2"),
            "over": Match(DepositState.SUSPENSE, "DR-2", Suspense.OVER),
            "useless": Match(DepositState.SUSPENSE, None, Suspense.OVER),
            "gone": Match(DepositState.CANCELLED, "DR-2"),
            "part": Match(DepositState.SUSPENSE, None, Suspense.LAPSED),
            "waiting": Match(DepositState.SUSPENSE, None, Suspense.UNIDENTIFIED),
            "early": Match(DepositState.PRELIMINARY),
            "new": Match(DepositState.SETTLED),
            "euro": Match(DepositState.SUSPENSE, None, Suspense.CURRENCY),
        }
        assert rows["over"].remainder == 600
        assert (await ledger.payments(conn, "DR-3")).received == 2000
        found = await books.month(conn, date(2018, 12, 1))
        assert found.faults == ()
        assert found.closing == books.Balance({"JPY": 600 + 10 + 2000 + 70 + 5400, "EUR": 700}, 400)
        notes = await conn.execute(text("select number, amount, reason from credit_notes order by number"))
        assert [tuple(note) for note in notes] == [
            ("CN-2018-000001", 5400, "lapsed"),
            ("CN-2018-000002", 5400, "withdrawn"),
        ]
        assert await conn.scalar(text("select value from counters where name = 'credit_note/2018'")) == 2
    await db.dispose()
    await postgres.drop_database("money_migration")
