"""`kaiji schema`: the JSON Schema of every input, from the models that check it."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from starter.cli.context import Installation, command
from starter.cli.output import Answer, text

if TYPE_CHECKING:
    from pydantic import BaseModel


class Input(StrEnum):
    """What there is a schema of."""

    ENVELOPE = "envelope"
    HOLDINGS = "holdings"
    CHANGES = "changes"
    DEPOSIT = "deposit"
    REFUND_ACCOUNT = "refund-account"
    POLICY_PACK = "policy-pack"


def register(app: typer.Typer) -> None:
    """Make `schema` a command of the app."""
    command(app, "schema", example="kaiji schema envelope > envelope.schema.json", packs=False)(schema)


async def schema(
    installation: Installation, name: Annotated[Input, typer.Argument(metavar="NAME", help="Which input.")]
) -> Answer:
    """Print the JSON Schema of an input: envelope, holdings, changes, deposit (a webhook), refund-account or
    policy-pack.
    """
    import json

    document = _model(name).model_json_schema(mode="validation")
    document = {"$schema": "https://json-schema.org/draft/2020-12/schema", **document}
    return Answer(document, lambda: text(json.dumps(document, indent=2, ensure_ascii=False)))


def _model(name: Input) -> "type[BaseModel]":
    from policy.changes import ChangeList
    from policy.deposit import DepositNotice
    from policy.envelope import Envelope
    from policy.holdings import HoldingsFile
    from policy.pack import Pack
    from policy.refund import RefundAccount

    models: dict[Input, type[BaseModel]] = {
        Input.ENVELOPE: Envelope,
        Input.HOLDINGS: HoldingsFile,
        Input.CHANGES: ChangeList,
        Input.DEPOSIT: DepositNotice,
        Input.REFUND_ACCOUNT: RefundAccount,
        Input.POLICY_PACK: Pack,
    }
    return models[name]
