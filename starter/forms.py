"""The forms a requester is sent: with the request id, and with what to enclose (§5(2)(1) to (4))."""

from activities.correspondence import envelope_address, letterhead
from activities.letters.content import Enclosure, Enclosures, Form
from activities.letters.render import render_form
from policy.deadlines import Terms, form_lapses_on
from policy.pack import Pack
from policy.registry import pack
from policy.vocabulary import Capacity, DocumentKind, FormKind
from records.requests import RequestRow


def forms_for(request: RequestRow) -> dict[FormKind, bytes]:
    """The PDFs to send for a request: its form, and for a proxy the power of attorney form too."""
    rules = pack(request.pack_version)
    kinds = [rules.kinds[request.kind].form.kind]
    if request.capacity is Capacity.PROXY:
        kinds.append(FormKind.POWER_OF_ATTORNEY)
    return {kind: render_form(_form(kind, request, rules)) for kind in kinds}


def _form(kind: FormKind, request: RequestRow, rules: Pack) -> Form:
    language = request.language
    return Form(
        kind=kind,
        language=language,
        request_id=request.id,
        issued_on=request.opened_on,
        return_by=form_lapses_on(Terms.of(rules), request.opened_on),
        letterhead=letterhead(rules, language),
        send_to=envelope_address(rules, language),
        services=tuple(rules.service(service).name.of(language) for service in request.services),
        enclosures=(_enclosures(request.capacity, rules),),
        fee=rules.fee.amount if rules.kinds[request.kind].fee.due else None,
        originals_returned=rules.originals.returned,
    )


def _enclosures(capacity: Capacity, rules: Pack) -> Enclosures:
    return Enclosures(
        capacity=capacity,
        items=tuple(
            Enclosure(
                any_of=line.any_of,
                medium=line.medium,
                holder=line.holder,
                fresh_months=line.fresh.months if line.fresh else None,
                clause=line.citation,
            )
            for line in rules.capacities[capacity].requirements
            if DocumentKind.REQUEST_FORM not in line.any_of  # that is this form itself
        ),
    )
