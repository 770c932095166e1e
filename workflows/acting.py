"""What every act of a person goes through: checked, written to the audit trail, and only then done.

An update is refused at once with a reason code: its validator checks where the request stands and who did
what before, then the staff register is asked and the audit trail written in one local activity, without which
there is no act.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from uuid import NAMESPACE_OID, uuid5

from temporalio import workflow

from activities.casework import CaseActivities
from activities.messages import ActToRecord, Scalar
from policy import roles
from policy.refusals import Code
from policy.vocabulary import Phase
from workflows.casework import Casework
from workflows.messages import Acknowledged, Act, ServiceStatus
from workflows.recording import record, refuse

Detail = dict[str, Scalar | list[str]]


class Acting(Casework):
    """The ground the acts stand on; what may be done, and when, is in the classes built on it."""

    def __init__(self) -> None:
        # One act at a time: nothing may slip between the check of an act and its effect.
        self.one_act = asyncio.Lock()

    @asynccontextmanager
    async def acting(
        self, kind: roles.Act, act: Act, check: Callable[[], None], detail: Detail | None = None
    ) -> AsyncIterator[None]:
        """Check, ask the register, write the audit trail; what stands in the block is the act's effect."""
        async with self.one_act:
            check()
            await record(
                CaseActivities.record_act,
                ActToRecord(
                    request_id=self.case.request_id,
                    act=kind.value,
                    by=act.by,
                    key=self.act_key(kind),
                    on=self.today,
                    detail=detail or {},
                ),
            )
            check()  # an outage may have kept the register waiting while a deadline passed
            yield

    def act_key(self, kind: roles.Act) -> str:
        """The key under which an act is audited once.

        A client chooses the id of its update: it may hold anything, and the audit trail is kept longest.
        """
        update = workflow.current_update_info()
        return f"{kind.value}/{uuid5(NAMESPACE_OID, update.id if update else '').hex}"

    def acknowledged(self) -> Acknowledged:
        """Where the request stands after an act."""
        return Acknowledged(request_id=self.case.request_id, phase=self.case.phase)

    def check_running(self) -> None:
        """Refuse what comes after the end."""
        if self.case.outcome is not None:
            refuse(Code.ENDED, f"the request is over: {self.case.outcome.value}")
        if self.case.ending is not None:
            refuse(Code.ENDED, f"the request has just ended: {self.case.ending.value}")

    def check_phase(self, what: str, *phases: Phase) -> None:
        """Refuse what is not the turn of."""
        self.check_running()
        if self.case.phase not in phases:
            wanted = " or ".join(phase.value for phase in phases)
            refuse(
                Code.WRONG_PHASE, f"to {what}, the request must be {wanted}; it is {self.case.phase.value}"
            )

    def check_not_answered(self) -> None:
        """Refuse what would end a request whose answer is on its way, or may be."""
        self.check_running()
        if self.case.answer_left:
            refuse(
                Code.WRONG_PHASE, "the answer is posted, or may be: the request can no longer end without it"
            )

    def check_service(self, name: str | None) -> None:
        """Refuse a service that is none of this request's."""
        if name is not None and all(service.service != name for service in self.case.in_play):
            refuse(Code.NOT_FOUND, f"no data was found in a service {name} of this request")

    @property
    def decided(self) -> bool:
        """Whether every service in which data was found has an approved decision."""
        return bool(self.case.in_play) and all(service.approved_by for service in self.case.in_play)

    def undecided(self, name: str | None) -> list[ServiceStatus]:
        """The services, or the one named, for which nothing is proposed."""
        return [s for s in self.case.in_play if s.decision is None and name in (None, s.service)]

    def proposed(self, name: str | None) -> list[ServiceStatus]:
        """The services, or the one named, whose proposal waits for approval."""
        return [
            s for s in self.case.in_play if s.decision and not s.approved_by and name in (None, s.service)
        ]
