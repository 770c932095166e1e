"""The limits of the gateway, with a clock that the test turns."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starter.rates import KNOWN_FOR, MOST_STRANGERS, Limits, Rates, TooMany

LIMITS = Limits(notices=20, all_notices=50, strangers=3, all_strangers=10)
A, B, C = "192.0.2.1", "192.0.2.2", "192.0.2.3"


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def rates(clock: Clock) -> Rates:
    return Rates(LIMITS, clock)


def refused(call: object, address: str) -> int:
    """After how many seconds the caller may come again."""
    assert callable(call)
    with pytest.raises(TooMany) as caught:
        call(address)
    return caught.value.retry_after


def stranger(number: int) -> str:
    return f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"


def test_a_stranger_has_a_few_calls_and_then_one_at_a_time(rates: Rates, clock: Clock) -> None:
    for _ in range(3):
        rates.call(A)
    assert refused(rates.call, A) == 20
    clock.now += 19.9
    assert refused(rates.call, A) == 1
    clock.now += 0.1
    rates.call(A)
    assert refused(rates.call, A) == 20
    clock.now += 60
    for _ in range(3):
        rates.call(A)


def test_strangers_together_have_a_limit_and_take_nothing_from_those_known(rates: Rates) -> None:
    rates.call(A)
    rates.proven(A)
    for number in range(9):
        rates.call(stranger(number))
    assert refused(rates.call, B) == 6
    for _ in range(19):
        rates.call(A)
        rates.proven(A)
    assert refused(rates.proven, A) == 3


def test_forgeries_from_the_address_of_one_known_leave_its_notices_alone(rates: Rates) -> None:
    rates.call(A)
    rates.proven(A)
    for _ in range(150):
        rates.call(A)
    for _ in range(19):
        rates.call(A)
        rates.proven(A)
    for _ in range(31):
        rates.call(A)
    assert refused(rates.call, A) == 1


def test_notices_have_a_limit_over_all(rates: Rates) -> None:
    for address in (A, B):
        for _ in range(20):
            rates.proven(address)
    for _ in range(10):
        rates.proven(C)
    assert refused(rates.proven, C) == 2


def test_what_is_refused_costs_nothing(rates: Rates, clock: Clock) -> None:
    for _ in range(3):
        rates.call(A)
    for _ in range(100):
        refused(rates.call, A)
    for number in range(7):
        rates.call(stranger(number))
    clock.now += 20
    rates.call(A)


def test_who_is_known_becomes_a_stranger_again(rates: Rates, clock: Clock) -> None:
    rates.proven(A)
    clock.now += KNOWN_FOR - 1
    for _ in range(10):
        rates.call(A)
    clock.now += 1
    for _ in range(3):
        rates.call(A)
    refused(rates.call, A)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("fe80::1%eth0", "fe80::1%eth1", True),
        ("", "no address", True),
        ("192.0.2.1", "192.0.2.2", False),
    ],
)
def test_an_ipv6_network_is_one_caller(rates: Rates, one: str, other: str, same: bool) -> None:
    for _ in range(3):
        rates.call(one)
    if same:
        refused(rates.call, other)
    else:
        rates.call(other)


def test_memory_is_bounded_however_many_call() -> None:
    many = Limits(notices=10**6, all_notices=10**6, strangers=10**6, all_strangers=10**6)
    rates = Rates(many)

    def size() -> int:
        tables = [
            rates._known,
            *(part._whole_at for part in vars(rates).values() if hasattr(part, "_whole_at")),
        ]
        return sum(sys.getsizeof(table) for table in tables)

    def callers(start: int, end: int) -> None:
        for number in range(start, end):
            rates.call(stranger(number))
            if number % 2:
                rates.proven(stranger(number))
                rates.call(stranger(number))

    callers(0, 3 * MOST_STRANGERS)
    full = size()
    callers(3 * MOST_STRANGERS, 6 * MOST_STRANGERS)
    assert size() <= full
    assert full < 4_000_000


@given(gaps=st.lists(st.floats(0, 30), max_size=80), limit=st.integers(1, 40))
def test_in_no_minute_are_there_more_than_twice_the_limit(gaps: list[float], limit: int) -> None:
    """A full allowance and what comes back meanwhile; after the wait that was said, one more is allowed."""
    clock = Clock()
    rates = Rates(Limits(strangers=limit, all_strangers=10**6), clock)
    allowed = []
    for gap in gaps:
        clock.now += gap
        try:
            rates.call(A)
        except TooMany as refusal:
            clock.now += refusal.retry_after
            rates.call(A)
        allowed.append(clock.now)
    for start in allowed:
        assert sum(start <= moment < start + 60 for moment in allowed) <= 2 * limit
