"""What may happen to a letter, and after what (§5(2)(7)); the state after an event bears the event's name."""

from collections.abc import Mapping
from types import MappingProxyType

from policy.vocabulary import LetterState, MailEvent

_AFTER: Mapping[LetterState, frozenset[MailEvent]] = MappingProxyType(
    {
        LetterState.QUEUED: frozenset({MailEvent.POSTED}),
        LetterState.POSTED: frozenset({MailEvent.DELIVERED, MailEvent.RETURNED}),
        LetterState.RETURNED: frozenset({MailEvent.POSTED}),
        LetterState.DELIVERED: frozenset(),
    }
)


def may_happen(event: MailEvent, state: LetterState) -> bool:
    """Whether the event can follow on this state: queued, posted, delivered or returned, posted again."""
    return event in _AFTER[state]


def state_after(event: MailEvent) -> LetterState:
    """Where a letter is once this has happened."""
    return LetterState(event.value)
