"""Workflows that exercise what runtime promises; none of Kaiji's own."""

from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict
from temporalio import activity, workflow
from temporalio.exceptions import ActivityError, ApplicationError

SOON = timedelta(seconds=10)


class Note(BaseModel):
    model_config = ConfigDict(frozen=True)

    text: str
    at: datetime | None = None


@activity.defn
async def echo(note: Note) -> Note:
    return note


@activity.defn
async def fail(note: Note) -> None:
    raise ApplicationError(note.text, note, type="Told", non_retryable=True)


@workflow.defn
class Everything:
    """Sends a secret through every kind of message there is."""

    @workflow.init
    def __init__(self, secret: Note) -> None:
        self._secret = secret
        self._heard: list[Note] = []
        self._done = False

    @workflow.run
    async def run(self, secret: Note) -> Note:
        workflow.set_current_details(secret.text)
        await workflow.sleep(timedelta(milliseconds=1), summary=secret.text)
        await workflow.execute_activity(echo, secret, start_to_close_timeout=SOON, summary=secret.text)
        await workflow.execute_local_activity(echo, secret, start_to_close_timeout=SOON)
        try:
            await workflow.execute_activity(fail, secret, start_to_close_timeout=SOON)
        except ActivityError as error:
            if not isinstance(error.cause, ApplicationError) or error.cause.message != secret.text:
                raise ApplicationError("the message of a failure was lost") from error
        workflow.upsert_memo({"secret": secret.text})
        await workflow.wait_condition(lambda: self._done)
        return secret

    @workflow.signal
    def hear(self, note: Note) -> None:
        self._heard.append(note)

    @workflow.query
    def heard(self) -> list[Note]:
        return self._heard

    @workflow.update
    async def finish(self, note: Note) -> Note:
        self._done = True
        return note

    @finish.validator
    def check(self, note: Note) -> None:
        if note != self._secret:
            raise ApplicationError(note.text, type="Refused")


@workflow.defn
class Patient:
    """Waits nine days and works, once in each run but the last, three times in that; then waits for good."""

    @workflow.run
    async def run(self, runs_left: int) -> None:
        for _ in range(3):
            await workflow.sleep(timedelta(days=9))
            await workflow.execute_activity(echo, Note(text="work"), start_to_close_timeout=SOON)
            await workflow.execute_local_activity(echo, Note(text="work"), start_to_close_timeout=SOON)
            if runs_left:
                workflow.continue_as_new(runs_left - 1)
        await workflow.wait_condition(lambda: False)

    @workflow.update
    async def time(self) -> datetime:
        return workflow.now()
