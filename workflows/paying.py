"""What reaches a request about money: word that the ledger changed, and a wish for a receipt (§5(2)(6))."""

from temporalio import workflow

from activities.mailing import MailingActivities
from policy import roles
from policy.refusals import Code
from policy.vocabulary import LetterKind, RecordClass
from workflows.acting import Acting
from workflows.messages import Acknowledged, PaymentReceived, SendReceipt
from workflows.recording import record, refuse


class Paying(Acting):
    """The signal and the update about money."""

    @workflow.signal
    def payment_received(self, fact: PaymentReceived | None = None) -> None:
        """The ledger of deposits changed."""
        if not isinstance(fact, PaymentReceived):
            return
        self.case.ledger_changes += 1
        self.note("deposit_noticed", clause="§5(2)(6)", ref=fact.deposit_id)

    @workflow.update
    async def send_receipt(self, act: SendReceipt) -> Acknowledged:
        """Who paid asks for a receipt of the fee; it goes out by mail, as often as it is asked for."""
        async with self.acting(roles.Act.SEND_RECEIPT, act, self._check_receipt):
            # refused by the ledger where the bank has just taken the fee back: word of it is on its way
            key = self.letter_key(LetterKind.RECEIPT)
            order = self.letter(LetterKind.RECEIPT).model_copy(update={"key": key})
            queued = await record(MailingActivities.queue_letter, order)
            self.take_down(queued, LetterKind.RECEIPT, "§5(2)(6)")
        return self.acknowledged()

    @send_receipt.validator
    def _validate_send_receipt(self, act: SendReceipt) -> None:
        self._check_receipt()

    def _check_receipt(self) -> None:
        if self.case.invoice is None or not self.case.payments.paid:
            refuse(Code.NOTHING_PAID, "no fee of this request is paid: there is no receipt", "§5(2)(6)")
        kept = {record.record_class: record.destroyed_on is None for record in self.case.records}
        if not kept.get(RecordClass.PAYMENT_RECORDS, True) or not kept.get(RecordClass.REQUEST_FILE, True):
            refuse(Code.ENDED, "the records of this payment are destroyed")
