"""Why a command failed, as the contract's error object and exit status; the message says what to do next.

2 usage or malformed input; 3 refused by the rules; 4 no such thing; 5 a service is out of reach (nothing
lost, safe to repeat); 1 a fault of Kaiji's own, which should be reported.
"""

from dataclasses import asdict
from typing import TYPE_CHECKING

from typer import TyperException

from starter.cli.output import Failure

if TYPE_CHECKING:
    from starter.bank.findings import BankFileRefused

USAGE = "usage"
"""The command line itself is wrong."""
MISCONFIGURED = "misconfigured"
"""A setting or a file of settings cannot be used."""
TAMPERED = "tampered"
"""What is stored is not what was written there."""
AUDIT_BROKEN = "audit_broken"
"""The audit trail is not what was written."""
CERTIFICATE_BROKEN = "certificate_broken"
"""A certificate of destruction is not what was signed."""
BOOKS_BROKEN = "books_broken"
"""The ledger does not add up: somebody else wrote to it."""
INTERNAL = "internal"
"""A fault of Kaiji's own."""


def usage_failure(error: TyperException) -> Failure:
    """A command line that cannot be understood."""
    return Failure({"code": USAGE, "message": error.format_message()}, 2)


def failure(error: Exception) -> Failure | None:
    """What went wrong in a command; None for a fault of Kaiji's own."""
    from policy.pack import PackError
    from policy.refusals import Code, Refusal
    from policy.registry import UnknownPack

    if isinstance(error, Refusal):
        return Failure(error.to_error(), error.exit_status)
    if isinstance(error, PackError):
        problems = [asdict(problem) for problem in error.problems]
        return Failure({"code": Code.MALFORMED.value, "message": str(error), "problems": problems}, 2)
    if isinstance(error, UnknownPack):
        return Failure({"code": Code.UNKNOWN_PACK.value, "message": str(error)}, 4)

    from starter.bank.findings import BankFileRefused

    if isinstance(error, BankFileRefused):
        return _bank_file(error)

    from records.vault import Destroyed, Tampered
    from runtime.errors import KeyringError, Misconfigured, StartFailed, UnknownKey, Unreachable

    if isinstance(error, (Unreachable, StartFailed)):
        message = f"{error}; nothing is lost, it is safe to repeat the command"
        return Failure({"code": Code.SERVICE_UNREACHABLE.value, "message": message}, 5)
    if isinstance(error, (Misconfigured, KeyringError)):
        return Failure({"code": MISCONFIGURED, "message": str(error)}, 2)
    if isinstance(error, (Destroyed, UnknownKey)):
        message = f"{error}: nobody can open it any more"
        return Failure({"code": Code.NOT_FOUND.value, "message": message}, 4)
    if isinstance(error, Tampered):
        return Failure({"code": TAMPERED, "message": f"{error}: tell the privacy manager"}, 1)
    return None


def _bank_file(error: "BankFileRefused") -> Failure:
    from policy.refusals import Code

    count = len(error.findings) + error.more
    document: dict[str, object] = {
        "code": Code.BANK_FILE_REFUSED.value,
        "message": f"the file is refused and nothing of it applied: {count} finding{'s' * (count != 1)}",
        "findings": [{**asdict(each), "message": str(each)} for each in error.findings],
    }
    return Failure({**document, "more": error.more} if error.more else document, 2)


def internal_failure(error: Exception) -> Failure:
    """A fault of Kaiji's own, without its message: that may quote what was being worked on."""
    message = f"unexpected {type(error).__name__}: a fault in Kaiji; the log on standard error says where"
    return Failure({"code": INTERNAL, "message": message}, 1)
