"""One letter of every kind in both languages, and every form: invented people, invented operator."""

from datetime import date
from typing import Any

from activities.letters import content as c
from policy.law import SUBJECT_OF, Subject, article
from policy.vocabulary import (
    Capacity,
    ChangeAction,
    DocumentKind,
    FindingCode,
    FormKind,
    Holder,
    Kind,
    Language,
    Medium,
    Outcome,
    StandingEnd,
)

JA, EN = Language.JA, Language.EN
REQUEST_ID = "DR-2018-000001-8"
NAME = {JA: "見本 花子", EN: "MIHON Hanako"}
ARTICLE = {
    JA: "個人情報の保護に関する法律第28条",
    EN: "Act on the Protection of Personal Information, Article 28",
}
REASONS_ARTICLE = {
    language: article(Subject.EXPLAINING_REASONS, date(2018, 11, 9), language) for language in Language
}
OF_KIND = {
    kind: {language: article(SUBJECT_OF[kind], date(2018, 11, 9), language) or "" for language in Language}
    for kind in Kind
}
SERVICES = {JA: ("GMO AppsCloud", "見本ホスティング（SAMPLE）"), EN: ("GMO AppsCloud", "SAMPLE Hosting")}


def letterhead(language: Language) -> c.Letterhead:
    if language is JA:
        return c.Letterhead(
            company="見本インターネット株式会社",
            department="見本クラウド 個人情報管理責任者",
            postal_code="150-8512",
            address="東京都渋谷区桜丘町26番1号\nセルリアンタワー",
            contact=c.ContactPoint(
                name="見本インターネット株式会社 個人情報お問い合わせ窓口",
                lines=("〒150-8512 東京都渋谷区桜丘町26番1号 セルリアンタワー",),
                clause="§6",
            ),
        )
    return c.Letterhead(
        company="Mihon Internet, Inc.",
        department="Mihon Cloud Personal Information Manager",
        postal_code="150-8512",
        address="Cerulean Tower, 26-1 Sakuragaoka-cho\nShibuya-ku, Tokyo",
        contact=c.ContactPoint(
            name="Mihon Internet, Inc., Personal Information Desk",
            lines=("Cerulean Tower, 26-1 Sakuragaoka-cho, Shibuya-ku, Tokyo 150-8512",),
            clause="§6",
        ),
    )


def addressee(language: Language, **changes: Any) -> c.Addressee:
    address = {
        JA: "東京都渋谷区桜丘町26-1\n見本マンション101号室",
        EN: "26-1 Sakuragaoka-cho, Room 101\nShibuya-ku, Tokyo",
    }
    values = {"name": NAME[language], "postal_code": "150-8512", "address": address[language]}
    return c.Addressee(**(values | changes))


def matter(language: Language, **changes: Any) -> c.Matter:
    values: dict[str, Any] = {
        "request_id": REQUEST_ID,
        "kind": Kind.DISCLOSURE,
        "services": SERVICES[language],
        "received_on": date(2018, 11, 2),
    }
    return c.Matter(**(values | changes))


def common(language: Language, clause: str = "§5(2)(6)", **changes: Any) -> dict[str, Any]:
    return {
        "language": language,
        "letter_id": "L-000042",
        "date": date(2018, 11, 9),
        "letterhead": letterhead(language),
        "addressee": addressee(language),
        "matter": matter(language),
        "clause": clause,
    } | changes


def send_to(language: Language) -> c.PostalAddress:
    head = letterhead(language)
    return c.PostalAddress(
        name=f"{head.company} {head.department}",
        postal_code=head.postal_code,
        address=head.address.replace("\n", " "),
    )


IDENTITY = (
    DocumentKind.DRIVERS_LICENSE,
    DocumentKind.PASSPORT,
    DocumentKind.HEALTH_INSURANCE,
    DocumentKind.PENSION_BOOK,
    DocumentKind.RESIDENTS_CARD,
)
RESIDENCE = (DocumentKind.CERTIFICATE_OF_RESIDENCE, DocumentKind.ALIEN_REGISTRATION_CERTIFICATE)

SHORTCOMINGS = (
    c.Shortcoming(code=FindingCode.STALE, documents=RESIDENCE, fresh_months=1, clause="§5(2)(3)"),
    c.Shortcoming(code=FindingCode.MISSING, documents=IDENTITY, clause="§5(2)(3)"),
    c.Shortcoming(
        code=FindingCode.COPY_NOT_ORIGINAL,
        documents=(DocumentKind.SEAL_REGISTRATION_CERTIFICATE,),
        holder=Holder.PRINCIPAL,
        clause="§5(2)(4)",
    ),
)


def account(language: Language) -> c.BankAccount:
    ja = language is JA
    return c.BankAccount(
        bank="見本銀行" if ja else "Mihon Bank",
        bank_code="9999",
        branch="渋谷支店" if ja else "Shibuya Branch",
        branch_code="001",
        account_type="普通" if ja else "Ordinary",
        number="1234567",
        holder="見本インターネット株式会社" if ja else "Mihon Internet, Inc.",
        holder_kana="ミホンインターネツト（カ",
    )


def payment(language: Language, amount: int = 10_800) -> c.Payment:
    return c.Payment(amount=amount, reference="12345674", account=account(language), due_on=date(2018, 12, 9))


def virtual(language: Language, amount: int = 10_800) -> c.Payment:
    """Into an account that stands for the invoice alone, at a branch of which only the code is known."""
    own = account(language).model_copy(update={"branch": "", "branch_code": "101", "number": "0012345"})
    return payment(language, amount).model_copy(update={"account": own, "own_account": True})


def lines(language: Language) -> tuple[c.InvoiceLine, ...]:
    return tuple(c.InvoiceLine(service=name, amount=5_400) for name in SERVICES[language])


def invoice(language: Language, **changes: Any) -> c.InvoiceLetter:
    return c.InvoiceLetter(
        **common(language, **changes),
        invoice_number="INV-2018-000001",
        lines=lines(language),
        total=10_800,
        tax=800,
        tax_rate=8,
        payment=payment(language),
    )


def qualified_invoice(language: Language) -> c.InvoiceLetter:
    usual = invoice(language)
    return usual.model_copy(
        update={
            "registration_number": "T9999999999999",
            "tax": 981,
            "tax_rate": 10,
            "payment": virtual(language),
        }
    )


def receipt(language: Language, **changes: Any) -> c.ReceiptLetter:
    values: dict[str, Any] = {
        "invoice_number": "INV-2018-000001",
        "invoiced_on": date(2018, 11, 9),
        "payments": (
            c.PaidOn(on=date(2018, 11, 12), amount=9_936),
            c.PaidOn(on=date(2018, 11, 20), amount=864),
        ),
        "total": 10_800,
        "tax": 800,
        "tax_rate": 8,
    }
    return c.ReceiptLetter(**common(language), **(values | changes))


def reissued_receipt(language: Language) -> c.ReceiptLetter:
    """One of a qualified invoice, over so much that on paper it bears a stamp."""
    return receipt(
        language,
        payments=(c.PaidOn(on=date(2018, 11, 20), amount=64_800),),
        total=64_800,
        tax=5_890,
        tax_rate=10,
        registration_number="T9999999999999",
        reissued=True,
        stamp=True,
    )


def fee_returned(language: Language) -> c.ResponseLetter:
    """A refusal for one of two services, whose fee goes back."""
    returned = c.FeeReturned(
        invoice_number="INV-2018-000001",
        invoiced_on=date(2018, 11, 9),
        lines=lines(language)[1:],
        total=5_400,
        tax=400,
        tax_rate=8,
        back=5_400,
    )
    granted = c.ServiceResponse(
        service=SERVICES[language][0], outcome=Outcome.GRANTED, data=data(language, rows=1)
    )
    (refused,) = refusal(language).services
    refused = refused.model_copy(update={"service": SERVICES[language][1]})
    return refusal(language).model_copy(update={"services": (granted, refused), "fee_returned": returned})


def data(language: Language, rows: int = 4) -> tuple[c.DataTable, ...]:
    ja = language is JA
    identity = (
        c.DataRow(label="氏名" if ja else "Name", value=NAME[language]),
        c.DataRow(label="住所" if ja else "Address", value="東京都渋谷区桜丘町26-1 見本マンション101号室"),
        c.DataRow(label="電子メールアドレス" if ja else "Email address", value="hanako.mihon@example.jp"),
    )
    usage = tuple(
        c.DataRow(label=f"{date(2018, 1 + n % 9, 1 + n % 28)}", value=f"Instance {n + 1:04}, 720 h")
        for n in range(rows)
    )
    return (
        c.DataTable(category="本人情報" if ja else "Identity Information", rows=identity),
        c.DataTable(category="利用情報" if ja else "Usage Information", rows=usage),
    )


def response(language: Language, rows: int = 4, **changes: Any) -> c.ResponseLetter:
    ja = language is JA
    first, second = SERVICES[language]
    return c.ResponseLetter(
        **common(language, "§5(2)(7)", **changes),
        article=ARTICLE[language],
        reasons_article=REASONS_ARTICLE[language],
        services=(
            c.ServiceResponse(
                service=first,
                outcome=Outcome.PARTIAL,
                data=data(language, rows),
                withheld=(
                    c.Withheld(
                        item="管理者アカウントのパスワード"
                        if ja
                        else "Password of the administrator account",
                        ground="当社の業務の適正な実施に著しい支障を及ぼすおそれがあるため"
                        if ja
                        else "Disclosure is likely to seriously hinder the proper conduct of our business",
                        article=ARTICLE[language],
                    ),
                ),
            ),
            c.ServiceResponse(service=second, outcome=Outcome.NO_DATA),
        ),
    )


def refusal(language: Language) -> c.ResponseLetter:
    ja = language is JA
    return c.ResponseLetter(
        **common(language, "§5(2)(7)"),
        article=ARTICLE[language],
        reasons_article=REASONS_ARTICLE[language],
        services=(
            c.ServiceResponse(
                service=SERVICES[language][0],
                outcome=Outcome.REFUSED,
                refused=c.Refused(
                    ground="第三者の権利利益を害するおそれがあるため"
                    if ja
                    else "Harm to the rights of a third party",
                    article=ARTICLE[language],
                    reasons="契約情報に第三者の連絡先が含まれます。"
                    if ja
                    else "The contract names a third person's address.",
                ),
            ),
        ),
    )


def in_part(language: Language) -> c.ResponseLetter:
    """A disclosure in part that withholds three items, each on a ground of its own."""
    ja = language is JA
    withheld = (
        (
            ("本人情報：勤務先", "本人または第三者の生命、身体、財産その他の権利利益を害するおそれがあるため")
            if ja
            else (
                "Identity Information: Employer details",
                "Disclosure could harm the life, body, property or other rights of the principal or others",
            )
        ),
        (
            ("取引情報", "当社の業務の適正な実施に著しい支障を及ぼすおそれがあるため")
            if ja
            else (
                "Transaction Information",
                "Disclosure could seriously hinder the proper conduct of our business",
            )
        ),
        (
            ("利用情報：その他の取引内容", "開示することが他の法令に違反することとなるため")
            if ja
            else ("Usage Information: Other transaction details", "Disclosure would violate another law")
        ),
    )
    return c.ResponseLetter(
        **common(language, "§5(2)(7)"),
        article=ARTICLE[language],
        reasons_article=REASONS_ARTICLE[language],
        services=(
            c.ServiceResponse(
                service=SERVICES[language][0],
                outcome=Outcome.PARTIAL,
                data=data(language),
                withheld=tuple(
                    c.Withheld(item=item, ground=ground, article=ARTICLE[language])
                    for item, ground in withheld
                ),
            ),
        ),
    )


def purposes(language: Language) -> c.ResponseLetter:
    ja = language is JA
    text = (
        "本サービスの提供に関する業務（契約の更新、情報の更新を含む）のため"
        if ja
        else "Tasks relating to provision of services"
    )
    of_category = {
        "本人情報" if ja else "Identity Information": range(1, 20),
        "取引情報" if ja else "Transaction Information": (1, 2, 11, 12, 14, 15, 17, 19),
        "本人確認情報" if ja else "Personal Identification Details": (1, 14, 17, 18),
    }
    return c.ResponseLetter(
        **common(language, "§5(2)(7)", matter=matter(language, kind=Kind.PURPOSE_NOTIFICATION)),
        article=OF_KIND[Kind.PURPOSE_NOTIFICATION][language],
        services=(
            c.ServiceResponse(
                service=SERVICES[language][0],
                outcome=Outcome.GRANTED,
                purposes=tuple(
                    c.PurposeTable(
                        category=category,
                        purposes=tuple(c.Purpose(number=n, text=f"{text} {n}") for n in numbers),
                    )
                    for category, numbers in of_category.items()
                ),
            ),
        ),
    )


def amendment(language: Language) -> c.ResponseLetter:
    """An amendment: each change with the value before and after, and one thing left undone."""
    ja = language is JA
    return c.ResponseLetter(
        **common(language, "§5(2)(7)", matter=matter(language, kind=Kind.AMENDMENT, amendment="correction")),
        article=OF_KIND[Kind.AMENDMENT][language],
        reasons_article=REASONS_ARTICLE[language],
        services=(
            c.ServiceResponse(
                service=SERVICES[language][0],
                outcome=Outcome.PARTIAL,
                changes=(
                    c.ChangeLine(
                        item="本人情報：住所" if ja else "Identity Information: Address",
                        action=ChangeAction.CORRECTION,
                        before="東京都渋谷区桜丘町26-1 見本マンション101号室",
                        after="東京都渋谷区道玄坂1-2-3 見本タワー1204号室",
                    ),
                    c.ChangeLine(
                        item="本人情報：電子メールアドレス" if ja else "Identity Information: Email address",
                        action=ChangeAction.ADDITION,
                        after="hanako.mihon@example.jp",
                    ),
                    c.ChangeLine(
                        item="本人情報：ファクシミリ番号" if ja else "Identity Information: Fax number",
                        action=ChangeAction.REMOVAL,
                        before="03-0000-0000",
                    ),
                ),
                withheld=(
                    c.Withheld(
                        item="契約情報：契約日" if ja else "Contract Information: Contract date",
                        ground="調査の結果、保有個人データの内容が事実であると認められたため"
                        if ja
                        else "Our examination found the personal data to be accurate",
                        article=OF_KIND[Kind.AMENDMENT][language],
                    ),
                ),
            ),
        ),
    )


def cessation(language: Language) -> c.ResponseLetter:
    """A cessation in part: an action has no value to show."""
    ja = language is JA
    return c.ResponseLetter(
        **common(language, "§5(2)(7)", matter=matter(language, kind=Kind.CESSATION, cessation="cease_use")),
        article=OF_KIND[Kind.CESSATION][language],
        services=(
            c.ServiceResponse(
                service=SERVICES[language][0],
                outcome=Outcome.PARTIAL,
                changes=(
                    c.ChangeLine(
                        item="利用情報" if ja else "Usage Information", action=ChangeAction.CEASE_USE
                    ),
                    c.ChangeLine(
                        item="本人情報" if ja else "Identity Information",
                        action=ChangeAction.STOP_THIRD_PARTY_PROVISION,
                    ),
                ),
                actions=("広告への利用を停止いたしました。",) if ja else ("Use for advertising has ceased.",),
                withheld=(
                    c.Withheld(
                        item="料金請求のための利用" if ja else "Use for billing",
                        ground="違反の事実がないため" if ja else "There is no violation",
                        article=OF_KIND[Kind.CESSATION][language],
                    ),
                ),
            ),
        ),
    )


def alternative(language: Language) -> c.ResponseLetter:
    """Other measures in the place of a cessation, and why."""
    ja = language is JA
    return c.ResponseLetter(
        **common(language, "§5(2)(7)", matter=matter(language, kind=Kind.CESSATION, cessation="deletion")),
        article=OF_KIND[Kind.CESSATION][language],
        reasons_article=REASONS_ARTICLE[language],
        services=(
            c.ServiceResponse(
                service=SERVICES[language][0],
                outcome=Outcome.ALTERNATIVE,
                actions=(
                    ("閲覧できる担当者を2名に限りました。", "広告宣伝への利用を終了しました。")
                    if ja
                    else (
                        "Only two members of staff can open it now.",
                        "It is no longer used for advertising.",
                    )
                ),
                refused=c.Refused(
                    ground="利用停止等が困難であり、本人の権利利益を保護するためこれに代わる措置をとるため"
                    if ja
                    else "Cessation is difficult, and other measures protect the principal's rights",
                    article=OF_KIND[Kind.CESSATION][language],
                    reasons="請求書の控えは税法により7年間の保存が義務づけられています。"
                    if ja
                    else "Tax law obliges us to keep copies of the invoices for seven years.",
                ),
            ),
        ),
    )


def standing_ended(
    language: Language, end: StandingEnd, *, to_principal: bool = False, paid: int = 0
) -> c.StandingEndedLetter:
    ja = language is JA
    return c.StandingEndedLetter(
        **common(language, "§5(2)(4)"),
        end=end,
        to_principal=to_principal,
        principal="代理 依子" if ja else "DAIRI Yoriko",
        representative="受任 太郎" if ja else "JUNIN Taro",
        invoice_number="INV-2018-000001" if paid else None,
        credit_note="CN-2018-000001" if paid else None,
        paid=paid,
    )


def letters(language: Language) -> dict[str, c.Letter]:
    """Every letter by a name of its own: the kinds, and the turns a response takes."""
    ja = language is JA
    in_2018 = {"invoice_number": "INV-2018-000001", "invoiced_on": date(2018, 11, 9), "total": 10_800}
    return {
        "deficiency": c.DeficiencyLetter(
            **common(language, "§5(2)(3)"),
            shortcomings=SHORTCOMINGS,
            answer_by=date(2018, 12, 9),
            send_to=send_to(language),
        ),
        "documents_reminder": c.DocumentsReminderLetter(
            **common(language, "§5(2)(5)", matter=matter(language, received_on=None)),
            answer_by=date(2018, 12, 9),
            send_to=send_to(language),
        ),
        "documents_lapsed": c.DocumentsLapsedLetter(
            **common(language, "§5(2)(5)"), due_on=date(2018, 12, 9), reopenable_until=date(2018, 12, 23)
        ),
        "invoice": invoice(language),
        "payment_reminder": c.PaymentReminderLetter(
            **common(language), **in_2018, paid=9_936, payment=payment(language, 864)
        ),
        "qualified_invoice": qualified_invoice(language),
        "short_payment": c.ShortPaymentLetter(
            **common(language), **in_2018, paid=9_936, payment=payment(language, 864)
        ),
        "payment_taken_back": c.PaymentTakenBackLetter(
            **common(language), **in_2018, payment=virtual(language)
        ),
        "receipt": receipt(language),
        "reissued_receipt": reissued_receipt(language),
        "fee_returned": fee_returned(language),
        "payment_lapsed": c.PaymentLapsedLetter(
            **common(language),
            **in_2018,
            credit_note="CN-2018-000001",
            paid=9_936,
            due_on=date(2018, 12, 9),
            reopenable_until=date(2018, 12, 23),
        ),
        "response": response(language),
        "in_part": in_part(language),
        "refusal": refusal(language),
        "purposes": purposes(language),
        "amendment": amendment(language),
        "cessation": cessation(language),
        "alternative": alternative(language),
        "no_data": c.NoDataLetter(**common(language, "§5(1)"), article=ARTICLE[language]),
        "redirect": c.RedirectLetter(
            **common(language, "§5(1)"),
            administrator=c.ContactPoint(
                name="見本信託銀行株式会社 証券代行部" if ja else "Mihon Trust and Banking Corporation",
                clause="§5(1)",
            ),
        ),
        "withdrawal": c.WithdrawalLetter(
            **common(language, "§5"),
            withdrawn_on=date(2018, 11, 8),
            invoice_number="INV-2018-000001",
            credit_note="CN-2018-000001",
        ),
        "extension": c.ExtensionLetter(
            **common(language, "§5(1)"),
            previous_until=date(2018, 11, 22),
            until=date(2018, 12, 12),
            reason="調査の対象が多岐にわたるため" if ja else "Many records have to be searched.",
        ),
        "reopened_documents": c.ReopenedLetter(
            **common(language, "§5(2)(3)"),
            shortcomings=SHORTCOMINGS,
            answer_by=date(2018, 12, 9),
            send_to=send_to(language),
        ),
        "reopened_fee": c.ReopenedLetter(
            **common(language),
            invoice_number="INV-2018-000001",
            paid=9_936,
            payment=payment(language, 864),
        ),
        "reopened_paid": c.ReopenedLetter(**common(language), invoice_number="INV-2018-000001", paid=10_800),
        "mandate_withdrawn": standing_ended(language, StandingEnd.MANDATE_WITHDRAWN, paid=5_400),
        "mandate_withdrawn_principal": standing_ended(
            language, StandingEnd.MANDATE_WITHDRAWN, to_principal=True, paid=5_400
        ),
        "majority": standing_ended(language, StandingEnd.MAJORITY),
        "majority_principal": standing_ended(language, StandingEnd.MAJORITY, to_principal=True),
        "principal_died": standing_ended(language, StandingEnd.PRINCIPAL_DIED, paid=5_400),
        "duplicate": c.DuplicateLetter(**common(language, "§5(1)"), duplicate_of="DR-2018-000002-6"),
        "originals_returned": c.OriginalsReturnedLetter(
            **common(language, "§5(2)(4)"),
            documents=(
                c.EnclosedOriginal(kind=DocumentKind.CERTIFICATE_OF_RESIDENCE, issued_on=date(2018, 10, 20)),
                c.EnclosedOriginal(kind=DocumentKind.POWER_OF_ATTORNEY, issued_on=date(2018, 10, 28)),
                c.EnclosedOriginal(
                    kind=DocumentKind.SEAL_REGISTRATION_CERTIFICATE, issued_on=date(2018, 10, 21)
                ),
                c.EnclosedOriginal(kind=DocumentKind.CERTIFICATE_OF_REGISTERED_INFORMATION),
            ),
        ),
        "draft": response(language, draft=True),
    }


def form(kind: FormKind, language: Language, **changes: Any) -> c.Form:
    def one(
        *kinds: DocumentKind, holder: Holder, original: bool = False, fresh: bool = False, clause: str
    ) -> c.Enclosure:
        return c.Enclosure(
            any_of=kinds,
            medium=Medium.ORIGINAL if original else Medium.COPY,
            holder=holder,
            fresh_months=1 if fresh else None,
            clause=clause,
        )

    principal, applicant = Holder.PRINCIPAL, Holder.APPLICANT
    values: dict[str, Any] = {
        "kind": kind,
        "language": language,
        "request_id": REQUEST_ID,
        "issued_on": date(2018, 10, 25),
        "return_by": date(2019, 1, 23),
        "letterhead": letterhead(language),
        "send_to": send_to(language),
        "services": SERVICES[language],
        "fee": 5_400 if kind in {FormKind.DISCLOSURE, FormKind.PURPOSE_NOTIFICATION} else None,
        "enclosures": (
            c.Enclosures(
                capacity=Capacity.SELF,
                items=(
                    one(*RESIDENCE, holder=principal, fresh=True, clause="§5(2)(3)"),
                    one(*IDENTITY, holder=principal, clause="§5(2)(3)"),
                ),
            ),
            c.Enclosures(
                capacity=Capacity.PROXY,
                items=(
                    one(*RESIDENCE, holder=applicant, fresh=True, clause="§5(2)(3)"),
                    one(*IDENTITY, holder=applicant, clause="§5(2)(3)"),
                    one(RESIDENCE[0], holder=principal, original=True, clause="§5(2)(4)"),
                    one(DocumentKind.POWER_OF_ATTORNEY, holder=principal, original=True, clause="§5(2)(4)"),
                    one(
                        DocumentKind.SEAL_REGISTRATION_CERTIFICATE,
                        holder=principal,
                        original=True,
                        clause="§5(2)(4)",
                    ),
                ),
            ),
            c.Enclosures(
                capacity=Capacity.STATUTORY_REPRESENTATIVE,
                items=(
                    one(RESIDENCE[0], holder=principal, original=True, clause="§5(2)(4)"),
                    one(
                        DocumentKind.FAMILY_REGISTER,
                        DocumentKind.FAMILY_REGISTER_ABSTRACT,
                        DocumentKind.FAMILY_COURT_CERTIFICATE,
                        DocumentKind.CERTIFICATE_OF_REGISTERED_INFORMATION,
                        holder=applicant,
                        fresh=True,
                        clause="§5(2)(4)",
                    ),
                    one(*IDENTITY, holder=applicant, clause="§5(2)(4)"),
                ),
            ),
        ),
    }
    return c.Form(**(values | changes))
