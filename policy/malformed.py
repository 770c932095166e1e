"""What is wrong with malformed input, said without repeating any of it: the input may be personal data."""

from functools import cache

from pydantic import BaseModel, ValidationError

from policy.refusals import Code, Refusal

_MENTIONED = 5


def malformed(
    error: ValidationError, model: type[BaseModel], whole: str, code: Code = Code.MALFORMED
) -> Refusal:
    """A ``Refusal`` that names the first few places at fault; ``whole`` names the input itself.

    A key that the model does not know may be anything, so it is not repeated.
    """
    known = _keys(model)
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    return Refusal(
        code,
        "; ".join(
            f"{_place(problem['loc'], known) or whole}: {problem['msg'].removeprefix('Value error, ')}"
            for problem in problems[:_MENTIONED]
        ),
    )


def _place(location: tuple[int | str, ...], known: frozenset[str]) -> str:
    return ".".join(str(p) if isinstance(p, int) or p in known else "(unknown field)" for p in location)


@cache
def _keys(model: type[BaseModel]) -> frozenset[str]:
    """The keys that the model, and whatever stands in it, gives names to."""
    schema = model.model_json_schema()
    return frozenset(
        key for each in (schema, *schema.get("$defs", {}).values()) for key in each.get("properties", ())
    )
