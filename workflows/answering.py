"""§5(2)(7): the answer goes out by certified mail, arrives, or comes back."""

from policy import deadlines
from policy.vocabulary import ANSWERS, LetterKind, LetterState, Outcome, Phase
from workflows.acts import Acts

_OUT_OF_THE_QUEUE = (LetterState.POSTED, LetterState.UNKNOWN)


class Answering(Acts):
    """The steps from the print queue to the requester's hands."""

    async def post_the_answer(self) -> None:
        """A response, word that no such data exists, or to whom to turn: all go out the same way.

        Returns when the answer is posted, or was taken back.
        """
        self.heed_an_ending()  # while the data was searched for, say
        await self.heed_the_ledger(look=True)  # no word of a fee taken back may have come yet
        self.enter(Phase.POSTING)
        await self.write_the_answer()
        await self.await_posting()

    async def write_the_answer(self) -> None:
        """To the address that the documents prove: another address is another letter."""
        case = self.case
        kind, clause = self.answer_kind()
        drafts = tuple(service.draft_id for service in case.in_play if service.draft_id)
        case.answer_address = case.addresses
        about = (*drafts, f"address {case.addresses}")
        case.answer = await self.send(self.letter(kind, drafts=drafts), clause, about=about)
        if self.letter_is(case.answer, LetterState.CANCELLED):  # taken back, before a reset forgot that
            case.answer = None
            case.undecide(case.in_play)

    async def await_posting(self) -> None:
        """The mail room posts it; where nobody is sure whether it did, somebody finds out."""
        _, clause = self.answer_kind()
        while (answer := self.case.answer) and not self.letter_is(answer, LetterState.POSTED):
            if self.letter_is(answer, LetterState.UNKNOWN):
                await self.wait_for_staff(
                    lambda: not self.letter_is(answer, LetterState.UNKNOWN), "unknown", "officer", clause
                )
            else:
                await self.wait_for_staff(
                    lambda: (
                        self.case.answer != answer
                        or self.letter_is(answer, *_OUT_OF_THE_QUEUE)
                        or self.case.answer_address != self.case.addresses
                    ),
                    "posting",
                    "mailroom",
                    clause,
                )
            if self.case.answer == answer and self.case.answer_address != self.case.addresses:
                await self.clear_the_queue(*ANSWERS)
                await self.write_the_answer()

    async def see_the_answer_arrive(self) -> None:
        """Delivered; or returned, posted once more to an address that was checked, and then held."""
        case = self.case
        while True:
            self.enter(Phase.IN_TRANSIT)
            answer = case.answer or ""
            await self.await_delivery(answer)
            if self.letter_is(answer, LetterState.DELIVERED):
                return
            self.enter(Phase.POSTING)
            case.returns += 1
            if not await self.check_the_address(answer):
                self.note("held_at_counter_ended", clause="§5(2)(7)", ref=answer)
                return
            await self.await_posting()

    async def await_delivery(self, answer: str) -> None:
        """Delivered or returned; after too long without word somebody looks into it."""
        arrived = lambda: not self.letter_is(answer, LetterState.POSTED)  # noqa: E731
        letter = self.case.letter(answer)
        posted_on = letter.posted_on if letter and letter.posted_on else self.today
        self.switch_clock(posted_on, runs=False, reason="the answer is on its way", clause="§5(2)(7)")
        look_into_it = deadlines.transit_check(self.case.terms, posted_on)
        if not await self.wait(arrived, "delivery", "post", look_into_it, "§5(2)(7)"):
            self.note("in_transit_too_long", clause="§5(2)(7)", ref=answer)
            await self.wait_for_staff(arrived, "inquiry", "officer", "§5(2)(7)")

    async def check_the_address(self, answer: str) -> bool:
        """An officer confirms the address on file, or the documents prove another one; False when the answer
        was held long enough.
        """
        case = self.case
        reason = "the answer came back: the address is to be checked"
        self.switch_clock(self.today, runs=False, reason=reason, clause="§5(2)(7)")
        checked = lambda: not self.letter_is(answer, LetterState.RETURNED)  # noqa: E731
        held = case.returns > case.terms.reposts
        what, who = ("held", "requester") if held else ("address", "officer")
        until = deadlines.held_until(case.terms, self.today)
        if not await self.wait(checked, what, who, until, "§5(2)(7)"):
            return False
        self.switch_clock(self.today, runs=True, reason="the address is checked", clause="§5(2)(7)")
        return True  # to another address it is written anew before it is posted

    def answer_kind(self) -> tuple[LetterKind, str]:
        outcomes = {service.outcome for service in self.case.services}
        if outcomes == {Outcome.REDIRECTED}:
            return LetterKind.REDIRECT, "§5(1)"
        if outcomes == {Outcome.NO_DATA}:
            return LetterKind.NO_DATA, "§5(1)"
        return LetterKind.RESPONSE, "§5(2)(7)"

    def letter_is(self, letter_id: str, *states: LetterState) -> bool:
        letter = self.case.letter(letter_id)
        return letter is not None and letter.state in states
