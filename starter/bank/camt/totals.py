"""What a statement says of its entries as a whole: their number and sums, and the balances around them."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from decimal import Decimal
from xml.etree.ElementTree import Element

from starter.bank.camt.elements import Money, decimal_of, money_of, text_at

CREDIT, DEBIT = "CRDT", "DBIT"
_TOTALS = {"TtlNtries": (CREDIT, DEBIT), "TtlCdtNtries": (CREDIT,), "TtlDbtNtries": (DEBIT,)}
_OPENING = ("OPBD", "PRCD")
"""The balance before the entries: the opening one, or the closing one of the statement before."""
_CLOSING = "CLBD"
_COMPARED = "JPY"
"""Only yen pay. Statements in other currencies are often published with fewer entries than moved the balance,
and none of their money is credited without a clerk."""


class Totals:
    """Counts and sums of the entries of one statement, all of them and the booked ones, and its balances."""

    def __init__(self) -> None:
        self._summary: Element | None = None
        self._balances: defaultdict[str, set[Decimal]] = defaultdict(set)
        self._count: Counter[tuple[str, bool]] = Counter()
        self._sum: defaultdict[tuple[str, bool], Decimal] = defaultdict(Decimal)
        self._moved = Decimal()

    def take_summary(self, summary: Element) -> None:
        self._summary = summary

    def take_balance(self, balance: Element) -> bool:
        """Whether it can be read; one that is not compared is not looked at."""
        kind = text_at(balance, "Tp/CdOrPrtry/Cd")
        if kind not in {*_OPENING, _CLOSING}:
            return True
        money = next((found for child in balance if (found := money_of(child))), None)
        side = text_at(balance, "CdtDbtInd")
        if money is None or side not in {CREDIT, DEBIT}:
            return False
        if money.currency == _COMPARED:
            self._balances[kind].add(money.amount if side == CREDIT else -money.amount)
        return True

    def add(self, side: str, booked: bool, money: Money) -> None:
        self._count[side, booked] += 1
        self._sum[side, booked] += money.amount
        if booked and money.currency == _COMPARED:
            self._moved += money.amount if side == CREDIT else -money.amount

    def mistakes(self) -> Iterator[tuple[str, str]]:
        """Each figure that does not agree, by its path, and what the entries give."""
        for name, sides in _TOTALS.items():
            for figure, possible in self._possible(sides).items():
                stated = text_at(self._summary, f"{name}/{figure}")
                if stated and decimal_of(stated) not in possible:
                    there = " or ".join(f"{value:f}" for value in sorted(possible))
                    yield f"TxsSummry/{name}/{figure}", f"does not agree with the entries: {there}"
        opening = next((found for kind in _OPENING if (found := self._balances.get(kind))), set())
        closing = self._balances.get(_CLOSING, set())
        if len(opening) == len(closing) == 1 and min(opening) + self._moved != min(closing):
            yield f"Bal/{_CLOSING}", "is not the opening balance and the booked entries"

    def _possible(self, sides: tuple[str, ...]) -> dict[str, set[Decimal]]:
        """What a summary may say of these sides: of the booked entries alone, or of all of them."""
        counts = [sum(self._count[side, booked] for side in sides) for booked in (True, False)]
        sums = [sum((self._sum[side, booked] for side in sides), Decimal()) for booked in (True, False)]
        return {"NbOfNtries": {Decimal(counts[0]), Decimal(sum(counts))}, "Sum": {sums[0], sums[0] + sums[1]}}
