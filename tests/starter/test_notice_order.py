"""Preliminary, settled and cancelled come in any order and again: what stands in the end is the same."""

import itertools
from collections.abc import AsyncIterator
from datetime import date

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policy.checkdigits import payment_reference
from policy.deposit import parse_notice
from records import books, ledger
from records.database import Database
from records.ledger import DepositState
from runtime.embedded.postgres import PostgresServer
from runtime.errors import Unreachable
from runtime.keys import Keyring
from starter.notices import Notices
from tests.records.material import open_request
from tests.records.money import issue
from tests.starter.payment_system import encoded, notice, nowhere

PRELIMINARY, SETTLED, CANCELLED = "deposit.preliminary", "deposit.settled", "deposit.cancelled"
SENT = {PRELIMINARY: "2018-11-20", SETTLED: "2018-11-21", CANCELLED: "2018-11-26"}
LOOK = "the worker looks"
"""What happens between notices, at any time: the deposit is matched with what it may pay."""

numbers = itertools.count(1)


@pytest.fixture(scope="module")
async def database(
    postgres: PostgresServer, migrated_template: str, keyring: Keyring
) -> AsyncIterator[Database]:
    await postgres.clone_database(migrated_template, "notice_order")
    database = Database(postgres.url("notice_order"), keyring)
    yield database
    await database.dispose()
    await postgres.drop_database("notice_order")


@st.composite
def courses(draw: st.DrawFn) -> list[tuple[str, str]]:
    """Notices with their ids, some of them again (under the same id or another), and looks; in any order."""
    told = draw(st.sets(st.sampled_from([PRELIMINARY, SETTLED, CANCELLED]), min_size=1))
    again = st.tuples(st.sampled_from(sorted(told)), st.sampled_from("ab"))
    looks = [(LOOK, "")] * draw(st.integers(0, 2))
    steps = [(type, "a") for type in sorted(told)] + draw(st.lists(again, max_size=4)) + looks
    return draw(st.permutations(steps))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(course=courses())
async def test_every_order_ends_alike(
    database: Database, keyring: Keyring, course: list[tuple[str, str]]
) -> None:
    number = next(numbers)
    deposit_id, reference = f"D-{number}", payment_reference(number)
    notices = Notices("webhook", database, keyring, nowhere)
    async with database.begin() as conn:
        request_id = await open_request(conn)
        await issue(conn, database.vault, request_id, reference=reference)

    async def look() -> None:
        async with database.begin() as conn:
            await ledger.match(conn, "webhook", deposit_id)

    known = False
    for type, id in course:
        if type == LOOK:
            if known:
                await look()
            continue
        known = True
        document = notice(deposit_id, type, reference=reference)
        body = encoded(document | {"timestamp": f"{SENT[type]}T09:00:00+09:00"})
        try:
            await notices.take(f"msg-{number}-{type}-{id}", body, parse_notice(body))
        except Unreachable as error:
            assert error.service == "Temporal"  # noqa: PT017
    await look()

    told = {type for type, _ in course}
    async with database.begin() as conn:
        deposit = await ledger.find(conn, "webhook", deposit_id)
        paid = await ledger.payments(conn, request_id)
        assert await books.faults(conn) == []
    assert (deposit.amount, deposit.value_date) == (5400, date(2018, 11, 20))
    if CANCELLED in told:
        assert (deposit.state, deposit.moved_on) == (DepositState.CANCELLED, date(2018, 11, 26))
        assert (paid.received, paid.paid, deposit.remainder) == (0, False, 0)
    elif SETTLED in told:
        assert (deposit.state, deposit.moved_on) == (DepositState.MATCHED, date(2018, 11, 20))
        assert (paid.received, paid.paid, deposit.requests) == (5400, True, (request_id,))
    else:
        assert (deposit.state, paid.received) == (DepositState.PRELIMINARY, 0)
