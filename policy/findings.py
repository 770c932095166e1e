"""One finding about an envelope: what the rules saw, under which clause, and what mends it."""

from pydantic import BaseModel, ConfigDict

from policy.vocabulary import FindingCode


class Finding(BaseModel):
    """Something the rules found wrong with the documents of a request; holds no personal data.

    `document` is the kind of the document that is at fault, or for a missing one all the kinds that
    would do, joined by `|`. `clause` is the policy's clause, or "operator default". `message` names the
    remedy, in English; `policy.remedies.remedy` says it in either language. `requirement` is the id of the
    line of the pack's document list that is unmet, where there is one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: FindingCode
    document: str
    clause: str
    message: str
    requirement: str | None = None
