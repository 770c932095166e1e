"""Banks' files brought into the ledger: checked whole, then recorded block by block (§5(2)(6)).

Nothing is written of a file that has any finding. Between two blocks it may break off: then it stands as
begun and not finished, and goes on when it is imported again, for what is known changes nothing. Who is to
be told of a deposit is in ``errands`` with it.

Every bank's file is of one source, so that the notice and the statement of one account tell of one deposit;
the kinds of files are told apart in the ledger.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import BinaryIO
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncConnection

from activities.acting import acting
from policy.currency import smallest
from policy.refusals import Code, Refusal
from policy.roles import Act
from records import errands, import_log
from records.bank_lines import BankDeposit, Outcome, Recorded, Seen
from records.database import Database
from records.import_log import CASE, Import, Noted
from records.imports import record_many
from records.locks import lock
from records.own_payments import OwnPayment, record_own
from records.refunds import PaidLine
from records.twins import lock_money
from runtime.errors import Unreachable
from runtime.keys import Keyring
from starter import bank
from starter.bank import BankDeposit as BankLine
from starter.bank import BankFile, BankFileRefused, Movement
from starter.bank.digest import digest_of
from starter.errands import ClientSource, Errands

SOURCE = "bank"
"""The source of all deposits out of banks' files."""
BLOCK = 500
"""Lines that are recorded in one transaction, at most."""
TRIAL_BLOCK = 5_000
"""Lines that a dry run takes together: others wait for it meanwhile, for seconds."""
TELL_SECONDS = 10
"""How long an import tells of what it recorded; what is left by then the worker tells."""

_ARRIVED = (Movement.SETTLED, Movement.PRELIMINARY)

Advance = Callable[[int], None]


@dataclass(frozen=True)
class Imported:
    """How an import ended. ``result`` is what became of the lines this time, ``stands`` the import over all
    its runs, and ``was_finished`` whether an earlier one had come to the end of it.
    """

    stands: Import
    result: Recorded
    was_finished: bool


@dataclass(frozen=True)
class Trial:
    """What an import would do. ``exact`` is False where the file was tried block by block: what two lines far
    apart mean for each other is not in it.
    """

    result: Recorded
    first: tuple[Outcome, ...]
    exact: bool


class Importing:
    """Imports files on behalf of a member of staff, whose role is checked and whose attempt is audited."""

    def __init__(self, database: Database, keyring: Keyring, *, by: str, today: date) -> None:
        self._database = database
        self._keyring = keyring
        self._by = by
        self._today = today
        self._fingerprint = partial(keyring.fingerprint, "bank line")

    async def check(self, stream: BinaryIO) -> BankFile:
        """The file, checked as a whole. Raises ``BankFileRefused`` with every finding, ``Refusal``
        (unknown_staff, wrong_role) before anything is read.
        """
        async with acting(self._database, CASE, self._by, Act.IMPORT_DEPOSITS, f"import/{uuid4()}"):
            pass
        return bank.read(stream, self._today)

    async def run(self, file: BankFile, advance: Advance) -> Imported:
        """Record and match all of a checked file. Raises ``Unreachable``: imported again, it goes on; and
        ``Refusal`` (bank_file_refused) for a file that is written to meanwhile, which stays unfinished.
        """
        id = self._id(file)
        async with self._acting(id) as conn:
            begun = await import_log.begin(
                conn, id, file.format, file.transactions, by=self._by, on=self._today
            )
        result = Recorded()
        for part in self._parts(file):
            async with self._acting(id) as conn:
                recorded = await self._record(conn, id, file.format, part)
                await import_log.add(conn, id, recorded)
            result += recorded
            advance(len(part))
        if digest_of(file.content.source) != file.digest:
            raise _changed()
        async with self._acting(id) as conn:
            stands = await import_log.finish(conn, id, by=self._by, on=self._today)
        return Imported(stands, result, was_finished=begun.finished_on is not None)

    async def try_out(self, file: BankFile, advance: Advance, first: int) -> Trial:
        """What ``run`` would do, and what would become of the ``first`` lines; nothing is changed."""
        id, result, outcomes = self._id(file), Recorded(), list[Outcome]()

        def keep(outcome: Outcome) -> None:
            if len(outcomes) < first:
                outcomes.append(outcome)

        blocks = 0
        for parts in _together(self._parts(file), TRIAL_BLOCK):
            async with self._database.begin() as conn:
                trial = await conn.begin_nested()
                # all at once and first: no part waits for them while another's invoices are locked
                await lock(conn, f"deposits/{SOURCE}")
                await lock_money(conn, [_deposit(line) for part in parts for line in part if line.is_deposit])
                for part in parts:
                    result += await self._record(conn, id, file.format, part, seen=keep)
                    advance(len(part))
                await trial.rollback()
            blocks += 1
        return Trial(result, tuple(outcomes), exact=blocks <= 1)

    async def doubts(self, id: str, limit: int) -> list[Noted]:
        """What of an import a clerk has to judge, at most so many."""
        async with self._database.begin() as conn:
            return await import_log.doubts(conn, id, limit)

    def _id(self, file: BankFile) -> str:
        return self._keyring.fingerprint("bank file", file.digest.encode())[:16]

    def _acting(self, id: str) -> AbstractAsyncContextManager[AsyncConnection]:
        return acting(self._database, CASE, self._by, Act.IMPORT_DEPOSITS, f"import/{id}")

    def _parts(self, file: BankFile) -> Iterator[list[BankLine]]:
        """The lines in pieces, each to be recorded at once and all of one sort: first what arrived, so that a
        file may list the latest first and take back what it tells of later on.
        """
        others = False

        def arrived() -> Iterator[BankLine]:
            nonlocal others
            for line in self._lines(file):
                if line.movement in _ARRIVED:
                    yield line
                else:
                    others = True

        yield from _pieces(arrived())
        if others:
            yield from _pieces(line for line in self._lines(file) if line.movement not in _ARRIVED)

    def _lines(self, file: BankFile) -> Iterator[BankLine]:
        try:
            yield from file.lines(self._fingerprint)
        except BankFileRefused:
            raise _changed() from None

    async def _record(
        self,
        conn: AsyncConnection,
        id: str,
        kind: str,
        part: Sequence[BankLine],
        seen: Seen | None = None,
    ) -> Recorded:
        vault = self._database.vault
        if part[0].is_deposit:
            deposits = [_deposit(line) for line in part]
            return await record_many(
                conn, vault, self._keyring, SOURCE, id, deposits, kind=kind, by=self._by, seen=seen
            )
        ours = [_own(line) for line in part]
        return await record_own(conn, vault, SOURCE, id, ours, by=self._by, seen=seen)


async def tell(database: Database, client: ClientSource) -> tuple[bool, int]:
    """Tell whoever is to hear of deposits, for some seconds; answers whether Temporal was within reach, and
    how many errands are left.
    """
    telling, until, reached = Errands(database, client), time.monotonic() + TELL_SECONDS, True
    try:
        while time.monotonic() < until and await telling.run():
            pass
    except Unreachable:
        reached = False
    async with database.begin() as conn:
        return reached, await errands.count_pending(conn)


def _pieces(lines: Iterable[BankLine]) -> Iterator[list[BankLine]]:
    """Lines in blocks. One that takes a deposit back is alone: it locks what that paid for, and more than one
    at once could lock crosswise.
    """
    piece: list[BankLine] = []
    for line in lines:
        if line.movement is Movement.TAKEN_BACK:
            yield [line]
            continue
        piece.append(line)
        if len(piece) == BLOCK:
            yield piece
            piece = []
    if piece:
        yield piece


def _together(parts: Iterable[list[BankLine]], size: int) -> Iterator[list[list[BankLine]]]:
    """Parts in groups of so many lines at least."""
    group: list[list[BankLine]] = []
    for part in parts:
        group.append(part)
        if sum(map(len, group)) >= size:
            yield group
            group = []
    if group:
        yield group


def _changed() -> Refusal:
    return Refusal(
        Code.BANK_FILE_REFUSED,
        "the file was written to while it was imported: what was recorded by then stands, as `kaiji deposits "
        "imports` shows; import the file as the bank sent it",
    )


def _deposit(line: BankLine) -> BankDeposit:
    return BankDeposit(
        deposit_id=line.deposit_id,
        amount=smallest(line.amount, line.currency),
        currency=line.currency,
        value_date=line.value_date,
        booked_on=line.booked,
        account=line.account,
        bank_likeness=line.likeness,
        payer_name=line.party,
        reference=line.reference,
        edi=line.edi,
        virtual_account=line.virtual_account,
        number=line.bank_reference,
        preliminary=line.movement is Movement.PRELIMINARY,
        cancelled=line.movement is Movement.TAKEN_BACK,
        entry=line.entry,
        entry_reference=line.entry_reference,
        lump=line.lump,
    )


def _own(line: BankLine) -> OwnPayment:
    told = PaidLine(
        key=line.deposit_id,
        on=line.booked,
        amount=smallest(line.amount, line.currency),
        holder=line.party,
        text=f"{line.reference} {line.edi}",
    )
    return OwnPayment(told, line.currency, returned=line.movement is Movement.RETURNED)
