"""What may happen to a letter, and after what (§5(2)(7)).

    queued ─► posted ─► delivered            returned ─► posted again
       └─► unknown ─► posted, or not_posted: back to where it was

Delivered and cancelled are ends; a letter is cancelled by what becomes of its request, never by an event.
"""

from collections.abc import Mapping
from types import MappingProxyType

from policy.vocabulary import LetterState, MailEvent

_AFTER: Mapping[LetterState, frozenset[MailEvent]] = MappingProxyType(
    {
        LetterState.QUEUED: frozenset({MailEvent.POSTED, MailEvent.UNKNOWN}),
        LetterState.UNKNOWN: frozenset({MailEvent.POSTED, MailEvent.NOT_POSTED}),
        LetterState.POSTED: frozenset({MailEvent.DELIVERED, MailEvent.RETURNED}),
        LetterState.RETURNED: frozenset({MailEvent.POSTED, MailEvent.UNKNOWN}),
        LetterState.DELIVERED: frozenset(),
        LetterState.CANCELLED: frozenset(),
    }
)


def may_happen(event: MailEvent, state: LetterState) -> bool:
    """Whether the event can follow on this state."""
    return event in _AFTER[state]


def state_after(event: MailEvent, *, posted_before: bool) -> LetterState:
    """Where a letter is once this has happened; `posted_before`: it had left the house, and came back.

    A letter that turns out not to be posted is where it was before nobody was sure.
    """
    if event is MailEvent.NOT_POSTED:
        return LetterState.RETURNED if posted_before else LetterState.QUEUED
    return LetterState(event.value)
