"""What a published JSON Schema allows, made up at random, and changes of it that the schema forbids.

Only the words that the gateway's schemas use; an unknown one is an error, so that none is passed over.
"""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st

Schema = Mapping[str, Any]

_NOTES = {"title", "description", "default"}
_WORDS = {
    "object": {"type", "properties", "required", "additionalProperties"},
    "string": {"type", "pattern", "format", "minLength", "maxLength", "enum"},
    "integer": {"type", "minimum", "maximum", "exclusiveMinimum"},
    "null": {"type"},
}
_PRINTABLE = st.characters(exclude_categories=["Cs"])


class Published:
    """The schemas of one OpenAPI document."""

    def __init__(self, document: Schema) -> None:
        self._document = document

    def resolve(self, schema: Schema) -> Schema:
        """The schema itself, where it only refers to one; checked to hold no word unknown here."""
        if "$ref" in schema:
            found = self._document
            for part in schema["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            return self.resolve(found)
        known = {"anyOf"} if "anyOf" in schema else _WORDS[schema["type"]]
        assert set(schema) <= known | _NOTES, set(schema) - known
        return schema

    # ── allowed ──────────────────────────────────────────────────────────────────────────────────────────

    def allowed(self, schema: Schema) -> st.SearchStrategy[Any]:
        """Values that the schema allows."""
        schema = self.resolve(schema)
        if "anyOf" in schema:
            return st.one_of(*(self.allowed(each) for each in schema["anyOf"]))
        match schema["type"]:
            case "null":
                return st.none()
            case "integer":
                low = schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1)
                return st.integers(low, schema["maximum"]) | st.sampled_from([low, schema["maximum"]])
            case "object":
                fields = {name: self.allowed(each) for name, each in schema["properties"].items()}
                needed = {name: fields[name] for name in schema["required"]}
                return st.fixed_dictionaries(
                    needed, optional={name: each for name, each in fields.items() if name not in needed}
                )
            case _:
                return _texts(schema)

    def allows(self, schema: Schema, value: object) -> bool:
        """Whether the schema allows the value: from its words alone, not from the strategies above."""
        schema = self.resolve(schema)
        if "anyOf" in schema:
            return any(self.allows(each, value) for each in schema["anyOf"])
        match schema["type"]:
            case "null":
                return value is None
            case "integer":
                return (
                    type(value) is int
                    and value >= schema.get("minimum", value)
                    and value > schema.get("exclusiveMinimum", value - 1)
                    and value <= schema.get("maximum", value)
                )
            case "object":
                properties = schema["properties"]
                return (
                    isinstance(value, dict)
                    and set(schema["required"]) <= set(value)
                    and (schema.get("additionalProperties", True) or set(value) <= set(properties))
                    and all(
                        self.allows(properties[key], each) for key, each in value.items() if key in properties
                    )
                )
            case _:
                return isinstance(value, str) and _allows_text(schema, value)

    # ── forbidden ────────────────────────────────────────────────────────────────────────────────────────

    def changed(self, schema: Schema) -> st.SearchStrategy[tuple[Any, str]]:
        """An allowed object with one thing in it changed, mostly for the worse; and the path of that."""

        @st.composite
        def one(draw: st.DrawFn) -> tuple[Any, str]:
            value = draw(self.allowed(schema))
            part, at, path = value, self.resolve(schema), ""
            while True:
                name = draw(st.sampled_from(sorted(at["properties"])))
                path += name
                inner = self.resolve(at["properties"][name])
                if inner.get("type") != "object" or draw(st.integers(0, 3)) == 0:
                    break
                part, at, path = part[name], inner, path + "."
            match draw(st.sampled_from(["replace", "replace", "replace", "remove", "add"])):
                case "remove":
                    part.pop(name, None)
                case "add":
                    other = draw(
                        st.text(_PRINTABLE, min_size=1, max_size=20).filter(lambda key: key not in part)
                    )
                    if other not in at["properties"]:
                        part[other], path = draw(_ANYTHING), path.rpartition(".")[0]
                case _:
                    part[name] = draw(st.sampled_from(TRICKY) | _ANYTHING | _near(part.get(name)))
            return value, path

        return one()


TRICKY: tuple[object, ...] = (
    *(None, True, False, [], {}, "", " ", "null", "a", "/", "..", "a/b", "Ａ", "jpy", "JPY", "JPY\n", "JPYX"),
    *(0, 1, -1, -5400, 5400, 0.5, -0.0, 1.0, 1e300, 10**12, 10**12 + 1, 2**63, 10**4000, "5400", "５４００"),
    *(
        "2018-11-20",
        "2018-02-30",
        "2000-02-29",
        "1900-02-29",
        "20181120",
        "2018-11-20T00:00:00",
        "0999-12-31",
    ),
    *(
        "3000-01-01",
        "２０１８-11-20",
        "2018-11-20\n",
        1542672000,
        "1542672000",
        20181120,
        "9999-12-31T23:59:59Z",
    ),
    *("2018-11-20T09:00:00", "2018-11-20T09:00:00Z", "2018-11-20t09:00:00z", "2018-11-20 09:00:00Z"),
    *("2018-11-20T09:00Z", "2018-11-20T09:00:00+0900", "2018-11-20T09:00:00+09", "2018-11-20T24:00:00Z"),
    *(
        "2018-11-20T09:00:60Z",
        "2018-11-20T09:60:00Z",
        "2018-11-20T09:00:00+24:00",
        "2018-11-20T09:00:00-00:00",
    ),
    *("2018-11-20T09:00:00+09:60", "2018-11-20T09:00:00,5Z", "2018-11-20T09:00:00.Z", "2018-02-30T09:00:00Z"),
    *(f"2018-11-20T09:00:00.{'1' * digits}Z" for digits in (1, 6, 7, 9, 10)),
    *(
        f"a{character}"
        for character in "\0\t\n\r\x1f\x7f\x80\x9f\xa0\u2028\u2029\u200b\u202e\ufeff\ufffe\U0010ffff"
    ),
    *("𠮷" * length for length in (63, 64, 65, 139, 140, 141)),
    *("D" * length for length in (64, 65)),
    *("deposit.settled", "deposit.settled ", "DEPOSIT.SETTLED"),
)
"""What another parser might take for something else."""

_ANYTHING = st.recursive(
    st.integers()
    | st.integers(10**12 - 1, 10**12 + 1)
    | st.floats(allow_nan=False)
    | st.text(_PRINTABLE, max_size=160),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(_PRINTABLE, max_size=5), inner, max_size=2)
    ),
    max_leaves=4,
)


@st.composite
def _near(draw: st.DrawFn, value: object) -> object:
    """A little beside the value."""
    if isinstance(value, int):
        return value + draw(st.sampled_from([0.5, 10**12, -(10**12), 10**30]))
    if not isinstance(value, str):
        return draw(_ANYTHING)
    place = draw(st.integers(0, len(value)))
    some = draw(st.sampled_from("\n\r\t\0\x1f\x7f\x85\u2028\u2029 ０１aAzZ-_.+:TZ/\u200b\u0301\U0001f600"))
    match draw(st.sampled_from(["insert", "replace", "remove", "double", "long", "end"])):
        case "insert":
            return value[:place] + some + value[place:]
        case "replace":
            return value[:place] + some + value[place + 1 :]
        case "remove":
            return value[:place] + value[place + 1 :]
        case "double":
            return value + value
        case "long":
            return "あ" * draw(st.integers(138, 142))
        case _:
            return value + some


def _texts(schema: Schema) -> st.SearchStrategy[str]:
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema.get("format") == "date":
        return st.dates(date(1000, 1, 1), date(2999, 12, 31)).map(date.isoformat)
    if schema.get("format") == "date-time":
        return _moments()
    low, high, pattern = schema.get("minLength", 0), schema.get("maxLength"), schema["pattern"]
    if high is None:
        return st.from_regex(re.compile(pattern, re.ASCII), fullmatch=True)
    characters = st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"])
    extremes = st.integers(high - 1, high).flatmap(lambda size: st.just("𠮷" * size))
    return st.text(characters, min_size=low, max_size=high) | extremes


@st.composite
def _moments(draw: st.DrawFn) -> str:
    minutes = draw(st.integers(-(24 * 60 - 1), 24 * 60 - 1))
    day = draw(st.dates(date(1000, 1, 1), date(2999, 12, 31)))
    zone = draw(st.sampled_from([UTC, timezone(timedelta(minutes=minutes))]))
    moment = datetime.combine(day, draw(st.times()), zone)
    text = moment.isoformat(timespec=draw(st.sampled_from(["seconds", "milliseconds", "auto"])))
    return text.replace("+00:00", "Z") if draw(st.booleans()) else text


def _allows_text(schema: Schema, value: str) -> bool:
    if any("\ud800" <= character <= "\udfff" for character in value):
        return False  # no Unicode text at all
    return (
        value in schema.get("enum", [value])
        and schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value))
        and re.search(_to_the_end(schema.get("pattern", "")), value) is not None
        and _FORMATS[schema.get("format")](value)
    )


def _to_the_end(pattern: str) -> str:
    """In JSON Schema `$` is the very end; in Python it is also before a line break there."""
    return pattern[:-1] + r"\Z" if pattern.endswith("$") else pattern


def _is_date(text: str) -> bool:
    """By RFC 3339."""
    try:
        return re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", text) is not None and bool(date.fromisoformat(text))
    except ValueError:
        return False


def _is_moment(text: str) -> bool:
    """By RFC 3339, but for leap seconds."""
    hour, minute = "([01][0-9]|2[0-3])", "[0-5][0-9]"
    time = rf"{hour}:{minute}:{minute}(\.[0-9]+)?([Zz]|[+-]{hour}:{minute})"
    day, _, rest = text.partition("T")
    return _is_date(day) and re.fullmatch(time, rest) is not None


_FORMATS = {None: lambda _: True, "date": _is_date, "date-time": _is_moment}
