"""Instants as whole microseconds since 1970 (UTC): a number is digested and signed, not how it is written."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from sqlalchemy import ColumnElement, Numeric, extract, type_coerce

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_microseconds(at: datetime) -> int:
    """Raises ``TypeError`` for an instant without time zone."""
    return (at - _EPOCH) // _MICROSECOND


def from_microseconds(count: int) -> datetime | None:
    """None for an instant that no calendar of Python's has."""
    try:
        return _EPOCH + count * _MICROSECOND
    except OverflowError:
        return None


def seconds(column: ColumnElement[datetime]) -> ColumnElement[Decimal]:
    """Seconds since 1970 of a column, exact; even of what Python cannot hold as an instant."""
    return type_coerce(extract("epoch", column), Numeric())


def whole_microseconds(seconds: Decimal | None) -> int | None:
    """What ``seconds`` found, counted in microseconds; None for an infinity."""
    return int(seconds * 1_000_000) if seconds is not None and seconds.is_finite() else None
