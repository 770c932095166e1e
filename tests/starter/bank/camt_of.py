"""Messages of ISO 20022, put together from their elements."""

from collections.abc import Mapping

_ROOTS = {"Ntfctn": ("054", "BkToCstmrDbtCdtNtfctn"), "Stmt": ("053", "BkToCstmrStmt")}


def message(
    *entries: str, account: str = "<Othr><Id>1</Id></Othr>", version: str = "02", summary: str = "",
    kind: str = "Ntfctn",
) -> bytes:  # fmt: skip
    number, root = _ROOTS[kind]
    return (
        f'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.{number}.001.{version}"><{root}>'
        f"<GrpHdr/><{kind}><Acct><Id>{account}</Id></Acct>{summary}{''.join(entries)}</{kind}>"
        f"</{root}></Document>"
    ).encode()


def entry(
    amount: str = "5400", side: str = "CRDT", status: str = "BOOK", currency: str = "JPY",
    booked: str = "2018-11-02", reversal: str = "", code: str = "", reference: str = "", details: str = "",
) -> str:  # fmt: skip
    return (
        f'<Ntry><Amt Ccy="{currency}">{amount}</Amt><CdtDbtInd>{side}</CdtDbtInd>'
        + (f"<RvslInd>{reversal}</RvslInd>" if reversal else "")
        + f"<Sts>{status}</Sts><BookgDt><Dt>{booked}</Dt></BookgDt>"
        + (f"<AcctSvcrRef>{reference}</AcctSvcrRef>" if reference else "")
        + (f"<BkTxCd><Domn><Fmly><SubFmlyCd>{code}</SubFmlyCd></Fmly></Domn></BkTxCd>" if code else "")
        + f"<NtryDtls>{details}</NtryDtls></Ntry>"
    )


def transaction(
    amount: str = "", side: str = "", currency: str = "JPY", ustrd: str = "", more: str = ""
) -> str:
    return (
        "<TxDtls>"
        + (f'<Amt Ccy="{currency}">{amount}</Amt>' if amount else "")
        + (f"<CdtDbtInd>{side}</CdtDbtInd>" if side else "")
        + (f"<RmtInf><Ustrd>{ustrd}</Ustrd></RmtInf>" if ustrd else "")
        + f"{more}</TxDtls>"
    )


def summary(totals: Mapping[str, tuple[object, object]]) -> str:
    """The summary of a statement: number and sum by the name of each total."""
    figures = (
        f"<{name}><NbOfNtries>{count}</NbOfNtries><Sum>{total}</Sum></{name}>"
        for name, (count, total) in totals.items()
    )
    return f"<TxsSummry>{''.join(figures)}</TxsSummry>"


def balance(kind: str, amount: object, side: str = "CRDT", currency: str = "JPY") -> str:
    return (
        f"<Bal><Tp><CdOrPrtry><Cd>{kind}</Cd></CdOrPrtry></Tp>"
        f'<Amt Ccy="{currency}">{amount}</Amt><CdtDbtInd>{side}</CdtDbtInd></Bal>'
    )
