"""What the trailer of an account must say of the records before it."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from starter.bank.zengin.fields import Record
from starter.bank.zengin.records import (
    CANCELLED,
    IN,
    OVERDRAWN,
    NoticeDataA,
    NoticeDataB,
    NoticeTrailer,
    StatementData,
    StatementHeader,
    StatementTrailer,
    TimeDepositData,
    TransferData,
)

_SUMMED = {
    "01": ("count", "total", "cancelled_count", "cancelled_total"),
    "03": ("in_count", "in_total", "out_count", "out_total", "records"),
    "21": ("count", "total"),
}


@dataclass
class Totals:
    """Adds up the data records after one header, under the names that the trailer's fields have."""

    kind: str
    header: Record
    sums: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self.sums = dict.fromkeys(_SUMMED[self.kind], 0)

    def add(self, record: Record) -> None:
        match record:
            case NoticeDataA() | NoticeDataB():
                cancelled = "cancelled_" if record.cancel == CANCELLED else ""
                self._count(f"{cancelled}count", f"{cancelled}total", record.amount)
            case StatementData() | TimeDepositData():
                side = "in" if record.direction == IN else "out"
                self._count(f"{side}_count", f"{side}_total", record.amount)
                self.sums["records"] += 1
            case TransferData():
                self._count("count", "total", record.amount)
            case _:
                pass

    def mistakes(self, trailer: Record) -> Iterator[tuple[str, str]]:
        """Each field of the trailer that does not agree, and why."""
        expected = self.sums
        if isinstance(trailer, NoticeTrailer) and trailer.cancelled_count is not None:
            # the layout leaves open whether the first pair counts the cancelled records too; where the second
            # is blank, it must not, or nothing would tell a flag that was changed
            with_cancelled = {
                name: expected[name] + expected[f"cancelled_{name}"] for name in ("count", "total")
            }
            if trailer.count == with_cancelled["count"] != expected["count"]:
                expected = expected | with_cancelled
        for name, value in expected.items():
            stated = getattr(trailer, name)
            if stated is not None and stated != value:
                yield name, f"says {stated}, the records give {value}"
        if isinstance(trailer, StatementTrailer) and isinstance(self.header, StatementHeader):
            yield from self._wrong_balance(self.header, trailer)

    def _count(self, count: str, total: str, amount: int) -> None:
        self.sums[count] += 1
        self.sums[total] += amount

    def _wrong_balance(self, header: StatementHeader, trailer: StatementTrailer) -> Iterator[tuple[str, str]]:
        before, after = header.opening_balance, trailer.closing_balance
        if before is None or after is None or before == after == 0:  # balances are optional
            return
        moved = self.sums["in_total"] - self.sums["out_total"]
        if _signed(before, header.overdraft) + moved != _signed(after, trailer.overdraft):
            yield "closing_balance", "is not the opening balance and the transactions"


def _signed(balance: int, sign: str) -> int:
    return -balance if sign == OVERDRAWN else balance
