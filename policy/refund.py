"""Where money goes back to: a bank account, in the letters and digits that Japanese banks transfer to."""

import re
import unicodedata
from enum import StrEnum
from typing import Annotated

import jaconv
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

HOLDER_BYTES = 30
"""The room for a name in a transfer order: one byte of cp932 per half-width character or voicing mark."""

# what a transfer order has no room for, and what banks write instead
_INSTEAD = str.maketrans("ｧｨｩｪｫｬｭｮｯｰ‐‑‒–—―−", "ｱｲｳｴｵﾔﾕﾖﾂ--------")
_HOLDER = re.compile(r"[ｦｱ-ﾝﾞﾟA-Z0-9 ().,/｢｣\\-]+")


class AccountType(StrEnum):
    """Ordinary (普通), current (当座), savings (貯蓄) or another account (その他), as banks number them."""

    ORDINARY = "1"
    CURRENT = "2"
    SAVINGS = "4"
    OTHER = "9"


def bank_kana(text: str) -> str:
    """A name as banks write it: half-width kana, capital letters, no small kana.

    Hiragana and full-width characters are turned into these. Raises ValueError, whose message does not repeat
    the name, for anything else.
    """
    full = jaconv.hira2kata(unicodedata.normalize("NFKC", text))
    half = jaconv.z2h(full, kana=True, ascii=True, digit=True).upper().translate(_INSTEAD).strip(" ")
    if not _HOLDER.fullmatch(half):
        raise ValueError(
            "a name is written in kana, Latin letters, digits and ( ) . , / - as the bank has it"
        )
    return half


def _fits(holder: str) -> str:
    if len(holder.encode("cp932")) > HOLDER_BYTES:
        raise ValueError(f"a name has at most {HOLDER_BYTES} characters, voicing marks counted")
    return holder


def _padded(number: object) -> object:
    return number.zfill(7) if isinstance(number, str) and number else number


class RefundAccount(BaseModel):
    """The account a refund goes to, as its holder told it; personal data, so it is kept sealed."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    bank_code: Annotated[str, Field(pattern=r"^[0-9]{4}$")]
    branch_code: Annotated[str, Field(pattern=r"^[0-9]{3}$")]
    account_type: AccountType
    number: Annotated[str, BeforeValidator(_padded), Field(pattern=r"^[0-9]{7}$")]
    holder_kana: Annotated[str, Field(max_length=60), AfterValidator(bank_kana), AfterValidator(_fits)]
