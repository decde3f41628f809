"""Every member of every line of the record, by its kind; `docs/reference/record.md` is made from it.

Holds: nothing is written that does not stand here, and nothing stands here that is never written: a test makes lines of
all kinds and compares. A member never changes its meaning.
"""

from typing import Final, NamedTuple


class RecordMember(NamedTuple):
    """One member. `path` has dots between names, `[]` after a list's; `when` is None for one that is always there."""

    path: str
    what: str
    when: str | None = None


DECISION: Final[tuple[RecordMember, ...]] = (
    RecordMember("time", "When it was recorded: RFC 3339, in UTC, with milliseconds."),
    RecordMember("now", "The moment that conditions and expiries used: seconds since the epoch, in full precision."),
    RecordMember("kind", "`evaluation` (for each item of a batch too), or `request`: an approval was requested."),
    RecordMember("evaluation_id", "The id of the decision, as in the answer."),
    RecordMember(
        "request_id",
        "The enforcer's `X-Request-ID`. Invisible characters and backslashes are escaped as in JSON. At admission, what"
        " all reviews of one deletion or update have in common, or the `uid` of the review.",
    ),
    RecordMember("item", "The index of the item in its batch, from 0.", "an item of a batch"),
    RecordMember("traceparent", "The W3C Trace Context of the request.", "the request had a valid one"),
    RecordMember("decision", "The answer. Always `false` for a request."),
    RecordMember("reason", "The [code](reasons.md) of the reason."),
    RecordMember(
        "dry_run",
        "Whether this was a dry run, which uses, requests and counts nothing. Either the subject asked about itself,"
        " or the enforcer only asked what the call would come to.",
    ),
    RecordMember("endpoint", "The endpoint, as `namespace/name`."),
    RecordMember("caller.id", "Who asked: the username of the service account, or the name of the client certificate."),
    RecordMember("caller.uid", "Its uid."),
    RecordMember("subject", "Who the call is for. `null`: not proven."),
    RecordMember("subject.type", "The type of the subject, as in AuthZEN."),
    RecordMember("subject.id", "The username, or the name that the issuer uses."),
    RecordMember("subject.uid", "The uid in the cluster, or `<issuer>#<name>`."),
    RecordMember("subject.issuer", "Who vouches for the subject. `null`: only the enforcer."),
    RecordMember(
        "subject.matched",
        "The groups of the party that a rule, a principal or a broken policy of the endpoint names.",
        "there are any",
    ),
    RecordMember(
        "subject.workload",
        'What the party calls from. `"unknown"`: it could not be read.',
        "a rule that names the party asks for its workload",
    ),
    RecordMember("subject.workload.images[]", "The digests of the images that its containers run, at most 32."),
    RecordMember("subject.workload.more_images", "How many more images there are.", "there are more than 32"),
    RecordMember("subject.workload.labels", "The labels of the pod that a rule of the endpoint asks for."),
    RecordMember("actors[]", "Who acts for the subject, the outermost first, with the members of `subject`."),
    RecordMember(
        "revocation",
        "The name of the `SubjectRevocation` because of which the call is denied.",
        "the reason is `identity_revoked`, or an approval ended by such an object",
    ),
    RecordMember("hop", "The id of the party at which a delegated call failed."),
    RecordMember("action", "The name of the action."),
    RecordMember("resource.type", "The type of the resource."),
    RecordMember("resource.id", "The id of the resource."),
    RecordMember("intent", "The declared purpose, `context.intent`, if it is a string."),
    RecordMember(
        "attributes",
        "The attributes of the call that the candidate rules read, and those that the endpoint keeps (`record.keep`),"
        " by name. See [Attributes](#attributes).",
        "a rule of the endpoint reads anything, or the endpoint keeps anything",
    ),
    RecordMember(
        "limits",
        "Why conditions were not evaluated. `nul`: none was, because a string contains a NUL character. `size`: the"
        " call is larger than 2 KiB, and those that could take too long for it were not.",
        "conditions were limited",
    ),
    RecordMember("policy", "The rule that decided, or came nearest. `null`: none."),
    RecordMember("policy.name", "The name of its policy."),
    RecordMember("policy.uid", "The uid of the policy."),
    RecordMember("policy.generation", "The generation of the policy."),
    RecordMember("policy.digest", "The digest of the policy: SHA-256 of its canonical text."),
    RecordMember("policy.rule", "The name of the rule."),
    RecordMember(
        "policies",
        "The digests of all policies of the endpoint, by name. `null`: the policy does not compile.",
        "the endpoint is known and has at most 16 policies",
    ),
    RecordMember(
        "policies_digest",
        "The digest of the list in an earlier line of the kind `policies`.",
        "the endpoint has more than 16 policies",
    ),
    RecordMember(
        "data",
        "The digest of each `EndpointData` that the endpoint's policies name, by the name of the object. `null`:"
        " unknown.",
        "the policies name any",
    ),
    RecordMember(
        "history[]",
        "Each [history](history.md) that the decision read or counted the call in.",
        "the decision read or counted any",
    ),
    RecordMember("history[].name", "Its name."),
    RecordMember("history[].object", "The name of the `EndpointHistory` that has its state for this call's key."),
    RecordMember(
        "history[].seq",
        "The number of the event in this object that counted the call, or of the last event in the state that was read."
        " `0`: there was no object yet.",
    ),
    RecordMember("history[].count", "The count that conditions read, with this call if it counts."),
    RecordMember(
        "history[].sum", "The exact sum that conditions read, as a decimal. `null`: the history has no amount."
    ),
    RecordMember("history[].age", "The age in seconds that conditions read. `null`: no call was counted before."),
    RecordMember("history[].added", "Whether the call is counted in this history."),
    RecordMember(
        "history[].repeated",
        "`true`: an earlier decision on the same request counted the call.",
        "the request was repeated",
    ),
    RecordMember(
        "history[].awaited",
        "`true`: the history counts the call when its outcome is reported.",
        "the history awaits the outcome",
    ),
    RecordMember("suspended[]", "The names of policies that are suspended or are being deleted.", "there are any"),
    RecordMember("digest", "What an approval of this call is bound to. `null`: the decision depends on no approval."),
    RecordMember("grant", "The grant that was used or opened. `null`: none."),
    RecordMember("grant.name", "Its name."),
    RecordMember("grant.uid", "Its uid."),
    RecordMember("grant.phase", "Its phase after the use."),
    RecordMember("grant.uses", "The number of its uses after this call. `null`: none yet."),
    RecordMember("grant.uses_before", "The number of its uses before this call. A repeated call takes no second use."),
    RecordMember("grant.max_uses", "The number of uses that it allows."),
    RecordMember("grant.binding.mode", "`Exact` or `Scope`."),
    RecordMember("grant.binding.digest", "What an `Exact` grant is bound to."),
    RecordMember("grant.rules[].policy", "The policy of a rule that requires the approval."),
    RecordMember("grant.rules[].rule", "The name of the rule."),
    RecordMember("grant.rules[].digest", "The digest of what the rule means."),
    RecordMember("grant.steps[].name", "The name of a step of the approval."),
    RecordMember("grant.steps[].policy", "Its policy."),
    RecordMember("grant.steps[].kind", "`Human` or `System`."),
    RecordMember("grant.steps[].groups", "The groups whose members can review. `null`: anyone who can approve."),
    RecordMember("grant.steps[].count", "The number of reviews that it needs."),
    RecordMember("grant.steps[].signature", "How reviews are signed: `Key` or `Required`.", "the step asks for it"),
    RecordMember(
        "grant.request",
        "The digest of the request as stored, which signatures of reviews cover.",
        "a step asks for a signature",
    ),
    RecordMember("grant.reviews[]", "The reviews that count.", "the grant was used"),
    RecordMember("grant.reviews[].reviewer", "Who reviewed."),
    RecordMember("grant.reviews[].step", "The step that was reviewed."),
    RecordMember("grant.reviews[].group", "The group that the reviewer reviewed for."),
    RecordMember("grant.reviews[].time", "When the operator counted the review."),
    RecordMember("grant.reviews[].reason", "Why, in the words of the reviewer."),
    RecordMember("grant.reviews[].key", "The fingerprint of the key that signed it.", "the review is signed"),
    RecordMember("grant.reviews[].signature", "The SSH signature, armored.", "the review is signed"),
    RecordMember(
        "approval.id",
        "The id of the approval that the call showed. If it does not look like an id: `sha256:` and its hash.",
        "the call showed an approval",
    ),
    RecordMember(
        "approval.token",
        "The approval token that the call showed. `null`: none.",
        "the call showed an approval",
    ),
    RecordMember("approval.token.jti", "The id of the token. `null`: the token proves nothing."),
    RecordMember("approval.token.sha256", "The SHA-256 of the token."),
    RecordMember("approval.token.refused", "Why the token was refused. `null`: it was not refused."),
    RecordMember("audit[].policy", "A policy in `Audit` mode with a rule that would have applied."),
    RecordMember("audit[].rule", "The rule."),
    RecordMember("audit[].effect", "The effect of the rule."),
    RecordMember("snapshot.revision", "The revision of the store that the decision was made by."),
    RecordMember("snapshot.age_seconds", "The age of the snapshot."),
    RecordMember(
        "snapshot.pending_seconds",
        "How long the oldest change of the endpoint's policies has been waiting. After two seconds, a call that would"
        " be allowed is denied (`policy_outdated`).",
        "a change is not yet in force",
    ),
    RecordMember("class_uid", "OCSF: 6003, API Activity."),
    RecordMember("category_uid", "OCSF."),
    RecordMember("activity_id", "OCSF."),
    RecordMember("activity_name", "OCSF: the kind."),
    RecordMember("type_uid", "OCSF."),
    RecordMember("severity_id", "OCSF."),
    RecordMember("metadata.version", "OCSF."),
    RecordMember("metadata.profiles[]", "OCSF."),
    RecordMember("metadata.product.name", "OCSF."),
    RecordMember("action_id", "OCSF: 1 allowed, 2 denied."),
    RecordMember("disposition_id", "OCSF. See [OCSF](#ocsf)."),
)
"""Lines of the kinds `evaluation` and `request`."""

SEARCH: Final[tuple[RecordMember, ...]] = (
    RecordMember("time", "When it was recorded."),
    RecordMember("kind", "`search`."),
    RecordMember(
        "searched",
        "What was searched for: `subject`, `resource` or `action`. The member of that name is `null`.",
    ),
    RecordMember("request_id", "The enforcer's `X-Request-ID`."),
    RecordMember("reason", "Why every call is denied. `null`: not every call is."),
    RecordMember(
        "revocation",
        "The name of the `SubjectRevocation` because of which every call is denied.",
        "the reason is `identity_revoked`",
    ),
    RecordMember("endpoint", "The endpoint, as `namespace/name`."),
    RecordMember("caller.id", "Who asked."),
    RecordMember("caller.uid", "Its uid."),
    RecordMember("subject.type", "The type of the subject."),
    RecordMember("subject.id", "The subject."),
    RecordMember("subject.uid", "Its uid."),
    RecordMember("actors[].type", "The type of a party that acts for the subject."),
    RecordMember("actors[].id", "Its name."),
    RecordMember("actors[].uid", "Its uid."),
    RecordMember("action", "The action."),
    RecordMember("resource.type", "The type of the resource."),
    RecordMember("resource.id", "The resource."),
    RecordMember("intent", "The declared purpose."),
    RecordMember("found", "The number of results. Their names are not recorded."),
    RecordMember("with_approval", "The number of results that need an approval.", "subjects were searched for"),
    RecordMember("incomplete", "Whether there can be more results."),
    RecordMember("snapshot.revision", "The revision of the store."),
    RecordMember("snapshot.age_seconds", "The age of the snapshot."),
)
"""Lines of the kind `search`."""

POLICIES: Final[tuple[RecordMember, ...]] = (
    RecordMember("kind", "`policies`."),
    RecordMember("endpoint", "The endpoint, as `namespace/name`."),
    RecordMember("policies_digest", "SHA-256 of the list. Later lines refer to the list by it."),
    RecordMember(
        "policies",
        "The digests of all policies of the endpoint, by name. `null`: the policy does not compile.",
    ),
)
"""Lines of the kind `policies`: written before the first record that names it, and again by each process."""

SHADOW: Final[tuple[RecordMember, ...]] = (
    RecordMember("time", "When it was recorded."),
    RecordMember("kind", "`shadow`."),
    RecordMember("evaluation_id", "The id of the decision, as in its own line."),
    RecordMember("endpoint", "The endpoint, as `namespace/name`."),
    RecordMember(
        "live.verdict",
        "The verdict of the policies in force, from what was known when the call was decided: `allow` (by a rule or a"
        " usable grant), `approval` or `deny`.",
    ),
    RecordMember("live.reason", "The [code](reasons.md) of its reason."),
    RecordMember("live.rule", "The rule that decided, or came nearest. `null`: none."),
    RecordMember("live.rule.policy", "Its policy."),
    RecordMember("live.rule.name", "Its name."),
    RecordMember("shadow.policy", "The name of the candidate."),
    RecordMember("shadow.uid", "Its uid."),
    RecordMember("shadow.generation", "Its generation."),
    RecordMember("shadow.digest", "Its digest."),
    RecordMember("shadow.replaces", "The policy that the candidate replaced for this verdict."),
    RecordMember("shadow.verdict", "The verdict with the candidate, as in `live.verdict`."),
    RecordMember("shadow.reason", "The [code](reasons.md) of its reason."),
    RecordMember("shadow.rule", "The rule, of any policy, that would have decided or come nearest. `null`: none."),
    RecordMember("shadow.rule.policy", "Its policy."),
    RecordMember("shadow.rule.name", "Its name."),
    RecordMember("snapshot.revision", "The revision of the store that both verdicts are from."),
)
"""Lines of the kind `shadow`: what a candidate would have made of a call, where that is another verdict or reason."""

_COUNTED: Final[tuple[RecordMember, ...]] = (
    RecordMember("history[].name", "The name of a history that changed."),
    RecordMember("history[].object", "The name of the `EndpointHistory` that has its state."),
    RecordMember("history[].seq", "The number of the event in this object."),
    RecordMember("history[].count", "The count after the event."),
    RecordMember("history[].sum", "The exact sum after the event, as a decimal. `null`: the history has no amount."),
    RecordMember("history[].age", "The age in seconds after the event. `null`: nothing is counted."),
)

HISTORY: Final[tuple[RecordMember, ...]] = (
    RecordMember("time", "When it was recorded."),
    RecordMember("kind", "`history`."),
    RecordMember(
        "event",
        "`denied`: denied calls were counted after their answers. `released`: a call that was counted and then not let"
        " through was taken out again.",
    ),
    RecordMember("calls", "The number of calls in the event."),
    RecordMember("endpoint", "The endpoint, as `namespace/name`."),
    *_COUNTED,
    RecordMember("history[].added", "Whether the event added to this history."),
)
"""Lines of the kind `history`: events in the state of histories that no answer carries."""

OUTCOME: Final[tuple[RecordMember, ...]] = (
    RecordMember("time", "When it was recorded."),
    RecordMember("kind", "`outcome`."),
    RecordMember("evaluation_id", "The id of the decision, as the enforcer reported it."),
    RecordMember("request_id", "The enforcer's `X-Request-ID`."),
    RecordMember("outcome", "What became of the call: `succeeded`, `failed` or `cancelled`."),
    RecordMember("endpoint", "The endpoint, as `namespace/name`."),
    RecordMember("caller.id", "Who reported it."),
    RecordMember("caller.uid", "Its uid."),
    *_COUNTED,
    RecordMember("history[].added", "Whether the history counts the call by this outcome."),
    RecordMember("history[].repeated", "`true`: the same outcome was reported before.", "it was reported before"),
)
"""Lines of the kind `outcome`: what became of a call that was let through."""

MAPS: Final = frozenset({"attributes", "data", "policies", "subject.workload.labels"})
"""Members whose own members are names from a policy or a call."""
