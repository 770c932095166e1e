"""The handling fee: paid, short, over, double, late, cancelled, lapsed, unidentified (§5(2)(6))."""

from datetime import timedelta

import pytest

from policy.refusals import Code, Refusal
from policy.vocabulary import Decision, MailEvent, Outcome, Phase
from records import audit, refunds
from records.ledger import DepositState, Suspense
from runtime.temporal import fast_forward, wait_until_idle
from tests.workflows.courses import course
from tests.workflows.world import OTHER_SERVICE, SERVICE, Case, Money, World, refused


async def invoiced(world: World) -> Case:
    """A request that waits for 5,400 yen."""
    case = await world.open()
    await case.reach(Phase.AWAITING_PAYMENT)
    return case


async def stands(money: Money) -> tuple[DepositState, str | None, Suspense | None]:
    row = await money.row()
    return row.state, row.request_id, row.suspense_reason


@course
async def test_a_short_payment_waits_for_the_rest(world: World) -> None:
    case = await invoiced(world)
    await case.pay(4970)  # the bank took its fee
    status = await case.status()
    assert (status.phase, status.payments.received, status.payments.paid) == (
        Phase.AWAITING_PAYMENT,
        4970,
        False,
    )
    assert "received JPY 4,970" in status.explanation
    assert await case.letters() == ["invoice", "short_payment"]
    await case.pay(430)
    status = await case.status()
    assert (status.phase, status.payments.received) == (Phase.PREPARING, 5400)
    assert await case.standing_letters() == ["invoice"]  # what asked for the rest is pointless


@course
async def test_an_overpayment_proceeds_and_what_is_over_waits(world: World) -> None:
    case = await invoiced(world)
    money = await case.pay(6000)
    status = await case.status()
    assert (status.phase, status.payments.received, status.payments.invoiced) == (Phase.PREPARING, 5400, 5400)
    assert await stands(money) == (DepositState.SUSPENSE, case.id, Suspense.OVER)
    assert (await money.row()).remainder == 600


@course
async def test_a_second_payment_is_double_and_waits_for_a_clerk(world: World) -> None:
    case = await invoiced(world)
    await case.pay(5400)
    double = await case.pay(5400)
    assert await stands(double) == (DepositState.SUSPENSE, None, Suspense.DOUBLE)
    assert (await case.status()).payments.received == 5400
    assert (await double.status()).state == "suspense"


@course
async def test_the_same_payment_told_by_two_sources_counts_once(world: World) -> None:
    case = await invoiced(world)
    await case.pay(2700)
    twin = await case.pay(2700, source="bank-file")
    assert await stands(twin) == (DepositState.SUSPENSE, None, Suspense.TWIN)
    assert (await case.status()).payments.received == 2700


@course
async def test_payment_is_reminded_of_once_and_lapses_with_a_letter(world: World) -> None:
    case = await invoiced(world)
    invoiced_on = (await case.status()).today
    part = await case.pay(1000)
    await case.to_the_last_moment_of(invoiced_on + timedelta(days=13))
    assert await case.letters() == ["invoice", "short_payment"]
    await case.advance(days=1)
    assert await case.letters() == ["invoice", "short_payment", "payment_reminder"]
    await case.pay(1000)  # still short: the rest is asked for, with no second reminder
    await case.to_the_last_moment_of(invoiced_on + timedelta(days=30))
    assert (await case.status()).outcome is None
    await case.advance(minutes=1)
    status = await case.status()
    assert (status.outcome, status.payments.received) == (Outcome.LAPSED_PAYMENT, 2000)
    asked = ["short_payment", "payment_reminder", "short_payment"]
    assert await case.letters() == ["invoice", *asked, "payment_lapsed"]
    assert await stands(part) == (DepositState.SUSPENSE, None, Suspense.LAPSED)
    assert (await part.status()).state == "suspense"  # a clerk gives it back
    late = await world.deposit(3400, status.payment_reference or "")
    assert await stands(late) == (DepositState.SUSPENSE, None, Suspense.LATE)


@course
async def test_the_last_moment_for_the_fee_is_in_time(world: World) -> None:
    case = await invoiced(world)
    status = await case.status()
    due = next(d.on for d in status.deadlines if d.what == "payment")
    assert due == status.today + timedelta(days=30)
    await case.to_the_last_moment_of(due)
    await case.pay(5400)
    assert (await case.status()).phase is Phase.PREPARING


async def test_a_deposit_in_time_of_which_no_word_came_counts(world: World) -> None:
    case = await invoiced(world)
    status = await case.status()
    await world.match_untold(5400, status.payment_reference or "")
    await case.advance(days=31)
    assert (await case.status()).phase is Phase.PREPARING


@course
async def test_an_unidentified_deposit_is_assigned_by_accounts_and_nobody_else(world: World) -> None:
    case = await invoiced(world)
    money = await world.deposit(5400)
    assert await stands(money) == (DepositState.SUSPENSE, None, Suspense.UNIDENTIFIED)
    with refused(Code.WRONG_ROLE):
        await money.assign(case, by="officer-1")
    with refused(Code.UNKNOWN_STAFF):
        await money.assign(case, by="nobody-1")
    assert (await case.status()).phase is Phase.AWAITING_PAYMENT
    await money.assign(case)
    assert (await case.status()).phase is Phase.PREPARING
    assert await stands(money) == (DepositState.MATCHED, case.id, None)
    assert (await money.status()).request_id == case.id


async def test_a_deposit_is_assigned_to_an_open_invoice_only(world: World) -> None:
    case = await world.open()
    money = await world.deposit(5400)
    with refused(Code.DEPOSIT_NOT_ASSIGNABLE):
        await money.assign(case)
    assert (await money.status()).state == "suspense"
    foreign = await world.deposit(5400, currency="USD")
    await case.reach(Phase.AWAITING_PAYMENT)
    with refused(Code.DEPOSIT_NOT_ASSIGNABLE):
        await foreign.assign(case)


@course
async def test_a_clerk_is_reminded_of_a_deposit_in_suspense_until_it_is_taken_back(world: World) -> None:
    money = await world.deposit(5400)
    for reminders in (1, 2):
        await fast_forward(world.client, money.workflow_id, timedelta(days=14, hours=1))
        await wait_until_idle(world.client, money.workflow_id)
        assert (await money.status()).reminders == reminders
    await money.cancel()
    assert (await money.status()).state == "cancelled"
    assert await stands(money) == (DepositState.CANCELLED, None, None)


@course
async def test_a_payment_taken_back_no_longer_counts(world: World) -> None:
    case = await invoiced(world)
    money = await case.pay(4000)
    await money.cancel()
    status = await case.status()
    assert (status.phase, status.payments.received) == (Phase.AWAITING_PAYMENT, 0)
    await case.pay(1400)
    assert (await case.status()).phase is Phase.AWAITING_PAYMENT
    await case.pay(4000)
    assert (await case.status()).phase is Phase.PREPARING


async def test_the_deposit_of_a_request_that_is_gone_ends_all_the_same(world: World) -> None:
    case = await invoiced(world)
    reference = (await case.status()).payment_reference or ""
    await world.client.get_workflow_handle(case.id).terminate()
    money = await world.deposit(5400, reference)
    assert (await wait_until_idle(world.client, money.workflow_id)).close_time
    assert (await money.status()).state == "matched"


@course
async def test_the_rest_may_come_in_the_days_its_letter_gives(world: World) -> None:
    case = await invoiced(world)
    due = (await case.status()).today + timedelta(days=30)
    await case.to_the_last_moment_of(due)
    await case.pay(5000)
    status = await case.status()
    assert [d.on for d in status.deadlines if d.what == "payment"] == [due + timedelta(days=14)]
    await case.to_the_last_moment_of(due + timedelta(days=14))
    await case.pay(400)
    assert (await case.status()).phase is Phase.PREPARING


@course
async def test_a_fee_taken_back_is_asked_for_again_while_the_answer_is_in_the_house(world: World) -> None:
    case = await invoiced(world)
    money = await case.pay(5400)
    await case.propose()
    await money.cancel()
    status = await case.status()
    assert (status.phase, status.payments.received) == (Phase.AWAITING_PAYMENT, 0)
    assert [d.on for d in status.deadlines if d.what == "payment"] == [status.today + timedelta(days=30)]
    assert await case.letters() == ["invoice", "payment_taken_back"]
    with refused(Code.WRONG_PHASE):
        await case.approve()
    await case.pay(5400)
    assert (await case.status()).phase is Phase.APPROVING  # what was proposed stands
    await case.approve()
    await case.deliver()
    assert (await case.status()).outcome is Outcome.GRANTED


@course
async def test_a_fee_taken_back_takes_the_answer_out_of_the_print_queue(world: World) -> None:
    case = await world.open()
    await case.reach(Phase.AWAITING_PAYMENT)
    money = await case.pay(5400)
    await case.reach(Phase.POSTING)
    answer = (await case.status()).letters[-1].letter_id
    await money.cancel()
    assert (await case.status()).phase is Phase.AWAITING_PAYMENT
    with refused(Code.LETTER_STATE):
        await case.mail(MailEvent.POSTED, answer)
    await case.pay(5400)
    assert (await case.status()).phase is Phase.PREPARING  # decided anew, on what is held by then
    await case.reach(Phase.RETAINED)
    assert await case.standing_letters() == ["invoice", "response"]


@course
async def test_a_fee_taken_back_once_the_answer_is_out_is_an_alert(world: World) -> None:
    case = await invoiced(world)
    money = await case.pay(5400)
    await case.reach(Phase.IN_TRANSIT)
    await money.cancel()
    status = await case.status()
    assert (status.phase, status.payments.paid) == (Phase.IN_TRANSIT, False)
    assert "ALERT" in status.explanation
    assert "ALERT" in await case.details()
    await case.pay(5400)
    assert "ALERT" not in (await case.status()).explanation
    await case.reach(Phase.RETAINED)
    assert (await case.status()).outcome is Outcome.GRANTED


@course
async def test_a_fee_taken_back_after_the_end_is_an_alert_too(world: World) -> None:
    case = await invoiced(world)
    money = await case.pay(5400)
    await case.reach(Phase.RETAINED)
    await money.cancel()
    status = await case.status()
    assert (status.phase, "ALERT" in status.explanation) == (Phase.RETAINED, True)
    await case.to_the_end()


@course
async def test_a_receipt_goes_to_who_paid_and_asked_for_it(world: World) -> None:
    case = await invoiced(world)
    with refused(Code.NOTHING_PAID):
        await case.receipt()
    await case.pay(5000)
    with refused(Code.NOTHING_PAID):
        await case.receipt()
    await case.pay(400)
    with refused(Code.WRONG_ROLE):
        await case.receipt(by="mailroom-1")
    await case.receipt()
    await case.reach(Phase.RETAINED)
    await case.receipt()
    assert (await case.standing_letters()).count("receipt") == 2


async def test_no_answer_is_queued_whose_fee_was_just_taken_back(world: World) -> None:
    case = await invoiced(world)
    money = await case.pay(5400)
    await case.reach(Phase.APPROVING)
    await world.record_untold("cancelled", money)
    await case.approve()
    assert (await case.status()).phase is Phase.AWAITING_PAYMENT
    assert await case.letters() == ["invoice", "payment_taken_back"]


async def test_there_is_no_receipt_for_what_was_just_taken_back(world: World) -> None:
    case = await invoiced(world)
    money = await case.pay(5400)
    await world.record_untold("cancelled", money)
    with refused(Code.NOTHING_PAID):
        await case.receipt()
    await case.idle()  # by now it is told
    assert (await case.status()).phase is Phase.AWAITING_PAYMENT


@course
async def test_no_fee_is_kept_for_what_is_refused(world: World) -> None:
    case = await world.open(services=(SERVICE, OTHER_SERVICE))
    await case.reach(Phase.AWAITING_PAYMENT)
    money = await case.pay(10800)
    await case.propose(service=SERVICE)
    await case.propose(Decision.REFUSE, service=OTHER_SERVICE, ground="harm_to_rights")
    await case.reach(Phase.IN_TRANSIT)
    row = await money.row()
    assert (row.state, row.suspense_reason, row.remainder) == (
        DepositState.SUSPENSE,
        Suspense.RETURNED,
        5400,
    )
    status = await case.status()
    assert (status.payments.paid, "ALERT" in status.explanation) == (True, False)
    await case.reach(Phase.RETAINED)
    assert (await case.status()).outcome is Outcome.PARTIAL


@course
async def test_the_fee_of_who_withdraws_goes_back(world: World) -> None:
    case = await invoiced(world)
    money = await case.pay(5400)
    await case.withdraw()
    status = await case.status()
    assert (status.outcome, "ALERT" in status.explanation) == (Outcome.WITHDRAWN, False)
    assert (await money.row()).remainder == 5400
    assert (await money.status()).state == "suspense"


@course
async def test_a_deposit_in_suspense_becomes_overdue(world: World) -> None:
    money = await world.deposit(5400)
    due = (await money.status()).due_on
    assert due == world.today + timedelta(days=60)
    await fast_forward(world.client, money.workflow_id, timedelta(days=61))
    await wait_until_idle(world.client, money.workflow_id)
    status = await money.status()
    assert (status.state, status.reminders) == ("suspense", 5)  # four in time, and that it is overdue
    async with world.database.begin() as conn:
        trail = await audit.events(conn, money.workflow_id)
    assert [e.act for e in trail].count("suspense_overdue") == 1


@course
async def test_what_is_over_is_given_back_with_a_second_pair_of_eyes(world: World) -> None:
    case = await invoiced(world)
    money = await case.pay(6000)
    with refused(Code.WRONG_ROLE):
        await money.refund(by="officer-1")
    number = await money.refund()
    assert (await money.row()).state is DepositState.MATCHED
    assert (await world.client.get_workflow_handle(money.workflow_id).describe()).close_time
    async with world.database.begin() as conn:
        with pytest.raises(Refusal) as refusal:
            await refunds.approve(conn, number, by="accounts-1", on=world.today)
    assert refusal.value.code is Code.SAME_PERSON
