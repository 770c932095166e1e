"""The law around the policy, effective-dated: articles of the APPI, grounds of refusal, tax, majority.

The numbering moved on 30 May 2017 and on 1 April 2022. A letter cites the article in force on the day of
the decision, whatever number the policy's own text still names.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from enum import StrEnum
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict

from policy.rules import Text
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


class Ground(BaseModel):
    """A legal ground of refusal, in whole or in part; it stands in the `article` of its subject."""

    model_config = ConfigDict(frozen=True)

    code: str
    subject: Subject
    text: Text


def _ground(code: str, subject: Subject, ja: str, en: str) -> Ground:
    return Ground(code=code, subject=subject, text=Text(ja=ja, en=en))


QUALIFIED_INVOICES_SINCE = date(2023, 10, 1)
"""Until then no invoice bears the issuer's registration number."""

ALTERNATIVE_MEASURES = "alternative_measures"
"""The ground on which other measures take the place of a cessation."""

_GROUNDS: Mapping[Kind, tuple[Ground, ...]] = MappingProxyType(
    {
        Kind.DISCLOSURE: (
            _ground(
                "harm_to_rights",
                Subject.DISCLOSURE,
                "開示により、本人または第三者の生命、身体、財産その他の権利利益を害するおそれがあるため",
                "Disclosure could harm the life, body, property or other rights of the principal or others",
            ),
            _ground(
                "business_hindrance",
                Subject.DISCLOSURE,
                "開示により、当社の業務の適正な実施に著しい支障を及ぼすおそれがあるため",
                "Disclosure could seriously hinder the proper conduct of our business",
            ),
            _ground(
                "other_law_violation",
                Subject.DISCLOSURE,
                "開示することが他の法令に違反することとなるため",
                "Disclosure would violate another law",
            ),
        ),
        Kind.PURPOSE_NOTIFICATION: (
            _ground(
                "purpose_clear",
                Subject.PURPOSE_NOTIFICATION,
                "利用目的が既に明らかであるため",
                "The purpose of use is already clear",
            ),
            _ground(
                "harm_to_persons",
                Subject.PURPOSE_NOTIFICATION,
                "通知により、本人または第三者の生命、身体、財産その他の権利利益を害するおそれがあるため",
                "Notification could harm the life, body, property or other rights of the principal or others",
            ),
            _ground(
                "harm_to_operator",
                Subject.PURPOSE_NOTIFICATION,
                "通知により、当社の権利または正当な利益を害するおそれがあるため",
                "Notification could harm our rights or legitimate interests",
            ),
            _ground(
                "state_duties",
                Subject.PURPOSE_NOTIFICATION,
                "通知により、国の機関または地方公共団体の法令の定める事務の遂行に支障を及ぼすおそれがあるため",
                "Notification could hinder a state body or local government in its duties under the law",
            ),
        ),
        Kind.AMENDMENT: (
            _ground(
                "data_accurate",
                Subject.CORRECTION,
                "調査の結果、保有個人データの内容が事実であると認められたため",
                "Our examination found the personal data to be accurate",
            ),
        ),
        Kind.CESSATION: (
            _ground(
                "no_violation",
                Subject.CESSATION,
                "調査の結果、法令に違反する取扱いが認められなかったため",
                "Our examination found no handling of the personal data in violation of the law",
            ),
            _ground(
                ALTERNATIVE_MEASURES,
                Subject.CESSATION,
                "利用停止等が困難であり、本人の権利利益を保護するためこれに代わる措置をとるため",
                "Cessation is difficult, and other measures sufficiently protect the principal's rights",
            ),
        ),
    }
)

_SECOND, _THIRD = date(2017, 5, 30), date(2022, 4, 1)
_MAJORITY_AT_18 = date(2022, 4, 1)
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


def grounds(kind: Kind) -> tuple[Ground, ...]:
    """The grounds on which a request of this kind may be refused."""
    return _GROUNDS[kind]


def check_ground(kind: Kind, code: str) -> str | None:
    """What is wrong with refusing a request of this kind on this ground; None when the law allows it."""
    allowed = [ground.code for ground in _GROUNDS[kind]]
    return None if code in allowed else f"not a ground to refuse {kind}: {', '.join(allowed)}"


def consumption_tax_rate(on: date) -> int:
    """The rate in percent on this day: 8 until 30 September 2019, 10 since."""
    return 10 if on >= date(2019, 10, 1) else 8


def included_tax(total: int, rate: int) -> int:
    """The tax in yen that a total includes, rounded down; rounded once per rate per invoice."""
    return total * rate // (100 + rate)


def bears_revenue_stamp(received: int, tax: int) -> bool:
    """Whether a printed receipt over so many yen, which states the tax among them, needs a revenue stamp.

    Where the tax is stated, what remains without it counts: from 50,000 yen on, since 1 April 2014.
    """
    return received - tax >= 50_000


def of_age_on(born_on: date) -> date:
    """The day on which somebody comes of age: the 20th birthday until 31 March 2022, the 18th since.

    Whoever was 18 or 19 already came of age on 1 April 2022.
    """
    # The law lets an age be reached as the day before the birthday ends; the birthday is the first day that
    # is spent at that age. For 29 February that is 1 March in a year without it.
    twentieth, eighteenth = _birthday(born_on, 20), _birthday(born_on, 18)
    return min(twentieth, max(eighteenth, _MAJORITY_AT_18))


def lawsuit_possible_on(received_on: date, on: date) -> date | None:
    """The first day on which the principal may sue over a request that arrived on `received_on`.

    Two weeks must have passed since its arrival (Article 39 today); None under the law in force before 2017.
    """
    if not _NUMBERS[Subject.LAWSUIT][(on >= _SECOND) + (on >= _THIRD)]:
        return None
    return received_on + timedelta(weeks=2, days=1)


def _birthday(born_on: date, age: int) -> date:
    try:
        return born_on.replace(year=born_on.year + age)
    except ValueError:
        return date(born_on.year + age, 3, 1)


def _article_ja(number: int, paragraphs: tuple[int, ...]) -> str:
    return f"第{number}条" + "・".join(f"第{paragraph}項" for paragraph in paragraphs)


def _article_en(number: int, paragraphs: tuple[int, ...]) -> str:
    if not paragraphs:
        return f"Article {number}"
    return f"Article {number}, paragraph{'s' if len(paragraphs) > 1 else ''} " + " and ".join(
        map(str, paragraphs)
    )
