"""Many values in one parameter: a condition that costs the same to prepare however many there are."""

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import any_, literal
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql.expression import CollectionAggregate
from sqlalchemy.types import String, Uuid


def any_of(values: Iterable[str | None]) -> CollectionAggregate[bool]:
    """What a column is compared with that may equal any of these texts; None equals nothing."""
    return any_(literal(sorted({value for value in values if value is not None}), ARRAY(String)))


def any_id(ids: Iterable[UUID]) -> CollectionAggregate[bool]:
    """What a column is compared with that may equal any of these ids."""
    return any_(literal(list(ids), ARRAY(Uuid)))
