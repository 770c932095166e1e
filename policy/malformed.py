"""What is wrong with malformed input, said without repeating any of it: the input may be personal data."""

import re

from pydantic import ValidationError

from policy.refusals import Code, Refusal

_PLAIN_KEY = re.compile(r"[a-z_]{1,32}")
_MENTIONED = 5


def malformed(error: ValidationError, whole: str, code: Code = Code.MALFORMED) -> Refusal:
    """A ``Refusal`` that names the first few places at fault; ``whole`` names the input itself.

    A key we did not choose may be anything, so only a plain one is repeated.
    """
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    return Refusal(
        code,
        "; ".join(
            f"{_place(problem['loc']) or whole}: {problem['msg'].removeprefix('Value error, ')}"
            for problem in problems[:_MENTIONED]
        ),
    )


def _place(location: tuple[int | str, ...]) -> str:
    parts = (str(part) for part in location)
    return ".".join(p if p.isdecimal() or _PLAIN_KEY.fullmatch(p) else "(unknown field)" for p in parts)
