"""The registry of reason codes."""

import pytest

from policy.assessment import unprintable_name
from policy.refusals import Code, Refusal
from policy.vocabulary import DocumentKind

EXIT = {
    2: {"malformed", "bad_tracking_number", "unknown_service", "reason_required", "bank_file_refused"},
    4: {
        "not_found",
        "unknown_request",
        "unknown_letter",
        "unknown_deposit",
        "unknown_refund",
        "unknown_document",
        "unknown_pack",
    },
    5: {"service_unreachable", "too_many_notices", "home_in_use"},
}


@pytest.mark.parametrize("code", Code)
def test_exit_statuses(code: Code) -> None:
    expected = next((status for status, codes in EXIT.items() if code in codes), 3)
    assert code.exit_status == expected


def test_an_error_says_no_more_than_there_is() -> None:
    assert Refusal(Code.ENDED, "the request is over").to_error() == {
        "code": "ended",
        "message": "the request is over",
    }


def test_an_error_with_everything() -> None:
    finding = unprintable_name(DocumentKind.REQUEST_FORM)
    error = Refusal(Code.MALFORMED, "no", clause="§5(2)", findings=(finding,)).to_error()
    assert error["clause"] == "§5(2)"
    assert error["findings"] == [
        {
            "code": "unprintable_name",
            "document": "request_form",
            "clause": "operator default",
            "message": "Write the name and address again in characters that can be printed.",
            "requirement": None,
        }
    ]
