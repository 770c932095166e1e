"""What an officer may ask for beyond what the rules found: only what the policy lists (§5(2)(3), (4))."""

from policy.findings import Finding
from policy.pack import Pack
from policy.vocabulary import Capacity, FindingCode


def demand(pack: Pack, capacity: Capacity, document: str) -> list[Finding]:
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
