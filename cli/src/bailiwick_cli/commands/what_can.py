"""`what-can`: what somebody may do, by patterns of actions and resources, given what, with whose approval.

Holds: as `who-can`. Groups count only where they are named.
"""

import sys

from bailiwick_cli import output
from bailiwick_cli.errors import CliError, Exit
from bailiwick_cli.options import ReportOutput
from bailiwick_cli.sources.policysources import PolicySource, source_of
from bailiwick_cli.sources.revocations import read_revocations, refusal_notes, refused_object
from bailiwick_cli.verbs.askverbs import WhatCanFlags
from bailiwick_engine.call import Party
from bailiwick_engine.keys import CLUSTER, SERVICE_ACCOUNT, USER
from bailiwick_engine.policy.dimensions.atom import FRESH
from bailiwick_engine.policy.snapshot import CompiledEndpoint
from bailiwick_engine.revocations import NONE, Revocations
from bailiwick_governance import arguments
from bailiwick_governance.display import talk
from bailiwick_governance.views.rightsview import RightsView, notes
from bailiwick_regions.parties import is_accepted
from bailiwick_regions.rights.answers import AccessAnswer
from bailiwick_regions.rights.questions import what_can


def run(options: WhatCanFlags) -> int:
    """Ask and tell."""
    source = source_of(options)
    party = _party(options, source.endpoint)
    if not is_accepted(source.endpoint.settings, party.issuer):
        nothing = f"the endpoint does not accept subjects of the issuer {party.issuer}, so these can do nothing"
        return exit_code(AccessAnswer((), ()), source, NONE, nothing)
    revocations = read_revocations(source.cluster)
    answer = what_can(source.key, source.endpoint, party, options.subject, source.now, revocations=revocations)
    asked = {"namespace": source.key[0], "endpoint": source.key[1], "subject": options.subject}
    if options.member_of:
        asked["memberOf"] = ", ".join(options.member_of)
    view = RightsView("WhatCan", asked, (("ACTION", "action"), ("RESOURCE", "resource")), answer.rows, source.place)
    if options.output is ReportOutput.JSON:
        sys.stdout.write(view.document(**remarks(answer, source)))
    elif options.output is ReportOutput.MARKDOWN:
        sys.stdout.write(view.markdown())
    elif answer.rows:
        output.Table(view.headers()).add(list(view.table()))
    if party.type == USER and not options.member_of:
        talk("note: groups count only if you name them with --member-of")
    return exit_code(answer, source, revocations, f"{options.subject} can do nothing")


def remarks(answer: AccessAnswer, source: PolicySource) -> dict[str, object]:
    """Return for JSON what an answer lacks, and in a cluster who of it is refused."""
    refused = {} if source.cluster is None else {"refused": [refused_object(one) for one in answer.refused]}
    return {"incomplete": [*answer.incomplete, *source.doubts], **refused}


def exit_code(answer: AccessAnswer, source: PolicySource, revocations: Revocations, nothing: str) -> Exit:
    """Tell what the answer lacks and who of it is refused, and return how the command ends."""
    namespace, name = source.key
    for note in (*notes(source.key, source.endpoint.settings, answer.rows), *refusal_notes(answer, revocations)):
        talk(f"note: {note}")
    incomplete = (*answer.incomplete, *source.doubts)
    for one in incomplete:
        talk(f"error: the answer is not complete: {one}")
    if incomplete:
        return Exit.FAILURE
    if any(row.way is not None for row in answer.rows):
        return Exit.OK
    talk(f"{nothing} at {namespace}/{name}")
    return Exit.NO


def _party(options: WhatCanFlags, endpoint: CompiledEndpoint) -> Party:
    """Return who is asked about, as the endpoint proves subjects."""
    kind, _, rest = options.subject.partition(":")
    asserted = endpoint.settings is not None and endpoint.settings.asserted
    groups = tuple(options.member_of or ())
    if groups and kind not in {"user", "group"}:
        raise CliError("--member-of is for user:ISSUER/NAME and group:ISSUER/NAME")
    if kind == "entity":
        entity, slash, name = rest.partition("/")
        if not (slash and entity and name):
            raise CliError(f"{options.subject!r} is not an entity: write it as entity:TYPE/ID")
        if not asserted:
            raise CliError(
                "this endpoint knows subjects by their tokens, and accepts no entities that an enforcer names"
            )
        return Party(entity, name, FRESH, issuer=None)
    if kind in {"user", "group"}:
        issuer, slash, name = rest.partition("/")
        if not (slash and issuer and name):
            raise CliError(f"{options.subject!r} is not a {kind}: write it as {kind}:ISSUER/NAME")
        if asserted:
            raise CliError(
                "this endpoint takes the enforcer's word for subjects, and has no users or groups of issuers"
            )
        if kind == "group":
            return Party(USER, FRESH, FRESH, issuer=issuer, groups=(name, *groups))
        return Party(USER, name, FRESH, issuer=issuer, groups=groups)
    account = arguments.service_account(options.subject, "SUBJECT")
    return Party(SERVICE_ACCOUNT, account.username, FRESH, issuer=None if asserted else CLUSTER)
