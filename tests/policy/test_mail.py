import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.mail import may_happen, state_after
from policy.vocabulary import LetterState, MailEvent

Q, U, P = LetterState.QUEUED, LetterState.UNKNOWN, LetterState.POSTED
D, R, C = LetterState.DELIVERED, LetterState.RETURNED, LetterState.CANCELLED

MAY = {
    Q: {MailEvent.POSTED: P, MailEvent.UNKNOWN: U},
    U: {MailEvent.POSTED: P, MailEvent.NOT_POSTED: Q},
    P: {MailEvent.DELIVERED: D, MailEvent.RETURNED: R},
    R: {MailEvent.POSTED: P, MailEvent.UNKNOWN: U},
    D: {},
    C: {},
}


@pytest.mark.parametrize("state", LetterState)
@pytest.mark.parametrize("event", MailEvent)
def test_what_may_follow_and_where_it_leads(state: LetterState, event: MailEvent) -> None:
    follows = MAY[state].get(event)
    assert may_happen(event, state) == (follows is not None)
    if follows is not None:
        assert state_after(event, posted_before=False) is follows


@given(st.lists(st.sampled_from(MailEvent)))
def test_a_doubt_that_is_cleared_leaves_no_trace(events: list[MailEvent]) -> None:
    state, postings = Q, 0
    before_doubt = state
    for event in events:
        if not may_happen(event, state):
            continue
        if event is MailEvent.UNKNOWN:
            before_doubt = state
        state = state_after(event, posted_before=postings > 0)
        postings += event is MailEvent.POSTED
        if event is MailEvent.NOT_POSTED:
            assert state is before_doubt
    assert state is not C
    assert (state is Q) <= (postings == 0)
