"""Which invoice a deposit pays: by account, reference or number, never by name and amount."""

import asyncio

import pytest
from sqlalchemy import update

from policy.checkdigits import payment_reference
from policy.refusals import Code, Refusal
from policy.vocabulary import Role
from records import audit, errands, ledger, requests, staff, suggestions, virtual_accounts
from records.database import Database
from records.folding import fold_payer
from records.ledger import DepositState, Match, Part, Suspense
from records.matching import find_invoice_number
from records.suggestions import Why
from records.tables import requests as request_rows
from runtime.keys import Keyring
from tests.records.material import envelope, open_request
from tests.records.money import ON, balanced, bank, invoice, invoice_state, invoiced, issue, record


async def found(db: Database, deposit_id: str = "B1", source: str = "zengin") -> Match:
    async with db.begin() as conn:
        return (await ledger.find(conn, source, deposit_id)).match


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("INV-2018-000012", "INV-2018-000012"),
        ("ＩＮＶ－２０１８－０００００１", "INV-2018-000001"),
        ("inv2018000001", "INV-2018-000001"),
        ("ﾐﾎﾝ INV 2018 000001", "INV-2018-000001"),
        ("INVー2018ー000001 ﾐﾎﾝ", "INV-2018-000001"),
        ("INV-2018-000001 INV-2018-000001", "INV-2018-000001"),
        ("INV-2018-000001 INV-2018-000002", None),
        ("INV-2018-0000011", None),
        ("XINV-2018-000001", None),
        ("2018-000001", None),
        ("", None),
    ],
)
def test_an_invoice_number_is_found_however_it_is_typed(text: str, number: str | None) -> None:
    assert find_invoice_number(text) == number


async def test_account_before_reference_before_number(db: Database, keyring: Keyring) -> None:
    (by_account, _), (by_reference, reference), (by_number, _) = await invoiced(db, 3)
    async with db.begin() as conn:
        account = await virtual_accounts.give(conn, ["0001-001-7654321"], "INV-2018-000001", on=ON)
        assert account == "00010017654321"
    day = {"value_date": ON}
    words = {"edi": reference, "reference": "INV-2018-000003"}
    await record(
        db,
        keyring,
        bank("account", 1, account="００１-0017654321".replace("００１", "0001"), **words, **day),
        bank("reference", 2, **words, **day),
        bank("number", 3, edi="INV2018000003", **day),
        bank("nothing", 5400, **day),
    )
    assert await found(db, "account") == Match(DepositState.MATCHED, by_account)
    assert await found(db, "reference") == Match(DepositState.MATCHED, by_reference)
    assert await found(db, "number") == Match(DepositState.MATCHED, by_number)
    assert (await found(db, "nothing")).suspense_reason is Suspense.UNIDENTIFIED


async def test_a_reference_of_no_invoice_gives_way_to_the_number(
    db: Database, keyring: Keyring, request_id: str
) -> None:
    await invoice(db, request_id)
    await record(db, keyring, bank("B1", 5400, payment_reference(999), edi=f"INV-2018-{request_id[8:14]}"))
    assert await found(db) == Match(DepositState.MATCHED, request_id)


async def test_two_clerks_who_assign_the_same_remainder_one_wins(db: Database, keyring: Keyring) -> None:
    invoices = await invoiced(db, 6)
    await record(db, keyring, bank("B1", 5400))

    async def assign(request_id: str) -> Match:
        async with db.begin() as conn:
            return await ledger.assign(conn, "zengin", "B1", request_id, "accounts-1", ON)

    tries = await asyncio.gather(*(assign(request_id) for request_id, _ in invoices), return_exceptions=True)
    refused = [each.code for each in tries if isinstance(each, Refusal)]
    assert refused == [Code.DEPOSIT_NOT_ASSIGNABLE] * 5
    async with db.begin() as conn:
        received = [(await ledger.payments(conn, request_id)).received for request_id, _ in invoices]
    assert sorted(received) == [0] * 5 + [5400]
    await balanced(db)


async def test_what_is_over_may_be_assigned_to_another_request(db: Database, keyring: Keyring) -> None:
    (one, reference), (other, _) = await invoiced(db, 2)
    await record(db, keyring, bank("B1", 12000, reference))
    assert await found(db) == Match(DepositState.SUSPENSE, one, Suspense.OVER)
    async with db.begin() as conn:
        await ledger.assign(conn, "zengin", "B1", other, "accounts-1", ON)
        row = await ledger.find(conn, "zengin", "B1")
        assert (row.requests, row.request_id, row.remainder) == ((one, other), None, 1200)
        assert row.suspense_reason is Suspense.OVER
        with pytest.raises(Refusal):
            await ledger.assign(conn, "zengin", "B1", await open_request(conn), "accounts-1", ON)
    await balanced(db)


async def test_a_deposit_is_split_over_requests_all_or_none(db: Database, keyring: Keyring) -> None:
    (one, _), (other, _), (third, _) = await invoiced(db, 3)
    await record(db, keyring, bank("B1", 10000))
    async with db.begin() as conn:
        await staff.seed_development(conn)
    wrong: list[tuple[list[Part], str, Code]] = [
        ([], "accounts-1", Code.MALFORMED),
        ([Part(one, 0)], "accounts-1", Code.MALFORMED),
        ([Part(one, 1), Part(one, 2)], "accounts-1", Code.MALFORMED),
        ([Part(one, 1), Part(other, -1)], "accounts-1", Code.MALFORMED),
        ([Part(one, 5400), Part(other, 4601)], "accounts-1", Code.DEPOSIT_NOT_ASSIGNABLE),
        ([Part(one, 5401)], "accounts-1", Code.DEPOSIT_NOT_ASSIGNABLE),
        ([Part(one, 1), Part("DR-2018-000099-1", 1)], "accounts-1", Code.UNKNOWN_REQUEST),
        ([Part(one, 1)], "officer-1", Code.WRONG_ROLE),
        ([Part(one, 1)], "nobody-1", Code.UNKNOWN_STAFF),
    ]
    for parts, by, code in wrong:
        with pytest.raises(Refusal) as caught:
            async with db.begin() as conn:
                await ledger.split(conn, "zengin", "B1", parts, by=by, on=ON)
        assert caught.value.code is code
    assert (await found(db)).request_id is None
    parts = [Part(other, 4000), Part(one, 5400)]
    for _ in range(2):
        async with db.begin() as conn:
            row = await ledger.split(conn, "zengin", "B1", parts, by="accounts-1", on=ON)
            assert (row.requests, row.remainder) == ((one, other), 600)
            assert row.match == Match(DepositState.SUSPENSE, None, Suspense.SPLIT)
    async with db.begin() as conn:
        told = [each.request_id for each in await errands.pending(conn)][1:]
        assert told == [one, other, None]
        row = await ledger.split(conn, "zengin", "B1", [Part(third, 600)], by="accounts-1", on=ON)
        assert row.state is DepositState.MATCHED
        assert (
            len([e for e in await audit.events(conn, "deposit/zengin/B1") if e.act == "deposit_split"]) == 3
        )
    assert await invoice_state(db, one) == "paid"
    assert await invoice_state(db, other) == "open"
    await balanced(db)


async def test_a_twin_is_struck_out_by_a_clerk(db: Database, keyring: Keyring, request_id: str) -> None:
    await invoice(db, request_id)
    async with db.begin() as conn:
        await staff.add(conn, "accounts-1", [Role.ACCOUNTS], by="manager-1")
    await record(db, keyring, bank("B1", 2700, payment_reference(1234567)))
    await record(db, keyring, bank("C1", 2700, payment_reference(1234567)), source="camt")
    assert await found(db, "C1", "camt") == Match(DepositState.SUSPENSE, None, Suspense.TWIN)
    with pytest.raises(Refusal):
        async with db.begin() as conn:
            await ledger.dismiss_twin(conn, "zengin", "B1", by="accounts-1", on=ON)
    for _ in range(2):
        async with db.begin() as conn:
            gone = await ledger.dismiss_twin(conn, "camt", "C1", by="accounts-1", on=ON)
            assert (gone.state, gone.remainder) == (DepositState.CANCELLED, 0)
    books = await balanced(db, ON)
    assert books.closing.suspense == {"JPY": 0}
    assert books.closing.open == 2700


async def requester(db: Database, name: str, kana: str, number: int, total: int) -> str:
    """A request of somebody, with an open invoice."""
    principal = envelope().principal.model_copy(update={"name": name, "name_kana": kana})
    async with db.begin() as conn:
        request_id = await open_request(conn)
        party_id = await db.vault.seal_model(
            conn, request_id, "request_file", "parties", requests.Parties(principal=principal, applicant=None)
        )
        await conn.execute(
            update(request_rows).where(request_rows.c.id == request_id).values(party_id=party_id)
        )
        await issue(conn, db.vault, request_id, total=total, reference=payment_reference(number))
    return request_id


async def test_suggestions_are_ranked_by_name_and_amount_and_decide_nothing(
    db: Database, keyring: Keyring
) -> None:
    both = await requester(db, "見本 花子", "みほん はなこ", 1, 5400)
    name = await requester(db, "見本 花子", "ミホン ハナコ", 2, 10800)
    like = await requester(db, "見本 花", "ミホン ハナ", 3, 10800)
    amount = await requester(db, "例示 一郎", "レイジ イチロウ", 4, 5400)
    fee = await requester(db, "例示 次郎", "レイジ ジロウ", 5, 5830)
    await requester(db, "例示 三郎", "レイジ サブロウ", 6, 16200)
    await record(db, keyring, bank("B1", 5400, payer_name="ﾐﾎﾝ ﾊﾅｺ"), bank("B2", 1, payer_name="ﾀﾞﾚｶ"))
    async with db.begin() as conn:
        ranked = await suggestions.suggest(conn, db.vault, "zengin", "B1")
        assert [(one.request_id, one.why) for one in ranked] == [
            (both, (Why.NAME, Why.AMOUNT)),
            (name, (Why.NAME,)),
            (amount, (Why.AMOUNT,)),
            (like, (Why.SIMILAR_NAME,)),
            (fee, (Why.SHORT_BY_FEE,)),
        ]
        assert len(await suggestions.suggest(conn, db.vault, "zengin", "B1", limit=2)) == 2
        assert await suggestions.suggest(conn, db.vault, "zengin", "B2") == []
        row = await ledger.find(conn, "zengin", "B1")
        assert row.match == Match(DepositState.SUSPENSE, None, Suspense.UNIDENTIFIED)


@pytest.mark.parametrize(
    ("printed", "kana"),
    [
        ("ｶ)ﾐﾎﾝｼﾖｳｶｲ", "カ）ミホンショウカイ"),
        ("ﾐﾎﾝ ﾊﾅｺ", "みほん　はなこ"),
        ("12345674 ｼﾞﾖﾝ ｽﾐｽ-", "ジョン スミスー"),
        ("MIHON HANAKO", "Ｍｉｈｏｎ　Ｈａｎａｋｏ"),
    ],
)
def test_names_are_compared_as_banks_print_them(printed: str, kana: str) -> None:
    assert fold_payer(printed) == fold_payer(kana) != ""
