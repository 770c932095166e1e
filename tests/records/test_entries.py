"""Entries told twice, as a lump sum and payment by payment: the money counts once, whichever comes first."""

from itertools import permutations

import pytest

from policy.refusals import Code, Refusal
from records import audit, errands, ledger, staff
from records.bank_lines import BankDeposit
from records.database import Database
from records.ledger import DepositState, Suspense
from runtime.keys import Keyring
from tests.records.money import ON, balanced, bank, invoiced, propose_refund, record

TOTAL = 8100
STATEMENT, NOTICE = "camt.053", "camt.054"


def lump(deposit_id: str = "L", own: str = "", amount: int = TOTAL, **changes: object) -> BankDeposit:
    entry = f"entry {amount}"
    return bank(deposit_id, amount, payer_name="", entry=entry, entry_reference=own, lump=True, **changes)


def parts(
    *references: str, first: str = "P", own: str = "", amounts: tuple[int, ...] = (5400, 2700)
) -> list[BankDeposit]:
    return [
        bank(f"{first}{n}", amount, reference, entry=f"entry {sum(amounts)}", entry_reference=own)
        for n, (amount, reference) in enumerate(zip(amounts, references or ("", ""), strict=True))
    ]


async def reasons(db: Database, *ids: str) -> list[Suspense | None]:
    async with db.begin() as conn:
        return [(await ledger.find(conn, "zengin", id)).suspense_reason for id in ids]


async def staffed(db: Database) -> None:
    async with db.begin() as conn:
        await staff.seed_development(conn)


async def dismiss(db: Database, deposit_id: str) -> DepositState:
    async with db.begin() as conn:
        return (await ledger.dismiss_twin(conn, "zengin", deposit_id, by="accounts-1", on=ON)).state


@pytest.mark.parametrize("own", ["", "the bank's"])
@pytest.mark.parametrize("lump_first", [True, False])
@pytest.mark.parametrize("kinds", [(STATEMENT, NOTICE), (NOTICE, STATEMENT)])
async def test_a_lump_is_a_twin_of_its_details_whichever_comes_first(
    db: Database, keyring: Keyring, own: str, lump_first: bool, kinds: tuple[str, str]
) -> None:
    (one, reference), (two, another) = await invoiced(db, 2)
    told = [([lump(own=own)], kinds[0]), (parts(reference, another, own=own), kinds[1])]
    for lines, kind in told if lump_first else told[::-1]:
        await record(db, keyring, *lines, kind=kind, import_id=kind)
    for lines, kind in told * 2:
        found = await record(db, keyring, *lines, kind=kind, import_id=kind)
        assert (found.new, found.repeated, found.doubts) == (0, len(lines), 0)
    assert await reasons(db, "L", "P0", "P1") == [Suspense.TWIN, None, None]
    async with db.begin() as conn:
        assert [(await ledger.payments(conn, each)).received for each in (one, two)] == [5400, 2700]
        acts = [event.act for event in await audit.events(conn, "deposit/zengin/L")]
        assert acts[-1] == "deposit_in_suspense"
        assert {each.request_id for each in await errands.pending(conn, of=("zengin", "L"))} == {None}
    await staffed(db)
    async with db.begin() as conn:
        assert await ledger.possible_twins(conn, "zengin", "L") == [("zengin", "P0"), ("zengin", "P1")]
        assert await ledger.possible_twins(conn, "zengin", "P0") == [("zengin", "L")]
    assert await dismiss(db, "L") is DepositState.CANCELLED
    for lines, kind in told:
        assert (await record(db, keyring, *lines, kind=kind, import_id=kind)).new == 0
    assert (await balanced(db, ON)).closing.suspense == {"JPY": 0}


async def test_what_a_clerk_made_of_the_lump_stands(db: Database, keyring: Keyring) -> None:
    (one, reference), *_ = await invoiced(db, 2)
    await staffed(db)
    await record(db, keyring, lump("A"), lump("G", amount=300), kind=STATEMENT)
    async with db.begin() as conn:
        await ledger.assign(conn, "zengin", "A", one, "accounts-1")
        await propose_refund(conn, db.vault, "G", 100)
    told = [*parts(reference, ""), *parts(first="Q", amounts=(100, 200))]
    for line in told:  # as of a large file, block by block
        await record(db, keyring, line, kind=NOTICE, import_id="file-2")
    assert await reasons(db, "P0", "P1", "Q0", "Q1") == [Suspense.TWIN] * 4
    assert await reasons(db, "A", "G") == [Suspense.OVER, Suspense.UNIDENTIFIED]
    for id in ("P1", "P0", "Q0", "Q1"):
        assert await dismiss(db, id) is DepositState.CANCELLED
    books = await balanced(db, ON)
    assert books.closing.suspense == {"JPY": TOTAL - 5400 + 200}


async def test_equal_lumps_are_as_many_as_there_are(db: Database, keyring: Keyring) -> None:
    await record(db, keyring, lump("L1", "r1"), lump("L2", "r2"), kind=STATEMENT)
    await record(db, keyring, lump("L3", "r3"), kind=NOTICE, import_id="file-2")
    assert await reasons(db, "L1", "L2", "L3") == [Suspense.UNIDENTIFIED] * 3
    # the details of the second; those of a third entry, that has another reference
    await record(db, keyring, *parts(own="r2"), kind=NOTICE, import_id="file-3")
    assert await reasons(db, "L1", "L2", "P0") == [
        Suspense.UNIDENTIFIED,
        Suspense.TWIN,
        Suspense.UNIDENTIFIED,
    ]
    await record(db, keyring, *parts(first="Q"), kind=NOTICE, import_id="file-4")
    assert await reasons(db, "L1", "L2", "L3") == [Suspense.TWIN, Suspense.TWIN, Suspense.UNIDENTIFIED]
    await staffed(db)
    assert await dismiss(db, "L1") is await dismiss(db, "L2") is DepositState.CANCELLED
    for id in ("L3", "P0", "Q1"):
        with pytest.raises(Refusal) as caught:
            await dismiss(db, id)
        assert caught.value.code is Code.DEPOSIT_NOT_ASSIGNABLE
    assert (await balanced(db, ON)).closing.suspense == {"JPY": 3 * TOTAL}


@pytest.mark.parametrize("order", [*permutations(["lump", "both", "details"])])
async def test_one_file_tells_no_entry_twice(db: Database, keyring: Keyring, order: list[str]) -> None:
    told = {
        "lump": ([lump("L1")], STATEMENT),
        "both": ([lump("L1"), *parts(first="P")], STATEMENT),  # two entries, one of them with its payments
        "details": ([*parts(first="P"), *parts(first="Q")], NOTICE),  # both with theirs
    }
    for name in order:
        lines, kind = told[name]
        await record(db, keyring, *lines, kind=kind, import_id=name)
    await staffed(db)
    assert await reasons(db, "L1") == [Suspense.TWIN]
    await dismiss(db, "L1")
    assert (await balanced(db, ON)).closing.suspense == {"JPY": 2 * TOTAL}


async def test_an_entry_of_the_same_file_with_payments_is_another(db: Database, keyring: Keyring) -> None:
    await record(db, keyring, lump("L1"), *parts(first="P"), kind=STATEMENT)
    assert await reasons(db, "L1", "P0", "P1") == [Suspense.UNIDENTIFIED] * 3


async def test_in_other_currencies_too_it_counts_once(db: Database, keyring: Keyring) -> None:
    def euros(line: BankDeposit) -> BankDeposit:
        return bank(**{**vars(line), "currency": "EUR", "reference": ""})

    await record(db, keyring, *map(euros, parts()), kind=NOTICE)
    await record(db, keyring, euros(lump()), kind=STATEMENT, import_id="file-2")
    assert await reasons(db, "L", "P0", "P1") == [Suspense.TWIN, Suspense.CURRENCY, Suspense.CURRENCY]


async def test_what_the_bank_took_back_stands_for_nothing(db: Database, keyring: Keyring) -> None:
    gone = bank("X", TOTAL, bank_likeness="like L", cancelled=True)
    await record(db, keyring, lump(), gone, kind=STATEMENT)
    await record(db, keyring, *parts(), kind=NOTICE, import_id="file-2")
    assert await reasons(db, "P0", "P1") == [Suspense.UNIDENTIFIED] * 2
