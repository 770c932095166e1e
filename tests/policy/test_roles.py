"""Who may do what."""

import pytest

from policy.refusals import Code, Refusal
from policy.roles import ROLES_FOR, Act, check_role, is_staff_id, may
from policy.vocabulary import Role

EXPECTED = {
    Role.MAILROOM: {
        Act.OPEN_REQUEST,
        Act.RECEIVE_ENVELOPE,
        Act.RECORD_MAIL,
        Act.PRINT_LETTER,
        Act.SHOW_REQUEST,
    },
    Role.OFFICER: {
        Act.OPEN_REQUEST,
        Act.RECEIVE_ENVELOPE,
        Act.ATTACH_ENVELOPE,
        Act.VERIFY_IDENTITY,
        Act.RECORD_DOCUMENT,
        Act.VIEW_DOCUMENT,
        Act.PROPOSE_RESPONSE,
        Act.PREVIEW_RESPONSE,
        Act.READ_NOTES,
        Act.TAKE_BACK_RESPONSE,
        Act.CONFIRM_ADDRESS,
        Act.REOPEN,
        Act.END_STANDING,
        Act.LINK_DUPLICATE,
        Act.SEND_RECEIPT,
        Act.WITHDRAW,
        Act.EXTEND,
        Act.RECORD_MAIL,
        Act.PRINT_LETTER,
        Act.SHOW_HOLDINGS,
        Act.SHOW_REQUEST,
        Act.VIEW_CERTIFICATE,
        Act.SHOW_HOLDS,
    },
    Role.APPROVER: {
        Act.APPROVE_RESPONSE,
        Act.RETURN_PROPOSAL,
        Act.PREVIEW_RESPONSE,
        Act.READ_NOTES,
        Act.TAKE_BACK_RESPONSE,
        Act.VIEW_DOCUMENT,
        Act.SHOW_HOLDINGS,
        Act.SHOW_REQUEST,
        Act.VIEW_CERTIFICATE,
        Act.SHOW_HOLDS,
    },
    Role.ACCOUNTS: {
        Act.IMPORT_DEPOSITS,
        Act.SHOW_DEPOSITS,
        Act.SUGGEST_REQUESTS,
        Act.ASSIGN_DEPOSIT,
        Act.UNASSIGN_DEPOSIT,
        Act.SPLIT_DEPOSIT,
        Act.DISMISS_TWIN,
        Act.REFUND_DEPOSIT,
        Act.APPROVE_REFUND,
        Act.REJECT_REFUND,
        Act.WRITE_REFUNDS,
        Act.RECORD_REFUND,
        Act.SEND_RECEIPT,
        Act.SHOW_BOOKS,
        Act.SHOW_REQUEST,
    },
    Role.MANAGER: {
        Act.READ_NOTES,
        Act.SHOW_DEPOSITS,
        Act.SHOW_BOOKS,
        Act.APPROVE_REFUND,
        Act.REJECT_REFUND,
        Act.PLACE_HOLD,
        Act.RELEASE_HOLD,
        Act.IMPORT_HOLDINGS,
        Act.SHOW_HOLDINGS,
        Act.SHOW_REQUEST,
        Act.VIEW_CERTIFICATE,
        Act.VERIFY_AUDIT,
        Act.ADD_STAFF,
        Act.ROTATE_KEYS,
        Act.DISCARD_KEYS,
        Act.SWEEP_RETENTION,
        Act.RESCHEDULE_RETENTION,
        Act.EXPORT_AUDIT,
        Act.SHOW_HOLDS,
        Act.ENACT_POLICY,
    },
    Role.AUDITOR: {
        Act.SHOW_HOLDS,
        Act.EXPORT_AUDIT,
        Act.SHOW_DEPOSITS,
        Act.SHOW_BOOKS,
        Act.SHOW_REQUEST,
        Act.VIEW_CERTIFICATE,
        Act.VERIFY_AUDIT,
    },
}


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("act", Act)
def test_each_role_does_its_own(role: Role, act: Act) -> None:
    assert may({role}, act) == (act in EXPECTED[role])


def test_every_act_is_somebodys_and_none_is_nobodys() -> None:
    assert set(ROLES_FOR) == set(Act)
    assert all(ROLES_FOR.values())
    assert not any(may((), act) for act in Act)


def test_roles_add_up() -> None:
    assert may({Role.MAILROOM, Role.APPROVER}, Act.APPROVE_RESPONSE)


def test_the_wrong_role_is_refused() -> None:
    check_role({Role.APPROVER}, Act.APPROVE_RESPONSE)
    with pytest.raises(Refusal) as refused:
        check_role({Role.OFFICER}, Act.APPROVE_RESPONSE)
    assert refused.value.code is Code.WRONG_ROLE
    assert "approver" in refused.value.message


@pytest.mark.parametrize(
    ("text", "good"),
    [("officer-1", True), ("a1", True), ("a", False), ("Officer", False), ("x" * 33, False), ("見本", False)],
)
def test_staff_ids(text: str, good: bool) -> None:
    assert is_staff_id(text) == good
