"""The payload converter: what it cannot read it does not repeat, in whatever its error is shown by."""

import traceback
from types import NoneType
from typing import Any

import pytest
from temporalio.api.failure.v1 import Failure
from temporalio.converter import DefaultFailureConverter

from runtime.plugin import KaijiPayloadConverter
from workflows.messages import DocumentsReceived, PlaceHold

NOTE = "5b0e1cf1-9d29-4a5c-8f4e-3b2f5d1f0c11"


@pytest.mark.parametrize("hint", [DocumentsReceived, DocumentsReceived | None, list[DocumentsReceived], int])
@pytest.mark.parametrize(
    "said", ["CANARY", {"envelope_id": {"CANARY": "CANARY"}}, ["CANARY", {"x": "CANARY"}]]
)
def test_an_unreadable_payload_is_not_repeated(said: object, hint: Any) -> None:
    converter = KaijiPayloadConverter()
    payload = converter.to_payload(said)
    with pytest.raises(ValueError, match="no ") as caught:
        converter.from_payload(payload, hint)
    assert caught.value.__context__ is None
    shown = "".join(traceback.format_exception(caught.value))
    assert "CANARY" not in shown + repr(caught.value)
    told = Failure()
    DefaultFailureConverter().to_failure(caught.value, converter, told)
    assert "CANARY" not in str(told)


def test_what_can_be_read_is_read() -> None:
    converter = KaijiPayloadConverter()
    fact = DocumentsReceived(envelope_id="1")
    for hint in (DocumentsReceived, DocumentsReceived | None):
        assert converter.from_payload(converter.to_payload(fact), hint) == fact  # type: ignore[arg-type]
    assert converter.from_payload(converter.to_payload(None), NoneType) is None


@pytest.mark.parametrize("name", ["", "none", "理由を書きました", NOTE.upper(), f"{NOTE}\n", f"{{{NOTE}}}"])
def test_free_text_does_not_travel_as_a_note(name: str) -> None:
    converter = KaijiPayloadConverter()
    written = converter.to_payload({"by": "manager-1", "note_id": name})
    with pytest.raises(ValueError, match="string_pattern_mismatch"):
        converter.from_payload(written, PlaceHold)
    read = converter.from_payload(converter.to_payload({"by": "manager-1", "note_id": NOTE}), PlaceHold)
    assert read == PlaceHold(by="manager-1", note_id=NOTE)
