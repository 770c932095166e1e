"""Acts about the end of a request: held against destruction, or reopened in time (§1, §5(2))."""

from temporalio import workflow

from activities.casework import CaseActivities
from activities.messages import HoldToRecord, ReopenToRecord
from policy import deadlines, roles
from policy.refusals import Code
from policy.vocabulary import Outcome, Phase
from workflows.acting import Acting
from workflows.messages import Acknowledged, HoldStatus, PlaceHold, ReleaseHold, Reopen
from workflows.recording import record, refuse

_REOPENED = {
    Outcome.LAPSED_DOCUMENTS: Phase.AWAITING_DOCUMENTS,
    Outcome.LAPSED_PAYMENT: Phase.AWAITING_PAYMENT,
    Outcome.DUPLICATE: Phase.VERIFYING,  # the request that was to answer both may end without an answer
}
"""What is reopened, and where it goes on."""


class Keeping(Acting):
    """The acts about records that are kept, and what a run that keeps them is told."""

    renewing = False
    holds_moved = False

    @workflow.signal
    def renew(self) -> None:
        """Go on in a run of its own, encrypted under the payload codec's current key, once it only waits for
        the end of a retention period.
        """
        self.renewing = True

    @workflow.signal
    def holds_changed(self) -> None:
        """A hold that is not of this request alone was placed or released (§1)."""
        self.holds_moved = True

    @workflow.update
    async def place_hold(self, act: PlaceHold) -> Acknowledged:
        """A legal hold: nothing of this request is destroyed until it is released (§1)."""
        async with self.one_act:
            self._check_not_destroyed()
            number = len(self.case.holds) + 1
            await record(
                CaseActivities.record_hold,
                HoldToRecord(
                    request_id=self.case.request_id,
                    by=act.by,
                    key=f"hold/{number}",
                    number=number,
                    on=self.today,
                    note_id=act.note_id,
                ),
            )
            hold = HoldStatus(number=number, placed_by=act.by, placed_on=self.today, note_id=act.note_id)
            self.case.holds = [*self.case.holds, hold]
            self.note("hold_placed", by=act.by, clause="§1", ref=str(number))
            self.publish()
        return self.acknowledged()

    @place_hold.validator
    def _validate_place_hold(self, act: PlaceHold) -> None:
        self._check_not_destroyed()

    @workflow.update
    async def release_hold(self, act: ReleaseHold) -> Acknowledged:
        """Every hold on this request is released."""
        async with self.one_act:
            self._check_held()
            for hold in self.case.holds:
                if hold.released_on is None:
                    await record(
                        CaseActivities.record_hold,
                        HoldToRecord(
                            request_id=self.case.request_id,
                            by=act.by,
                            key=f"hold/{hold.number}/released",
                            number=hold.number,
                            on=self.today,
                            release=True,
                        ),
                    )
            self.case.holds = [
                hold if hold.released_on else hold.model_copy(update={"released_on": self.today})
                for hold in self.case.holds
            ]
            self.note("hold_released", by=act.by, clause="§1")
            self.publish()
        return self.acknowledged()

    @release_hold.validator
    def _validate_release_hold(self, act: ReleaseHold) -> None:
        self._check_held()

    @workflow.update
    async def reopen(self, act: Reopen) -> Acknowledged:
        """A lapsed request goes on where it lapsed; the requester is told by letter what is expected."""
        async with self.one_act:
            phase = self._check_reopening()
            await record(
                CaseActivities.reopen,
                ReopenToRecord(
                    request_id=self.case.request_id,
                    by=act.by,
                    key=self.act_key(roles.Act.REOPEN),
                    number=self.case.reopenings + 1,
                    on=self.today,
                    note_id=act.note_id,
                ),
            )
            case = self.case
            case.phase, case.outcome, case.closed_on, case.records = phase, None, None, []
            case.reopenings, case.reopened_on = case.reopenings + 1, self.today
            case.reopening = phase is not Phase.VERIFYING  # a linked request was told of nothing that lapsed
            case.ending = case.duplicate_of = None
            self.note("reopened", by=act.by, clause="§5(2)")
        return self.acknowledged()

    @reopen.validator
    def _validate_reopen(self, act: Reopen) -> None:
        self._check_reopening()

    def _check_reopening(self) -> Phase:
        case = self.case
        phase = _REOPENED.get(case.outcome) if case.outcome else None
        if phase is None or case.closed_on is None:
            how = "it is under way" if case.outcome is None else f"it ended otherwise: {case.outcome.value}"
            refuse(Code.NOT_LAPSED, f"only a lapsed or a linked request is reopened; {how}")
        if not case.records:
            refuse(Code.WRONG_PHASE, "the request is being closed: repeat it in a moment")
        if case.outcome is Outcome.DUPLICATE and case.invoice is not None:
            refuse(Code.NOT_LAPSED, "its invoice is cancelled: the request must be made anew")
        until = deadlines.reopenable_until(case.terms, case.closed_on)
        if self.today > until:
            refuse(Code.GRACE_OVER, f"a lapsed request is reopened until {until}: it must be made anew")
        if any(record.destroyed_on for record in case.records):
            refuse(Code.ENDED, "records of this request are destroyed: it must be made anew")
        return phase

    def _check_held(self) -> None:
        if not self.case.held:
            refuse(Code.NOTHING_TO_DECIDE, "no hold stands on this request")

    def _check_not_destroyed(self) -> None:
        if self.case.phase is Phase.DESTROYED:
            refuse(Code.ENDED, "all records of this request are destroyed")
