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
    RecordMember("time", "When it was recorded, RFC 3339 in UTC, to the millisecond."),
    RecordMember("now", "The moment that conditions and expiries saw, in seconds since the epoch, in full precision."),
    RecordMember("kind", "`evaluation` (also each item of a batch), or `request`: an approval was requested."),
    RecordMember("evaluation_id", "Our id, as in the answer."),
    RecordMember(
        "request_id",
        "The enforcer's `X-Request-ID`. Each character that does not show, and each backslash, is escaped as in JSON.",
    ),
    RecordMember("item", "The index of a batch's item, from 0.", "an item of a batch"),
    RecordMember("traceparent", "W3C Trace Context of the request.", "a valid one was sent"),
    RecordMember("decision", "The answer. Of a request always `false`."),
    RecordMember("reason", "Why, by [code](reasons.md)."),
    RecordMember("dry_run", "Nothing was used, because the subject asked about itself."),
    RecordMember("endpoint", "`namespace/name` of the endpoint."),
    RecordMember(
        "caller.id", "The username of the service account, or the name of the client certificate, that asked."
    ),
    RecordMember("caller.uid", "Its uid."),
    RecordMember("subject", "Whom the call is for. `null`: not proven."),
    RecordMember("subject.type", "AuthZEN's type of subject."),
    RecordMember("subject.id", "Username, or the name by the issuer."),
    RecordMember("subject.uid", "The uid in the cluster, else `<issuer>#<name>`."),
    RecordMember("subject.issuer", "Who vouches for it. `null`: only the enforcer."),
    RecordMember(
        "subject.matched",
        "Those of the party's groups that a rule, a principal or a broken policy of the endpoint names.",
        "there are any",
    ),
    RecordMember(
        "subject.workload",
        'What the party calls from. `"unknown"`: it could not be read.',
        "a rule that names the party asks for its workload",
    ),
    RecordMember("subject.workload.images[]", "Digests of the images that its containers run, at most 32."),
    RecordMember("subject.workload.more_images", "How many are not listed.", "there are more than 32"),
    RecordMember("subject.workload.labels", "Those labels of the pod that a rule of the endpoint asks for."),
    RecordMember("actors[]", "Who acts for the subject, the outermost first, with the members of `subject`."),
    RecordMember("hop", "The id of the party at which a call on behalf of another failed."),
    RecordMember("action", "The name of the action."),
    RecordMember("resource.type", "The type of the resource."),
    RecordMember("resource.id", "Its id."),
    RecordMember("intent", "The declared purpose, `context.intent`, if it is a text."),
    RecordMember(
        "attributes",
        "What the candidate rules read of the call, and what the endpoint keeps (`record.keep`), by name. See below.",
        "a rule of the endpoint reads anything, or something is kept",
    ),
    RecordMember(
        "limits",
        "`nul`: no condition was evaluated, because a text holds a NUL character. `size`: the call is larger than 2"
        " KiB, so conditions that could take too long for it were not evaluated.",
        "conditions were limited",
    ),
    RecordMember("policy", "The rule that decided or came nearest. `null`: none."),
    RecordMember("policy.name", "The name of its policy."),
    RecordMember("policy.uid", "The policy's uid."),
    RecordMember("policy.generation", "The policy's generation."),
    RecordMember("policy.digest", "The policy's digest: SHA-256 of its canonical text."),
    RecordMember("policy.rule", "The name of the rule."),
    RecordMember(
        "policies",
        "The digests of all policies of the endpoint, by name. `null`: it does not compile.",
        "the endpoint is known and has at most 16 policies",
    ),
    RecordMember(
        "policies_digest",
        "The digest of an earlier line of the kind `policies`, with the list.",
        "the endpoint has more than 16 policies",
    ),
    RecordMember(
        "data",
        "The digest of each `EndpointData` that the endpoint's policies name, by the object's name. `null`: unknown.",
        "the policies name any",
    ),
    RecordMember("suspended[]", "Names of policies that are suspended or are being deleted.", "there are any"),
    RecordMember("digest", "What an approval of this call is bound to. `null`: no approval decides."),
    RecordMember("grant", "The grant that was used or opened. `null`: none."),
    RecordMember("grant.name", "Its name."),
    RecordMember("grant.uid", "Its uid."),
    RecordMember("grant.phase", "Its phase, after the use."),
    RecordMember("grant.uses", "Its uses after this call. `null`: none yet."),
    RecordMember("grant.uses_before", "Its uses before. A call that is repeated takes no second use."),
    RecordMember("grant.max_uses", "How many there can be."),
    RecordMember("grant.binding.mode", "`Exact` or `Scope`."),
    RecordMember("grant.binding.digest", "What an Exact grant is bound to."),
    RecordMember("grant.rules[].policy", "The policy of a rule that asks for the approval."),
    RecordMember("grant.rules[].rule", "The name of the rule."),
    RecordMember("grant.rules[].digest", "The digest of the rule's meaning."),
    RecordMember("grant.steps[].name", "A step of the approval."),
    RecordMember("grant.steps[].policy", "Its policy."),
    RecordMember("grant.steps[].kind", "`Human` or `System`."),
    RecordMember("grant.steps[].groups", "For which groups reviewers review. `null`: anyone who can approve."),
    RecordMember("grant.steps[].count", "How many reviews it needs."),
    RecordMember("grant.reviews[]", "The reviews that count.", "the grant was used"),
    RecordMember("grant.reviews[].reviewer", "Who reviewed."),
    RecordMember("grant.reviews[].step", "For which step."),
    RecordMember("grant.reviews[].group", "For which group."),
    RecordMember("grant.reviews[].time", "When the operator counted it."),
    RecordMember("grant.reviews[].reason", "Why, in the reviewer's own words."),
    RecordMember("approval.id", "What the caller showed as the id of an approval.", "one was shown"),
    RecordMember("approval.token", "The approval token that was shown. `null`: none.", "an approval was shown"),
    RecordMember("approval.token.jti", "Its id. `null`: it proves nothing."),
    RecordMember("approval.token.sha256", "Its SHA-256."),
    RecordMember("approval.token.refused", "Why it was refused. `null`: it was not."),
    RecordMember("audit[].policy", "A policy in Audit mode of which a rule would have applied."),
    RecordMember("audit[].rule", "The rule."),
    RecordMember("audit[].effect", "Its effect."),
    RecordMember("snapshot.revision", "The state of the store that was decided by."),
    RecordMember("snapshot.age_seconds", "How old it was."),
    RecordMember(
        "snapshot.pending_seconds",
        "For how long the oldest change of the endpoint's policies has waited. After two seconds, what would be allowed"
        " is denied (`policy_outdated`).",
        "a change is not in force yet",
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
    RecordMember("disposition_id", "OCSF, see below."),
)
"""Lines of the kinds `evaluation` and `request`."""

SEARCH: Final[tuple[RecordMember, ...]] = (
    RecordMember("time", "When it was recorded."),
    RecordMember("kind", "`search`."),
    RecordMember("searched", "`subject`, `resource` or `action`: what was searched for. Its own member is `null`."),
    RecordMember("request_id", "The enforcer's `X-Request-ID`."),
    RecordMember("reason", "Why every call is denied. `null`: not every call is."),
    RecordMember("endpoint", "`namespace/name` of the endpoint."),
    RecordMember("caller.id", "Who asked."),
    RecordMember("caller.uid", "Its uid."),
    RecordMember("subject.type", "The type of subject."),
    RecordMember("subject.id", "The subject."),
    RecordMember("subject.uid", "Its uid."),
    RecordMember("actors[].type", "Who acts for the subject."),
    RecordMember("actors[].id", "By name."),
    RecordMember("actors[].uid", "By uid."),
    RecordMember("action", "The action."),
    RecordMember("resource.type", "The type of resource."),
    RecordMember("resource.id", "The resource."),
    RecordMember("intent", "The declared purpose."),
    RecordMember("found", "How many were found. Their names are not recorded."),
    RecordMember("with_approval", "How many need an approval.", "subjects were searched for"),
    RecordMember("incomplete", "There can be more."),
    RecordMember("snapshot.revision", "The state of the store."),
    RecordMember("snapshot.age_seconds", "How old it was."),
)
"""Lines of the kind `search`."""

POLICIES: Final[tuple[RecordMember, ...]] = (
    RecordMember("kind", "`policies`."),
    RecordMember("endpoint", "`namespace/name` of the endpoint."),
    RecordMember("policies_digest", "SHA-256 of the list, by which later lines name it."),
    RecordMember("policies", "The digests of all its policies, by name. `null`: it does not compile."),
)
"""Lines of the kind `policies`: written before the first record that names it, and again by each process."""

SHADOW: Final[tuple[RecordMember, ...]] = (
    RecordMember("time", "When it was recorded."),
    RecordMember("kind", "`shadow`."),
    RecordMember("evaluation_id", "The decision, by the id of its own line."),
    RecordMember("endpoint", "`namespace/name` of the endpoint."),
    RecordMember(
        "live.verdict",
        "What the call came to by the policies in force, on what was known when it was decided: `allow` (by a rule or a"
        " usable grant), `approval`, `deny`.",
    ),
    RecordMember("live.reason", "Why, by [code](reasons.md)."),
    RecordMember("live.rule", "The rule that decided or came nearest. `null`: none."),
    RecordMember("live.rule.policy", "Its policy."),
    RecordMember("live.rule.name", "Its name."),
    RecordMember("shadow.policy", "The candidate."),
    RecordMember("shadow.uid", "Its uid."),
    RecordMember("shadow.generation", "Its generation."),
    RecordMember("shadow.digest", "Its digest."),
    RecordMember("shadow.replaces", "The policy in whose place it stood."),
    RecordMember("shadow.verdict", "What the call would have come to, likewise."),
    RecordMember("shadow.reason", "Why, by [code](reasons.md)."),
    RecordMember("shadow.rule", "The rule that would have decided or come nearest, of any policy. `null`: none."),
    RecordMember("shadow.rule.policy", "Its policy."),
    RecordMember("shadow.rule.name", "Its name."),
    RecordMember("snapshot.revision", "The state of the store that both were decided by."),
)
"""Lines of the kind `shadow`: what a candidate would have made of a call, where that is another verdict or reason."""

MAPS: Final = frozenset({"attributes", "data", "policies", "subject.workload.labels"})
"""Members whose own members are names from a policy or a call."""
