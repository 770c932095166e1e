"""`kaiji policy`: the packs, told to their owner; what differs between two; and a new one put in force."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from starter.cli.context import By, Installation, command, new_group
from starter.cli.output import Answer, facts, say, stack, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from policy.comparing import Difference
    from policy.explaining import Section, Sentence
    from policy.pack import Pack

app = new_group("Policy: the packs in force, what they say, and new ones.")

CASE = "policy"
"""The case under which the audit trail has packs that were enacted."""

RESTART = ("worker", "gateway")
"""The processes that read the packs when they start; `kaiji dev` runs both."""

File = Annotated[
    Path, typer.Argument(metavar="FILE", help="A pack: TOML, as `kaiji schema policy-pack` has it.")
]


@command(app, "show", example="kaiji policy show gmo-appscloud-2018-10-22")
async def show(
    installation: Installation,
    version: Annotated[
        str | None,
        typer.Argument(metavar="[VERSION]", help="Of which pack, or of which file; all unless given."),
    ] = None,
) -> Answer:
    """List the packs and which is in force today; or tell all that one says, rule by rule with its clause."""
    return _list() if version is None else _told(_named(version))


@command(app, "diff", example="kaiji policy diff gmo-appscloud-2018-10-22 draft.toml")
async def diff(
    installation: Installation,
    before: Annotated[str, typer.Argument(metavar="A", help="A version, or a file.")],
    after: Annotated[str, typer.Argument(metavar="B", help="Another.")],
) -> Answer:
    """Tell what changes from one pack to another, in words and values, and nothing else."""
    from policy.comparing import compare

    old, new = _named(before), _named(after)
    difference = compare(old, new)
    document = {"before": old.version, "after": new.version, **difference.model_dump(mode="json")}
    return Answer(document, lambda: _differing(difference))


@command(app, "check", example="kaiji policy check draft.toml")
async def check(installation: Installation, file: File) -> Answer:
    """Check that a file is a whole pack that can be put in force; all that is wrong is told with its line."""
    from policy.pack import read_pack

    pack = _sound(read_pack(file), file)
    return say(
        {"file": str(file), **_summary(pack)},
        f"{file} is whole: {pack.version}, in force from {pack.in_force_from} on.",
        f"`kaiji policy enact {file} --by MANAGER` puts it in force.",
    )


@command(app, "enact", example="kaiji policy enact draft.toml --by manager-1")
async def enact(installation: Installation, file: File, by: By) -> Answer:
    """Put a pack in force: check it, copy it to the operator's packs, and audit that.

    Requests received before keep the terms they were received under. A repeat changes nothing.
    """
    from activities.acting import acting
    from policy import registry
    from policy.pack import read_pack
    from policy.roles import Act
    from records import audit
    from runtime.errors import Misconfigured
    from runtime.home import write_private

    content = read_pack(file)
    pack = _sound(content, file)
    folder = installation.settings.packs_folder.absolute()
    target = folder / f"{pack.version}.toml"
    known = pack.version in {each.version for each in registry.all_packs()}
    recorded = False
    async with acting(installation.database, CASE, by, Act.ENACT_POLICY, f"enact/{pack.version}") as conn:
        if not registry.ships(pack):
            detail: audit.Detail = {
                "version": pack.version,
                "digest": pack.digest,
                "in_force_from": pack.in_force_from.isoformat(),
            }
            act, key = Act.ENACT_POLICY.value, f"{pack.version}:{pack.digest}"
            recorded = await audit.append(conn, CASE, actor=by, act=act, detail=detail, key=key)
        if not known:
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                write_private(target, content.decode(), replace=False)
            except OSError as error:
                raise Misconfigured(f"{folder}: cannot be written to: {error.strerror}") from None
    repeated = known and not recorded
    document = {
        **_summary(pack),
        "file": None if registry.ships(pack) else str(target),
        "repeated": repeated,
        "restart": () if repeated else RESTART,
    }
    if repeated:
        return say(document, f"{pack.version} is in force already, with the same content: nothing changed.")
    return say(
        document,
        f"{pack.version} is enacted: it decides what is received from {pack.in_force_from} on.",
        "Requests received already keep the terms they were received under.",
        f"Restart {' and '.join(RESTART)} (or `kaiji dev`): they read the packs when they start.",
        f"Other machines need the same file: {target}",
    )


def _named(name: str) -> "Pack":
    """The pack of this version, or in this file. Raises `Refusal` (unknown_pack) and `PackError`."""
    from policy.pack import load_pack
    from policy.refusals import Code, Refusal
    from policy.registry import UnknownPack, pack

    try:
        return pack(name)
    except UnknownPack:
        if (path := Path(name)).is_file():
            return load_pack(path)
    raise Refusal(
        Code.UNKNOWN_PACK, f"no pack has the version {name}, nor is there such a file: `kaiji policy show`"
    )


def _sound(content: bytes, file: Path) -> "Pack":
    """The pack with this content, which may stand beside the others. Raises `Refusal` and `PackError`."""
    from policy.pack import error_at, parse_pack
    from policy.refusals import Code, Refusal
    from policy.registry import all_packs, conflict

    pack = parse_pack(content, str(file))
    if in_the_way := conflict(pack, all_packs()):
        raise Refusal(Code.PACK_CONFLICT, str(error_at(content, str(file), [in_the_way])))
    return pack


def _summary(pack: "Pack") -> dict[str, object]:
    return {
        "version": pack.version,
        "title": pack.title.model_dump(),
        "in_force_from": pack.in_force_from,
        "digest": pack.digest,
    }


def _list() -> Answer:
    from policy.registry import all_packs, pack_in_force, ships
    from starter.today import machine_day

    packs = all_packs()
    now = pack_in_force(machine_day())
    ends = [*(later.in_force_from - timedelta(days=1) for later in packs[1:]), None]
    listed = [
        {**_summary(pack), "in_force_until": end, "in_force": pack is now, "ships": ships(pack)}
        for pack, end in zip(packs, ends, strict=True)
    ]
    rows = [
        (
            pack.version,
            pack.in_force_from,
            end,
            "in force today" if pack is now else None,
            pack.title.en,
            "shipped" if ships(pack) else "the operator's",
        )
        for pack, end in zip(packs, ends, strict=True)
    ]
    headings = ["pack", "from", "until", "", "title", "whose"]
    return Answer({"packs": listed}, lambda: table(headings, rows, empty=""))


def _told(pack: "Pack") -> Answer:
    from policy.explaining import explain

    sections = explain(pack)
    document = {**_summary(pack), "sections": [section.model_dump(mode="json") for section in sections]}
    return Answer(document, lambda: _explained(pack, sections))


def _explained(pack: "Pack", sections: "tuple[Section, ...]") -> "RenderableType":
    told: list[RenderableType | str] = []
    for section in sections:
        told += ["", section.subject, *(f"  {_cited(sentence)}" for sentence in section.sentences)]
    heading = facts(
        [
            ("pack", pack.version),
            ("title", pack.title.en),
            ("in force from", pack.in_force_from),
            ("digest", pack.digest),
        ]
    )
    return stack(heading, *told)


def _differing(difference: "Difference") -> "RenderableType":
    if not difference.changes:
        return stack("Both say the same.")
    told: list[RenderableType | str] = []
    for reworded in difference.sentences:
        told += [reworded.subject]
        told += [f"  before: {_cited(sentence)}" for sentence in reworded.before]
        told += [f"  after:  {_cited(sentence)}" for sentence in reworded.after]
        told += [""]
    rows = [(change.key, change.before, change.after) for change in difference.changes]
    return stack(*told, table(["value", "before", "after"], rows, empty=""))


def _cited(sentence: "Sentence") -> str:
    return f"{sentence.text} ({sentence.source})"
