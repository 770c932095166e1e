"""What an officer may ask for beyond what the rules found: only what the policy lists (§5(2)(3), (4))."""

from collections.abc import Iterable

from policy.findings import Finding
from policy.pack import Pack
from policy.refusals import Code, Refusal
from policy.vocabulary import Capacity, FindingCode


def asked_for(
    findings: Iterable[Finding], pack: Pack, capacity: Capacity, codes: Iterable[str]
) -> list[Finding]:
    """What a deficiency letter asks for: all that the rules found, or only what these codes name.

    A code is that of a finding, or a document the policy lists for this capacity; for any other, `Refusal`
    (malformed) is raised.
    """
    found = list(findings)
    chosen: list[Finding] = []
    for code in codes:
        matching = [f for f in found if code in (f.code.value, *f.document.split("|"))]
        matching = matching or _demand(pack, capacity, code)
        if not matching:
            message = f"{code} is neither a finding of this request nor a document the policy lists for it"
            raise Refusal(Code.MALFORMED, message, clause="§5(2)(3)")
        chosen += [finding for finding in matching if finding not in chosen]
    return chosen or found


def _demand(pack: Pack, capacity: Capacity, document: str) -> list[Finding]:
    """The lines of the list for this capacity that a document of this kind would satisfy, as findings.

    `document` may also be the id of a line. Empty when the policy does not list such a document: then it may
    not be asked for.
    """
    return [
        Finding(
            code=FindingCode.MISSING,
            document="|".join(requirement.any_of),
            clause=requirement.citation,
            message=f"an officer asks for: {' or '.join(requirement.any_of)}",
            requirement=requirement.id,
        )
        for requirement in pack.capacities[capacity].requirements
        if document in (requirement.id, *requirement.any_of)
    ]
