"""The guards of an installation: four on grants (open, review, status, delete), two on histories, one on definitions.

Holds: for admission, only this module and `historyguards` define who can write which part of a grant or a history, and
`definitionguard` which definitions lead to them. The operator proves that all are in force (fingerprint and canary).
What a decision relies on they hold by themselves, though the definition of grants holds it too: objects can be reached
by another definition, without rules, bounds or lists of distinct items.
"""

from typing import Any, Final

from bailiwick_api.accounts import Installation
from bailiwick_api.kinds import cel
from bailiwick_api.kinds.approvalgrant import TERMINAL_PHASES
from bailiwick_api.kinds.meta import APPROVAL_GRANTS, ENDPOINT_POLICIES, GROUP, SUBJECT_LABEL
from bailiwick_api.manifests.definitionguard import DEFINITIONS, definitions_guard
from bailiwick_api.manifests.guardpolicy import NAMESPACE_CONTROLLER, AdmissionGuard, Validation, subresources
from bailiwick_api.manifests.historyguards import HISTORY_DELETE, HISTORY_WRITE, history_guards
from bailiwick_api.serviceaccounts import SERVICE_ACCOUNT_PREFIX

OPEN: Final = "bailiwick-grants-open"
REVIEW: Final = "bailiwick-grants-review"
STATUS: Final = "bailiwick-grants-status"
DELETE: Final = "bailiwick-grants-delete"
NAMES: Final = (OPEN, REVIEW, STATUS, DELETE, HISTORY_WRITE, HISTORY_DELETE, DEFINITIONS)
GRANT_NAME_PREFIX: Final = "agr-"
MAX_RULES: Final = 4

# The messages that the canary probes look for.
NAMES_RESERVED: Final = f"names that begin with {GRANT_NAME_PREFIX} are reserved for the decision point"
REVIEW_NAMES_AUTHOR: Final = "reviewer must be you"
USES_ARE_THE_PDPS: Final = "only the decision point can change uses"
REVIEW_SIGNED: Final = (
    "approve this step with a signature, in the console or with --key; no other review can have a signature"
)
# These two are long, and used elsewhere too.
ANNOTATED: Final = "only the account that wrote a grant by hand can change its annotations"
FIELDS_OWNED: Final = "only the account that wrote a grant by hand can change managedFields alone"
ONLY_ENDED_DELETED: Final = "the operator can delete only a grant that has ended"
BORN_WITHOUT_STATUS: Final = "a new grant cannot have a status"
STATUS_UNCHANGED: Final = "the status of a grant can change only by its status subresource"
RULES_BOUNDED: Final = f"a grant can name at most {MAX_RULES} rules"
ONE_REVIEW_EACH: Final = "a reviewer can have only one review in a grant"
NO_SCALE: Final = "a grant has no scale"
SET_ONCE: Final = "approvedTime, notAfterTime and resolved can be set only once"
JUDGED_FOR_GOOD: Final = "a counted or void review stays so, and no review is both"
USES_RECORDED: Final = "each use must have one record, none of which changes, and there can be at most maxUses"


def guards(installation: Installation) -> list[dict[str, Any]]:
    """Return the policies in the order of `NAMES`, each followed by its binding."""
    found = (
        AdmissionGuard(OPEN, ("CREATE",), (APPROVAL_GRANTS,), _open_variables(installation), _OPEN),
        AdmissionGuard(REVIEW, ("UPDATE",), (APPROVAL_GRANTS,), _review_variables(installation), _REVIEW),
        AdmissionGuard(STATUS, ("UPDATE",), subresources(APPROVAL_GRANTS), _status_variables(installation), _STATUS),
        AdmissionGuard(DELETE, ("DELETE",), (APPROVAL_GRANTS,), _delete_variables(installation), _DELETE),
        *history_guards(installation),
        definitions_guard(),
    )
    return [document for guard in found for document in guard.documents()]


def _may(verb: str, policy: str) -> str:
    return (
        f"authorizer.group('{GROUP}').resource('{ENDPOINT_POLICIES}').namespace(object.metadata.namespace)"
        f".name({policy}).check('{verb}').allowed()"
    )


_NO_OWNERS = Validation(
    "!has(object.metadata.ownerReferences) && !has(object.metadata.finalizers)",
    "a grant cannot have owner references or finalizers",
)

# 1. Who can open a grant, and what a new grant contains.


def _open_variables(installation: Installation) -> dict[str, str]:
    variables = {
        "pdp": f"request.userInfo.username == '{installation.webhook}'",
        "r": "object.spec.request",
        "born": "timestamp(object.metadata.creationTimestamp)",
    }
    # One authorization check costs a third of the limit of one expression, so each rule has its own variable.
    for index in range(MAX_RULES):
        policy = f"variables.r.rules[{index}].policy"
        variables[f"mayRequest{index}"] = f"variables.r.rules.size() <= {index} || {_may('request', policy)}"
    return variables


_OPEN = (
    Validation(
        "object.spec.?reviews.orValue([]).size() == 0 && !has(object.spec.revocation)",
        "a new grant cannot have reviews or a revocation",
    ),
    # The definition has the API server drop it. Storage can be reached by another definition, which has no such rule.
    Validation("!has(object.status)", BORN_WITHOUT_STATUS),
    _NO_OWNERS,
    Validation(f"variables.pdp == object.metadata.name.startsWith('{GRANT_NAME_PREFIX}')", NAMES_RESERVED),
    Validation(
        "variables.pdp || variables.r.requester.username == request.userInfo.username",
        "requester must be you",
        message_expression="'requester must be you: ' + request.userInfo.username",
    ),
    Validation(
        "variables.pdp || !has(variables.r.requester.uid)"
        " || variables.r.requester.uid == request.userInfo.?uid.orValue('')",
        "requester.uid must be your uid",
    ),
    Validation(
        "variables.pdp == (variables.r.origin in ['Requested', 'OnDeny'])",
        "a grant written by hand must have origin PreApproved; only the decision point sets Requested and OnDeny",
    ),
    Validation(
        # Otherwise other accounts' grants could be counted, and read, among those requested for a subject.
        f"variables.pdp || !('{SUBJECT_LABEL}' in object.metadata.?labels.orValue({{}}))",
        f"the label {SUBJECT_LABEL} is reserved for the decision point",
    ),
    Validation(
        "variables.pdp || (variables.r.binding.mode == 'Scope' && !has(variables.r.binding.digest)"
        " && !has(variables.r.display))",
        "a grant written by hand must have binding Scope, without digest or display: only the decision point sets them",
    ),
    # The next expression looks at so many.
    Validation(f"variables.r.rules.size() <= {MAX_RULES}", RULES_BOUNDED, reason="Invalid"),
    Validation(
        "variables.pdp || (" + " && ".join(f"variables.mayRequest{index}" for index in range(MAX_RULES)) + ")",
        "you need the verb request on each endpointpolicy that the grant names",
    ),
    Validation(
        "timestamp(variables.r.pendingUntilTime) > variables.born"
        " && timestamp(variables.r.pendingUntilTime) <= variables.born + duration('24h')",
        "pendingUntilTime must be within 24 hours from now",
        reason="Invalid",
    ),
)

# 2. Reviews, revocation, and what else may change.


def _folded(name: str) -> str:
    """Return a name as `usernames.fold_case` does. CEL has it for ASCII alone; what counts folds the rest too."""
    return f"({name}.contains('@') ? {name}.lowerAscii() : {name})"


def _review_variables(installation: Installation) -> dict[str, str]:
    person = "!variables.me.startsWith('system:')"
    if installation.human_username_prefixes:
        prefixes = " || ".join(
            f"variables.me.startsWith({prefix!r})" for prefix in installation.human_username_prefixes
        )
        person = f"{person} && ({prefixes})"
    variables = {
        "me": "request.userInfo.username",
        # One address has one owner, in whatever case issuers and the API server write it.
        "folded": _folded("variables.me"),
        "pdp": f"variables.me == '{installation.webhook}'",
        "person": person,
        "robot": f"variables.me.startsWith('{SERVICE_ACCOUNT_PREFIX}')",
        "r": "object.spec.request",
        "old": "oldObject.spec.?reviews.orValue([])",
        "new": "object.spec.?reviews.orValue([])",
        "added": "variables.new.filter(x, !variables.old.exists(o, o.reviewer == x.reviewer))",
        "quiet": "variables.added.size() == 0",
        "steps": "variables.quiet ? [] : variables.r.steps.filter(s, s.name == variables.added[0].step)",
        "stepPolicy": "variables.steps.size() == 1 ? variables.steps[0].policy : ''",
        "mayApprove": f"variables.stepPolicy != '' && {_may('approve', 'variables.stepPolicy')}",
        "revoking": "has(object.spec.revocation) && !has(oldObject.spec.revocation)",
        "pending": "object.?status.?phase.orValue('Pending') == 'Pending'",
        "own": "variables.r.origin == 'PreApproved' && variables.me == variables.r.requester.username",
    }
    for index in range(MAX_RULES):
        policy = f"variables.r.rules[{index}].policy"
        variables[f"mayRevoke{index}"] = (
            f"variables.r.rules.size() > {index} && ({_may('revoke', policy)} || {_may('approve', policy)})"
        )
    return variables


_REVIEW = (
    _NO_OWNERS,
    # As at birth: the API server restores it only for a definition that has the subresource.
    Validation("object.?status == oldObject.?status", STATUS_UNCHANGED),
    Validation("object.spec.request == oldObject.spec.request", cel.REQUEST_IMMUTABLE.message, reason="Invalid"),
    Validation(
        "!has(oldObject.spec.revocation)"
        " || (has(object.spec.revocation) && object.spec.revocation == oldObject.spec.revocation)",
        cel.REVOCATION_FINAL.message,
        reason="Invalid",
    ),
    Validation(
        "object.metadata.?labels.orValue({}) == oldObject.metadata.?labels.orValue({})",
        "labels of a grant are immutable",
    ),
    Validation("variables.old.all(o, variables.new.exists(x, x == o))", "reviews are append-only"),
    # A second review of somebody who has reviewed is not `added`, so nothing else here would look at it.
    Validation(
        "variables.new.size() == variables.old.size() + variables.added.size()"
        f" && variables.added.all(a, variables.old.all(o, {_folded('o.reviewer')} != {_folded('a.reviewer')}))",
        ONE_REVIEW_EACH,
        reason="Invalid",
    ),
    # Each write makes a new version, and a use is a write at the version that was evaluated. An account that could
    # write without limit would keep others from using the grant. Its author is exempt: the author could revoke it as
    # well, and tools that keep it in Git still write their annotations after it is approved.
    Validation(
        "variables.own || object.metadata.?annotations.orValue({}) == oldObject.metadata.?annotations.orValue({})",
        ANNOTATED,
    ),
    Validation(
        "variables.own || !variables.quiet || variables.revoking"
        " || object.metadata.?managedFields.orValue([]) == oldObject.metadata.?managedFields.orValue([])",
        FIELDS_OWNED,
    ),
    Validation("variables.added.size() <= 1", "add one review at a time"),
    Validation("variables.quiet || !has(object.spec.revocation)", "the grant is revoked", reason="Invalid"),
    Validation("variables.quiet || variables.pending", "the grant is no longer pending", reason="Invalid"),
    Validation(
        "variables.added.all(a, a.reviewer == variables.me)",
        REVIEW_NAMES_AUTHOR,
        message_expression=f"'{REVIEW_NAMES_AUTHOR}: ' + variables.me",
    ),
    Validation(
        "variables.added.all(a, !has(a.reviewerUID) || a.reviewerUID == request.userInfo.?uid.orValue(''))",
        "reviewerUID must be your uid",
    ),
    Validation("variables.quiet || variables.steps.size() == 1", "the grant has no such step", reason="Invalid"),
    # First what no other request could fix: people read one refusal at a time.
    Validation(
        "variables.quiet || !(variables.r.?excludedReviewers.orValue([])"
        " + [variables.r.requester.username, variables.r.subject.id]"
        " + variables.r.?actors.orValue([]).map(x, x.id)"
        " + object.?status.?resolved.?excludedReviewers.orValue([]))"
        f".exists(x, {_folded('x')} == variables.folded)",
        "you cannot review your own request",
    ),
    Validation(
        "variables.quiet || variables.mayApprove",
        "you need the verb approve on the endpointpolicy of the step",
        message_expression="variables.me + ' lacks the verb approve on endpointpolicies/' + variables.stepPolicy",
    ),
    Validation("variables.steps.all(s, s.kind != 'Human' || variables.person)", "only people can review a Human step"),
    Validation(
        "variables.steps.all(s, s.kind != 'System' || variables.robot)",
        "only a service account can review a System step",
    ),
    Validation(
        "variables.steps.all(s, !has(s.groups) || variables.added.all(a, has(a.group) && a.group in s.groups))",
        "set group to the group of this step for which you review",
        reason="Invalid",
    ),
    Validation(
        "variables.added.all(a, !has(a.group) || a.group in request.userInfo.?groups.orValue([]))",
        "you are not a member of that group",
    ),
    Validation(
        "variables.added.all(a, a.binding == variables.r.binding.?digest.orValue(object.metadata.uid))",
        "the review is for another request: its binding differs from the grant's binding",
        reason="Invalid",
    ),
    Validation(
        # A guard cannot verify a signature. The operator does when it counts, and the decision point at each use.
        "variables.added.all(a, has(a.signature) == (a.decision == 'Approve'"
        " && variables.steps.exists(s, has(s.signature))))",
        REVIEW_SIGNED,
        reason="Invalid",
    ),
    Validation(
        # Until then it is unknown which rules the review would be for. This is late in the list because the canary is
        # never resolved, and its probes expect the messages of the expressions before.
        "variables.quiet || variables.r.origin != 'PreApproved' || object.?status.?resolved.hasValue()",
        "the operator has not yet resolved the names in this grant: check its conditions and try again",
        reason="Invalid",
    ),
    Validation(
        "!variables.revoking || object.spec.revocation.by == variables.me",
        "revocation.by must be you",
        message_expression="'revocation.by must be you: ' + variables.me",
    ),
    Validation(
        "!variables.revoking || variables.pdp || variables.me == variables.r.requester.username"
        " || " + " || ".join(f"variables.mayRevoke{index}" for index in range(MAX_RULES)),
        "you must be the requester, or need the verb revoke or approve on an endpointpolicy of the grant",
    ),
    Validation(
        "!variables.revoking || variables.pdp == has(object.spec.revocation.for)",
        "the decision point, and no one else, sets revocation.for: it names the account for which it withdraws",
    ),
    Validation(
        "!variables.revoking || !variables.pdp || (variables.pending"
        f" && object.metadata.name.startsWith('{GRANT_NAME_PREFIX}')"
        " && object.spec.revocation.?for.orValue('') in [variables.r.requester.username, variables.r.subject.id])",
        "the decision point can withdraw only a pending grant that it opened, for the grant's requester or subject",
    ),
)

# 3. Status: two service accounts, each its own fields.


def _status_variables(installation: Installation) -> dict[str, str]:
    return {
        "pdp": f"request.userInfo.username == '{installation.webhook}'",
        "operator": f"request.userInfo.username == '{installation.operator}'",
        "was": "oldObject.?status.orValue({})",
        "is": "object.?status.orValue({})",
        "sameUses": "variables.is.?uses.orValue(0) == variables.was.?uses.orValue(0)"
        " && variables.is.?useRecords.orValue([]) == variables.was.?useRecords.orValue([])",
    }


_STATUS = (
    Validation("variables.pdp || variables.operator", "only Bailiwick can write the status"),
    # A definition can let it stand for any number of the spec.
    Validation("request.?subResource.orValue('') == 'status'", NO_SCALE),
    Validation("!variables.operator || variables.sameUses", USES_ARE_THE_PDPS),
    Validation(
        "!variables.pdp || (variables.is.?uses.orValue(0) == variables.was.?uses.orValue(0) + 1"
        " && variables.is.filter(k, !(k in ['uses', 'useRecords']))"
        ".all(k, k in variables.was && variables.is[k] == variables.was[k])"
        " && variables.was.all(k, k in variables.is))",
        "the decision point can only add exactly one use",
    ),
    Validation(
        "!variables.pdp || (variables.was.?phase.orValue('') == 'Active' && !has(object.spec.revocation))",
        "only an active grant can be used",
    ),
    Validation(
        f"!(variables.was.?phase.orValue('') in {sorted(TERMINAL_PHASES)!r})"
        " || variables.is.?phase.orValue('') == variables.was.?phase.orValue('')",
        cel.PHASE_FINAL.message,
        reason="Invalid",
    ),
    Validation(
        "['approvedTime', 'notAfterTime', 'resolved'].all(k,"
        " !(k in variables.was) || (k in variables.is && variables.is[k] == variables.was[k]))",
        SET_ONCE,
        reason="Invalid",
    ),
    Validation(
        "['counted', 'voided'].all(k, variables.was[?k].orValue([])"
        ".all(o, variables.is[?k].orValue([]).exists(x, x.reviewer == o.reviewer)))"
        " && variables.is.?counted.orValue([])"
        ".all(c, !variables.is.?voided.orValue([]).exists(v, v.reviewer == c.reviewer))",
        JUDGED_FOR_GOOD,
        reason="Invalid",
    ),
    Validation(
        "variables.is.?useRecords.orValue([]).size() == variables.is.?uses.orValue(0)"
        " && variables.was.?useRecords.orValue([])"
        ".all(o, variables.is.?useRecords.orValue([]).exists(x, x == o))"
        " && variables.is.?uses.orValue(0) <= object.spec.?request.?maxUses.orValue(0)",
        USES_RECORDED,
        reason="Invalid",
    ),
)

# 4. Deletion: retention by the operator, and the namespace controller.


def _delete_variables(installation: Installation) -> dict[str, str]:
    return {
        "operator": f"request.userInfo.username == '{installation.operator}'",
        "namespaceController": f"request.userInfo.username == '{NAMESPACE_CONTROLLER}'",
    }


_DELETE = (
    Validation("variables.operator || variables.namespaceController", "a grant is evidence: revoke it instead"),
    Validation(
        "!variables.operator || oldObject.?status.?phase.orValue('') in ["
        + ", ".join(f"'{phase}'" for phase in sorted(TERMINAL_PHASES))
        + "]",
        ONLY_ENDED_DELETED,
    ),
)
