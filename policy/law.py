"""The law around the policy, effective-dated: article numbers of the APPI, and the period before a lawsuit.

The numbering moved on 30 May 2017 and on 1 April 2022. A letter cites the article in force on the day of
the decision, whatever number the policy's own text still names.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from enum import StrEnum
from types import MappingProxyType

from policy.vocabulary import Kind, Language


class Subject(StrEnum):
    """What an article of the Act on the Protection of Personal Information (APPI) is about."""

    PURPOSE_NOTIFICATION = "purpose_notification"
    DISCLOSURE = "disclosure"
    CORRECTION = "correction"
    CESSATION = "cessation"
    EXPLAINING_REASONS = "explaining_reasons"
    PROCEDURE = "procedure"
    FEES = "fees"
    LAWSUIT = "lawsuit"
    PROVISION_RECORDS = "provision_records"
    LEAK_REPORT = "leak_report"


SUBJECT_OF: Mapping[Kind, Subject] = MappingProxyType(
    {
        Kind.DISCLOSURE: Subject.DISCLOSURE,
        Kind.AMENDMENT: Subject.CORRECTION,
        Kind.CESSATION: Subject.CESSATION,
        Kind.PURPOSE_NOTIFICATION: Subject.PURPOSE_NOTIFICATION,
    }
)
"""The subject a request of each kind falls under."""

_SECOND, _THIRD = date(2017, 5, 30), date(2022, 4, 1)
# An article is its number and its paragraphs; a subject may have several articles, or none yet.
_Articles = tuple[tuple[int, tuple[int, ...]], ...]
_NUMBERS: Mapping[Subject, tuple[_Articles, _Articles, _Articles]] = MappingProxyType(
    {
        Subject.PURPOSE_NOTIFICATION: (((24, (2, 3)),), ((27, (2, 3)),), ((32, (2, 3)),)),
        Subject.DISCLOSURE: (((25, ()),), ((28, ()),), ((33, ()),)),
        Subject.CORRECTION: (((26, ()),), ((29, ()),), ((34, ()),)),
        Subject.CESSATION: (((27, ()),), ((30, ()),), ((35, ()),)),
        Subject.EXPLAINING_REASONS: (((28, ()),), ((31, ()),), ((36, ()),)),
        Subject.PROCEDURE: (((29, ()),), ((32, ()),), ((37, ()),)),
        Subject.FEES: (((30, ()),), ((33, ()),), ((38, ()),)),
        Subject.LAWSUIT: ((), ((34, ()),), ((39, ()),)),
        Subject.PROVISION_RECORDS: ((), ((25, ()), (26, ())), ((29, ()), (30, ()))),
        Subject.LEAK_REPORT: ((), (), ((26, ()),)),
    }
)
_ACT = {
    Language.JA: "個人情報の保護に関する法律",
    Language.EN: "Act on the Protection of Personal Information, ",
}


def article(subject: Subject, on: date, language: Language = Language.JA) -> str | None:
    """The article about this subject in force on this day, after the name of the Act; None if there was none.

    個人情報の保護に関する法律第28条, or "Act on the Protection of Personal Information, Article 28".
    """
    articles = _NUMBERS[subject][(on >= _SECOND) + (on >= _THIRD)]
    if not articles:
        return None
    parts = [_article_ja(*each) if language is Language.JA else _article_en(*each) for each in articles]
    return _ACT[language] + ("・" if language is Language.JA else " and ").join(parts)


def lawsuit_possible_on(received_on: date, on: date) -> date | None:
    """The first day on which the principal may sue over a request that arrived on `received_on`.

    Two weeks must have passed since its arrival (Article 39 today); None under the law in force before 2017.
    """
    if not _NUMBERS[Subject.LAWSUIT][(on >= _SECOND) + (on >= _THIRD)]:
        return None
    return received_on + timedelta(weeks=2, days=1)


def _article_ja(number: int, paragraphs: tuple[int, ...]) -> str:
    return f"第{number}条" + "・".join(f"第{paragraph}項" for paragraph in paragraphs)


def _article_en(number: int, paragraphs: tuple[int, ...]) -> str:
    if not paragraphs:
        return f"Article {number}"
    return f"Article {number}, paragraph{'s' if len(paragraphs) > 1 else ''} " + " and ".join(
        map(str, paragraphs)
    )
