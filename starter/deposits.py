"""Deposits as accounts clerks deal with them: found, looked at, credited, given back (§5(2)(6)).

What is left in suspense is decided on in the deposit's workflow, which watches over it until then. All else
is written into the ledger, and whoever is to hear of it is told right after.
"""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio.workflow import UpdateMethodMultiParam

from activities.acting import acting
from policy.currency import shown
from policy.refund import RefundAccount
from policy.refusals import Code, Refusal
from policy.registry import pack_in_force
from policy.roles import Act
from records import allocations, audit, deposits, errands, ledger, payers, refunds, requests, suggestions
from records.allocations import Part
from records.database import Database
from records.deposits import WAITING, DepositRow
from records.errands import NewErrand
from records.payers import PayerWords
from records.refunds import RefundRow
from records.suggestions import Suggestion
from runtime.errors import Unreachable
from runtime.temporal import wait_until_idle
from starter.answers import NoWorkflow, understood
from starter.errands import ClientSource, Errands
from starter.requests import PATIENCE, SETTLED_WITHIN
from starter.today import machine_day
from starter.updates import say_update
from workflows.deposit import Deposit
from workflows.messages import AssignDeposit, DepositStatus, RefundDeposit


async def find(conn: AsyncConnection, name: str) -> DepositRow:
    """The deposit that somebody names as SOURCE/ID, or by an ID that one source alone has.

    Raises `Refusal`: unknown_deposit; malformed where several sources have the id.
    """
    source, slash, deposit_id = name.removeprefix("deposit/").rpartition("/")
    if slash:
        return await deposits.find(conn, source, deposit_id)
    found = await deposits.with_id(conn, deposit_id)
    if len(found) > 1:
        sources = " or ".join(f"{each.source}/" for each in found)
        raise Refusal(Code.MALFORMED, f"several sources have this id: write {sources} before it")
    return found[0] if found else await deposits.find(conn, source, deposit_id)


def due_on(deposit: DepositRow) -> date | None:
    """The last day on which what waits of a deposit is cleared in time; None where nothing waits."""
    if deposit.state not in WAITING:
        return None
    since = deposit.waits_since or deposit.moved_on
    return since + timedelta(days=pack_in_force(since).deadlines.suspense.days)


@dataclass(frozen=True)
class Done:
    """What an act led to. ``repeated`` says that it had been done before, ``told`` that whoever is to hear of
    it has heard: else the worker tells them as soon as Temporal is within reach.
    """

    deposit: DepositRow
    repeated: bool = False
    told: bool = True


class Clerk:
    """A member of staff who deals with deposits.

    Whatever they do is in the deposit's audit trail, and so is what they may not do. Each act raises
    `Refusal` (unknown_staff, wrong_role) for that, and for its own reasons; done again it changes nothing.
    """

    def __init__(self, database: Database, client: ClientSource, by: str) -> None:
        self._database = database
        self._client = client
        self._errands = Errands(database, client)
        self._by = by

    async def payer(self, deposit: DepositRow) -> PayerWords:
        """What the payer wrote. Raises `Destroyed`."""
        async with self._acting(deposit, Act.SHOW_DEPOSITS) as conn:
            key = deposit.source, deposit.deposit_id
            found = await payers.words(conn, self._database.vault, *key)
            await audit.append(conn, deposits.case_id(*key), actor=self._by, act="payer_viewed")
        return found

    async def suggest(self, deposit: DepositRow, limit: int) -> list[Suggestion]:
        """The open invoices it may be for, the likeliest first: names are opened for that."""
        async with self._acting(deposit, Act.SUGGEST_REQUESTS) as conn:
            key = deposit.source, deposit.deposit_id
            found = await suggestions.suggest(conn, self._database.vault, *key, limit=limit)
            detail = {"suggested": len(found)}
            await audit.append(
                conn, deposits.case_id(*key), actor=self._by, act="requests_suggested", detail=detail
            )
        return found

    async def assign(self, deposit: DepositRow, request_id: str) -> Done:
        """Credit what is left to the open invoice of a request, as far as that needs it.

        Raises `Refusal` (unknown_request, deposit_not_assignable), `Unreachable`.
        """
        async with self._acting(deposit, Act.ASSIGN_DEPOSIT) as conn:
            await requests.find(conn, request_id)
            if deposit.remainder == 0 and request_id in await _credited(conn, deposit):
                return Done(deposit, repeated=True)
        await self._decide(deposit, Deposit.assign, AssignDeposit(by=self._by, request_id=request_id))
        async with self._database.begin() as conn:
            after = await deposits.find(conn, deposit.source, deposit.deposit_id)
        return Done(after, repeated=after == deposit)

    async def refund(
        self, deposit: DepositRow, account: RefundAccount, amount: int | None
    ) -> tuple[RefundRow, Done]:
        """Propose to give back what is left, or so much of it, to this account.

        Raises `Refusal` (not_refundable), `Unreachable`; the account may be sealed by then, for the repeat.
        """
        key = deposit.source, deposit.deposit_id
        async with self._acting(deposit, Act.REFUND_DEPOSIT) as conn:
            vault = self._database.vault
            known = await refunds.proposed_before(conn, vault, *key, account, amount)
            if known is not None:
                return known, Done(deposit, repeated=True)
            if amount is not None and amount > deposit.remainder:
                there, wanted = (shown(each, deposit.currency) for each in (deposit.remainder, amount))
                left = f"{there} of the deposit wait to be given back, not {wanted}"
                raise Refusal(Code.NOT_REFUNDABLE, left)
            account_id = await refunds.seal_account(conn, vault, *key, account)
        order = RefundDeposit(by=self._by, account_id=str(account_id), amount=amount)
        status = await self._decide(deposit, Deposit.refund, order)
        async with self._database.begin() as conn:
            refund = await refunds.find(conn, status.refund or "")
            return refund, Done(await deposits.find(conn, *key))

    async def unassign(self, deposit: DepositRow, request_id: str) -> Done:
        """Take back what of it is credited to a request: it waits in suspense again.

        Raises `Refusal` (deposit_not_assignable).
        """
        async with self._acting(deposit, Act.UNASSIGN_DEPOSIT) as conn:
            after = await allocations.unassign(
                conn, deposit.source, deposit.deposit_id, request_id, by=self._by, on=machine_day()
            )
        return await self._done(deposit, after)

    async def split(self, deposit: DepositRow, parts: Sequence[Part]) -> Done:
        """Credit parts of what is left to several requests, all of them or none.

        Raises `Refusal` (malformed, unknown_request, deposit_not_assignable).
        """
        async with self._acting(deposit, Act.SPLIT_DEPOSIT) as conn:
            after = await ledger.split(
                conn, deposit.source, deposit.deposit_id, parts, by=self._by, on=machine_day()
            )
        return await self._done(deposit, after)

    async def dismiss_twin(self, deposit: DepositRow) -> Done:
        """Strike it out: it tells once more of money that another source told of.

        Raises `Refusal` (deposit_not_assignable).
        """
        async with self._acting(deposit, Act.DISMISS_TWIN) as conn:
            after = await ledger.dismiss_twin(
                conn, deposit.source, deposit.deposit_id, by=self._by, on=machine_day()
            )
        return await self._done(deposit, after)

    async def not_a_twin(self, deposit: DepositRow) -> Done:
        """Say that it is other money than what another source told of: it waits to be credited.

        Raises `Refusal` (deposit_not_assignable).
        """
        async with self._acting(deposit, Act.DISMISS_TWIN) as conn:
            after = await ledger.not_a_twin(
                conn, deposit.source, deposit.deposit_id, by=self._by, on=machine_day()
            )
        return await self._done(deposit, after)

    def _acting(self, deposit: DepositRow, act: Act) -> AbstractAsyncContextManager[AsyncConnection]:
        case = deposits.case_id(deposit.source, deposit.deposit_id)
        return acting(self._database, case, self._by, act, f"{act}/{uuid4()}")

    async def _done(self, before: DepositRow, after: DepositRow) -> Done:
        told = await run_errands(self._errands, (after.source, after.deposit_id))
        return Done(after, repeated=after == before, told=told)

    async def _decide(
        self, deposit: DepositRow, update: UpdateMethodMultiParam[[Any, Any], DepositStatus], act: object
    ) -> DepositStatus:
        """Decide in the deposit's workflow, which runs while something waits, or is started for that."""
        key = deposit.source, deposit.deposit_id
        await self._errands.run_for(*key)
        try:
            return await self._ask(deposit, update, act)
        except NoWorkflow:
            pass
        async with self._database.begin() as conn:
            stands = await deposits.locked(conn, *key)
            if stands.state not in WAITING:
                raise Refusal(
                    Code.DEPOSIT_NOT_ASSIGNABLE, f"the deposit is {stands.state}: nothing of it waits"
                ) from None
            await errands.add(conn, NewErrand(*key))
        await self._errands.run_for(*key)
        try:
            return await self._ask(deposit, update, act)
        except NoWorkflow:
            raise Unreachable("the deposit's workflow", "it ended just now") from None

    async def _ask(
        self, deposit: DepositRow, update: UpdateMethodMultiParam[[Any, Any], DepositStatus], act: object
    ) -> DepositStatus:
        client = await self._client()
        workflow_id = deposits.case_id(deposit.source, deposit.deposit_id)
        with understood():
            try:
                await wait_until_idle(client, workflow_id, SETTLED_WITHIN)  # it has read the ledger by then
            except TimeoutError:
                raise Unreachable(
                    "worker", "no worker answers; is one running? `kaiji doctor` tells"
                ) from None
            handle = client.get_workflow_handle(workflow_id)
            return await say_update(handle, update, act, patience=PATIENCE)


async def run_errands(errands: Errands, of: tuple[str, str] | None = None) -> bool:
    """Tell whoever is to hear of a deposit, by source and id, or of all; False where Temporal is out of reach
    just now.
    """
    try:
        await (errands.run_for(*of) if of else errands.run())
    except Unreachable:
        return False
    return True


async def _credited(conn: AsyncConnection, deposit: DepositRow) -> set[str]:
    found = await deposits.allocations_of(conn, deposit.source, deposit.deposit_id)
    return {each.request_id for each in found if each.reversed_on is None}
