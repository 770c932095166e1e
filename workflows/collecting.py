"""§5(2)(6): the handling fee is invoiced, paid, asked for again where it is short, and returned where nothing
was disclosed for it.
"""

from activities.invoicing import InvoicingActivities
from activities.messages import FeeToReturn, InvoiceEnd, InvoiceOrder, InvoiceReopened, Payments
from policy import deadlines
from policy.vocabulary import LetterKind, Outcome, Phase
from workflows.acts import Acts
from workflows.casework import LONG_TRY, Ended

_ASKS = (
    LetterKind.PAYMENT_REMINDER,
    LetterKind.SHORT_PAYMENT,
    LetterKind.PAYMENT_TAKEN_BACK,
    LetterKind.REOPENED,
)
"""The letters that ask for a fee after its invoice: pointless once it is paid, or another sum is owed."""


class Collecting(Acts):
    """The steps of the fee."""

    async def collect_the_fee(self) -> None:
        """One invoice, a line per service in which data was found; other kinds proceed at once."""
        case = self.case
        if not case.in_play or case.kind not in case.terms.fee_kinds:
            return
        if case.invoice is None:
            await self.issue_the_invoice()
        elif case.reopening:
            await self.ask_for_the_fee_again()
        elif case.payments.paid:
            return  # the response is decided anew
        else:
            await self.ask_for_what_was_taken_back()
        self.switch_clock(self.today, runs=False, reason="the handling fee is to be paid", clause="§5(2)(6)")
        await self.await_payment()
        await self.clear_the_queue(*_ASKS)
        self.switch_clock(self.today, runs=True, reason="payment received", clause="§5(2)(7)")
        self.note("fee_paid", clause="§5(2)(6)")

    async def issue_the_invoice(self) -> None:
        case = self.case
        order = InvoiceOrder(
            request_id=case.request_id,
            key=self.letter_key(LetterKind.INVOICE),
            on=self.today,
            due_on=deadlines.payment_due(case.terms, self.today),
            services=tuple(service.service for service in case.in_play),
        )
        case.invoiced_on = self.today
        case.invoice = await self.do(
            InvoicingActivities.issue_invoice, order, "Issue the invoice for the handling fee", LONG_TRY
        )
        case.payments = Payments(invoiced=case.invoice.total, received=0, paid=False)
        self.list_letter(case.invoice.letter_id, LetterKind.INVOICE)
        self.note("invoiced", clause="§5(2)(6)", ref=case.invoice.number)

    async def ask_for_the_fee_again(self) -> None:
        """The request lapsed and was reopened: its invoice counts again, with another day to pay by."""
        case = self.case
        order = InvoiceReopened(
            request_id=case.request_id,
            on=self.today,
            due_on=deadlines.payment_due(case.terms, self.today),
        )
        case.invoice = await self.do(
            InvoicingActivities.reopen_invoice, order, "Reopen the invoice for the handling fee"
        )
        case.reopening = False
        await self.send(self.letter(LetterKind.REOPENED, due_on=order.due_on), "§5(2)(6)")
        await self.read_the_ledger()

    async def ask_for_what_was_taken_back(self) -> None:
        """The bank took back what had been paid: it is owed again, with another day to pay by."""
        case = self.case
        assert case.invoice is not None
        due = deadlines.payment_due(case.terms, self.today)
        case.invoice = case.invoice.model_copy(update={"due_on": due})
        letter = self.letter(LetterKind.PAYMENT_TAKEN_BACK, due_on=due, received=case.payments.received)
        await self.send(letter, "§5(2)(6)")

    async def await_payment(self) -> None:
        self.enter(Phase.AWAITING_PAYMENT)
        case = self.case
        assert case.invoice is not None
        assert case.invoiced_on is not None
        asked_on = max(case.invoiced_on, case.reopened_on or case.invoiced_on)
        while not case.payments.paid:
            reminder = self.letter(
                LetterKind.PAYMENT_REMINDER, due_on=case.invoice.due_on, received=case.payments.received
            )
            in_time = await self.wait_for_requester(
                lambda: case.ledger_changes > case.ledger_read,
                "payment",
                case.invoice.due_on,
                "§5(2)(6)",
                remind_on=deadlines.payment_reminder(case.terms, asked_on),
                reminder=reminder,
            )
            if in_time:
                await self.take_what_came()
            else:
                await self.close_the_invoice(lapsed=True)
                if not case.payments.paid:
                    self.heed_an_ending()
                    raise Ended(
                        Outcome.LAPSED_PAYMENT, LetterKind.PAYMENT_LAPSED, "§5(2)(6)", case.invoice.due_on
                    )

    async def take_what_came(self) -> None:
        """The sum of all deposits counts; where it is short, a letter asks for the rest."""
        case = self.case
        assert case.invoice is not None
        before = case.payments.received
        await self.read_the_ledger()
        received = case.payments.received
        if case.payments.paid or received == before:
            return
        due = deadlines.rest_due(case.terms, case.invoice.due_on, self.today)
        case.invoice = case.invoice.model_copy(update={"due_on": due})
        await self.clear_the_queue(*_ASKS)
        kind = LetterKind.SHORT_PAYMENT if received > before else LetterKind.PAYMENT_TAKEN_BACK
        await self.send(self.letter(kind, due_on=due, received=received), "§5(2)(6)")

    async def close_the_invoice(self, *, lapsed: bool) -> None:
        """No later deposit counts; one that came in time but of which no word had come yet does."""
        order = InvoiceEnd(request_id=self.case.request_id, lapsed=lapsed, on=self.today)
        self.case.payments = await self.do(
            InvoicingActivities.close_invoice, order, "Close the unpaid invoice"
        )

    async def return_the_fee(self) -> None:
        """The fee is for a service of which data is disclosed: what was paid for others goes back."""
        case = self.case
        if case.invoice is None:
            return
        undisclosed = tuple(
            s.service for s in case.in_play if case.ending is not None or s.outcome is Outcome.REFUSED
        )
        if undisclosed and case.payments.paid:
            order = FeeToReturn(request_id=case.request_id, on=self.today, services=undisclosed)
            case.payments = await self.do(
                InvoicingActivities.return_fee, order, "Credit the fee of what is not disclosed"
            )
            self.note("fee_returned", clause="§5(2)(6)", ref=", ".join(undisclosed))
