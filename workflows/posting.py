"""Acts about the mail: what became of a letter, and whether its address is right (§5(2)(7))."""

from temporalio import workflow

from activities.casework import CaseActivities
from activities.messages import AddressToRecord, MailToRecord
from policy import roles
from policy.checkdigits import normalize_tracking_number
from policy.mail import may_happen, state_after
from policy.refusals import Code
from policy.vocabulary import ANSWERS, LetterState, MailEvent
from workflows.acting import Acting
from workflows.messages import Acknowledged, ConfirmAddress, LetterStatus, RecordMail
from workflows.recording import record, refuse

_LEAVING = (MailEvent.POSTED, MailEvent.UNKNOWN)
_REASONED = {
    MailEvent.RETURNED: "a returned letter has a reason",
    MailEvent.UNKNOWN: "say why nobody is sure whether the letter was posted",
}


class Posting(Acting):
    """The updates about letters."""

    @workflow.update
    async def record_mail(self, act: RecordMail) -> Acknowledged:
        """A letter was posted, delivered or returned, or nobody is sure (§5(2)(7)).

        A letter that came back leaves again once an officer has checked its address, or posts it.
        """
        on = act.on or self.today
        async with self.one_act:
            if not self._is_news(act):
                return self.acknowledged()
            letter = self._check_mail(act)
            tracking_number = self._tracking_number(act)
            leaves = act.event in _LEAVING
            unchecked = leaves and letter.state is LetterState.RETURNED
            await record(
                CaseActivities.record_mail,
                MailToRecord(
                    request_id=self.case.request_id,
                    by=act.by,
                    key=f"{act.letter_id}/{letter.events}/{act.event.value}",
                    letter_id=act.letter_id,
                    event=act.event,
                    on=on,
                    tracking_number=tracking_number,
                    note_id=act.note_id,
                    address_checked=not unchecked,
                ),
            )
            if unchecked:
                self.note("address_confirmed", by=act.by, clause="§5(2)(7)", ref=act.letter_id)
            posted = act.event is MailEvent.POSTED
            ended = act.event in (MailEvent.DELIVERED, MailEvent.RETURNED)
            self.case.update_letter(
                act.letter_id,
                state=state_after(act.event, posted_before=letter.postings > 0),
                tracking_number=tracking_number or letter.tracking_number,
                posted_on=on if posted else letter.posted_on,
                ended_on=on if ended else None,
                postings=letter.postings + posted,
                events=letter.events + 1,
                last_event=act.event,
            )
            self.note(f"letter_{act.event.value}", by=act.by, clause="§5(2)(7)", ref=act.letter_id)
        return self.acknowledged()

    @record_mail.validator
    def _validate_record_mail(self, act: RecordMail) -> None:
        if self._is_news(act):
            self._check_mail(act)

    def _is_news(self, act: RecordMail) -> bool:
        """False when just this event was recorded before: saying it again is no error and changes nothing."""
        letter = self.case.letter(act.letter_id)
        if letter is None or letter.last_event is not act.event:
            return True
        day = letter.posted_on if act.event is MailEvent.POSTED else letter.ended_on
        if act.on is not None and day is not None and act.on != day:
            return True  # another day is other news, and cannot be
        return act.event is MailEvent.POSTED and letter.tracking_number != self._tracking_number(act)

    def _tracking_number(self, act: RecordMail) -> str | None:
        """The digits of what is written on a letter that is posted; None for any other event."""
        if act.event is not MailEvent.POSTED:
            return None
        try:
            return normalize_tracking_number(act.tracking_number or "")
        except ValueError as error:
            refuse(Code.BAD_TRACKING_NUMBER, f"a posted letter: {error}", "§5(2)(7)")

    def _check_mail(self, act: RecordMail) -> LetterStatus:
        letter = self._letter(act.letter_id)
        if not may_happen(act.event, letter.state):
            refuse(
                Code.LETTER_STATE, f"the letter is {letter.state.value}: it cannot be {act.event.value} now"
            )
        self._tracking_number(act)
        if act.event in _LEAVING:
            self._check_may_leave(letter)
        if act.event in _REASONED and act.note_id is None:
            refuse(Code.REASON_REQUIRED, _REASONED[act.event])
        on, earliest = act.on or self.today, letter.posted_on or letter.queued_on
        if not earliest <= on <= self.today:
            refuse(Code.MALFORMED, f"the date must lie between {earliest} and today, {self.today}")
        return letter

    def _check_may_leave(self, letter: LetterStatus) -> None:
        if letter.kind in ANSWERS:
            self.check_running()
            if letter.letter_id != self.case.answer or self.case.answer_address != self.case.addresses:
                refuse(Code.LETTER_STATE, "this answer is void: another address was proven")
        if self._is_held(letter):
            refuse(Code.LETTER_STATE, "the letter was re-posted as often as the pack allows: it is held")

    @workflow.update
    async def confirm_address(self, act: ConfirmAddress) -> Acknowledged:
        """An officer has checked the address a letter came back from, or takes one that documents prove."""
        async with self.one_act:
            letter = self._check_address(act)
            changed = await record(
                CaseActivities.record_address,
                AddressToRecord(
                    request_id=self.case.request_id,
                    by=act.by,
                    key=self.act_key(roles.Act.CONFIRM_ADDRESS),
                    on=self.today,
                    envelope=act.envelope,
                    held=self._is_held(letter),
                    letter_id=letter.letter_id,
                ),
            )
            self.case.addresses += changed
            if changed:  # void: it was written to the other address
                self.case.update_letter(letter.letter_id, state=LetterState.CANCELLED, ended_on=self.today)
            else:
                self.case.update_letter(letter.letter_id, state=LetterState.QUEUED)
            what = "address_changed" if changed else "address_confirmed"
            self.note(what, by=act.by, clause="§5(2)(7)", ref=letter.letter_id)
        return self.acknowledged()

    @confirm_address.validator
    def _validate_confirm_address(self, act: ConfirmAddress) -> None:
        self._check_address(act)

    def _check_address(self, act: ConfirmAddress) -> LetterStatus:
        letter = self._letter(act.letter_id or self._latest_returned())
        if letter.state is not LetterState.RETURNED:
            refuse(Code.LETTER_STATE, "the letter has not come back, or its address is checked already")
        if letter.kind in ANSWERS:
            self.check_running()
        if act.envelope is None and self._is_held(letter):
            message = "the letter came back as often as the pack allows: only another, proven address helps"
            refuse(Code.LETTER_STATE, f"{message} (--envelope NUMBER)", "§5(2)(7)")
        return letter

    def _is_held(self, letter: LetterStatus) -> bool:
        """Whether a letter was posted as often as the pack allows."""
        return letter.postings > self.case.terms.reposts

    def _latest_returned(self) -> str:
        returned = [x.letter_id for x in self.case.letters if x.state is LetterState.RETURNED]
        if not returned:
            refuse(Code.LETTER_STATE, "no letter of this request has come back")
        return self.case.answer if self.case.answer in returned else returned[-1]

    def _letter(self, letter_id: str) -> LetterStatus:
        letter = self.case.letter(letter_id)
        if letter is None:
            refuse(Code.UNKNOWN_LETTER, f"request {self.case.request_id} has no such letter")
        return letter
