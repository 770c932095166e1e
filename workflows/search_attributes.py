"""The search attributes operators filter by in the Temporal UI: the one registry of their names and types.

They are never encrypted, so nothing personal stands in any of them.
"""

from datetime import datetime

from temporalio.common import SearchAttributeIndexedValueType, SearchAttributeKey

PHASE: SearchAttributeKey[str] = SearchAttributeKey.for_keyword("KaijiPhase")
KIND: SearchAttributeKey[str] = SearchAttributeKey.for_keyword("KaijiKind")
SERVICES = SearchAttributeKey.for_keyword_list("KaijiServices")
WAITING_FOR: SearchAttributeKey[str] = SearchAttributeKey.for_keyword("KaijiWaitingFor")
DUE_AT: SearchAttributeKey[datetime] = SearchAttributeKey.for_datetime("KaijiDueAt")
OUTCOME: SearchAttributeKey[str] = SearchAttributeKey.for_keyword("KaijiOutcome")
RETAIN_UNTIL: SearchAttributeKey[datetime] = SearchAttributeKey.for_datetime("KaijiRetainUntil")
HOLD: SearchAttributeKey[bool] = SearchAttributeKey.for_bool("KaijiHold")

ALL = {
    key.name: SearchAttributeIndexedValueType(key.indexed_value_type)
    for key in (PHASE, KIND, SERVICES, WAITING_FOR, DUE_AT, OUTCOME, RETAIN_UNTIL, HOLD)
}
"""Name and type of each, for whoever registers them with a server."""
