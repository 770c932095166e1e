"""What a requester is told to do about a finding."""

import pytest

from policy.assessment import assess
from policy.pack import Pack
from policy.remedies import remedy
from policy.vocabulary import Capacity, DocumentKind, FindingCode, Language


@pytest.mark.parametrize("code", FindingCode)
@pytest.mark.parametrize("language", Language)
def test_there_is_one_for_every_finding(code: FindingCode, language: Language, pack: Pack) -> None:
    for kind in DocumentKind:
        said = remedy(code, language, pack, document=kind)
        if code is not FindingCode.UNPRINTABLE_NAME:
            assert pack.documents[kind].of(language) in said
        assert said.endswith("。" if language is Language.JA else ".")
    assert remedy(code, language, pack)


def test_it_says_whose_which_and_how_old(pack: Pack) -> None:
    said = remedy(FindingCode.COPY_NOT_ORIGINAL, Language.EN, pack, requirement="proxy-principal-seal")
    assert said.endswith("enclose the original of the seal registration certificate of the principal.")
    said = remedy(FindingCode.STALE, Language.EN, pack, requirement="proxy-residence")
    assert "of the applicant, issued less than a month before you post it" in said
    said = remedy(FindingCode.STALE, Language.JA, pack, requirement="self-residence")
    assert "ご本人の住民票の写し" in said
    assert "1か月未満" in said


def test_findings_carry_it_in_english(pack: Pack) -> None:
    for finding in assess([], Capacity.PROXY, pack).findings:
        assert finding.message == remedy(
            finding.code, Language.EN, pack, document=finding.document, requirement=finding.requirement
        )


def test_a_requirement_of_another_pack(pack: Pack) -> None:
    with pytest.raises(KeyError):
        remedy(FindingCode.MISSING, Language.EN, pack, requirement="nobody-nothing")
