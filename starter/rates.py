"""How often the gateway may be called: whoever floods it takes nothing from the payment system.

A caller is a stranger until a signature sent from that address holds, and known for a day after the last one
that did. Strangers have few calls each and a limit all together, decided before anything is read. Proven
notices draw on allowances of their own, which unsigned calls cannot use up. All of it is in the memory of one
process, of a fixed size however many addresses call.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network, ip_address

WINDOW = 60.0
"""Seconds: the minute that limits are about."""
KNOWN_FOR = 24 * 3600.0
"""Seconds that an address stays known after the last signature that held."""
MOST_KNOWN = 1_000
"""Addresses with a signature that held."""
MOST_STRANGERS = 10_000
"""Others that are remembered; beyond, the longest silent is forgotten: the limit on all together holds."""

_CALLS = 10  # known callers' calls for each notice: behind one address, others may be at work too


@dataclass(frozen=True)
class Limits:
    """How many a minute; as many may come at once, when none came in the minute before."""

    notices: int = 1200  # proven, from one address
    all_notices: int = 6000
    strangers: int = 60  # calls of one address before a signature of it held
    all_strangers: int = 3000


class TooMany(Exception):
    """More than the limits allow. After ``retry_after`` seconds one more is."""

    def __init__(self, wait: float) -> None:
        super().__init__()
        self.retry_after = max(1, math.ceil(wait))


class Rates:
    """Who may call now. ``clock`` tells seconds."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: OrderedDict[str, float] = OrderedDict()  # until when
        self._calls = _Allowance(limits.notices * _CALLS, MOST_KNOWN)
        self._strangers = _Allowance(limits.strangers, MOST_STRANGERS)
        self._all_strangers = _Allowance(limits.all_strangers, 1)
        self._notices = _Allowance(limits.notices, MOST_KNOWN)
        self._all_notices = _Allowance(limits.all_notices, 1)

    def call(self, address: str) -> None:
        """Somebody calls, and nothing is known of the call but where it comes from. Raises ``TooMany``."""
        caller, now = _caller(address), self._clock()
        if self._known.get(caller, 0.0) > now:
            _take(now, (self._calls, caller))
        else:
            _take(now, (self._strangers, caller), (self._all_strangers, ""))

    def proven(self, address: str) -> None:
        """What was called is a notice whose signature holds. Raises ``TooMany``."""
        caller, now = _caller(address), self._clock()
        self._known[caller] = now + KNOWN_FOR
        self._known.move_to_end(caller)
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
        _take(now, (self._notices, caller), (self._all_notices, ""))


class _Allowance:
    """So many a minute for each key, at once or spread. All it keeps of a key is when that is whole again."""

    def __init__(self, per_minute: int, keys: int) -> None:
        self._each = WINDOW / per_minute
        self._keys = keys
        self._whole_at: OrderedDict[str, float] = OrderedDict()

    def wait(self, key: str, now: float) -> float:
        """Seconds until one more is allowed: 0 when it is now."""
        over = self._after_one(key, now) - now - WINDOW
        return over if over > 1e-6 else 0.0

    def take(self, key: str, now: float) -> None:
        self._whole_at[key] = self._after_one(key, now)
        self._whole_at.move_to_end(key)
        if len(self._whole_at) > self._keys:
            self._whole_at.popitem(last=False)

    def _after_one(self, key: str, now: float) -> float:
        return max(self._whole_at.get(key, now), now) + self._each


def _take(now: float, *wanted: tuple[_Allowance, str]) -> None:
    """One of each, or of none."""
    if wait := max(allowance.wait(key, now) for allowance, key in wanted):
        raise TooMany(wait)
    for allowance, key in wanted:
        allowance.take(key, now)


def _caller(address: str) -> str:
    """Whom an address stands for: in IPv6 a whole network is one caller, and so is all that is no address."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(ip, IPv6Address):
        mapped = ip.ipv4_mapped
        return str(mapped or IPv6Network((int(ip) >> 64 << 64, 64)))
    return str(ip)
