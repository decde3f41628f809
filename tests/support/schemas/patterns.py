"""Strings on both sides of each pattern: what a field of this path takes, and what it refuses."""

from typing import Final

_LABELS: Final = (("a", "0", "crm-api", "a-1", "a" * 63), ("-a", "a-", "A", "a_b", "a.b", "a b", "a\n", "é"))
_DIGEST: Final = "0123456789abcdef" * 4
_ACTIONS: Final = (
    ("*", "a", "customers.list", "customers.*", "customers:*", "/customers/*", "a.b.c.*", "GET:/a/b", "a/b.*", "é"),
    # One star, at the end, behind . : or /, with something before that; and no blanks.
    (
        *("a*", "customers*", "*.list", "cust*mers", "a.*.b", "**", "a.**", "*.*", ".*", "/*"),
        *("a b", " a", "a ", "a\tb", "a\n", "a\x0bb", "a\x7fb"),
    ),
)
_IDS: Final = (
    ("*", "42", "eu/*", "eu:*", "eu.*", "a b", "/", "eu/42", "é", "a\u00a0b"),
    ("eu*", "*42", "4*2", "eu/*/x", "**", "eu/**", "/*", "a\tb", "a\n", "\x00", "a\x7f"),
)
_IMAGES: Final = (
    (f"sha256:{_DIGEST}",),
    # None of these is longer than it may be.
    (_DIGEST, f"sha512:{_DIGEST}", f"sha256:{_DIGEST[1:]}", f"sha256:{_DIGEST.upper()}", f"sha256:{_DIGEST[1:]}\n"),
)

_ATTRIBUTES: Final = (
    (
        "context.iban",
        "context.a.b_c.d-e",
        "subject.claims.email",
        "actor.properties.x",
        "resource.properties.owner.name",
    ),
    (
        *("context", "iban", "subject.id", "resource.id", "subject.claims", "resource.type.x", "claims.email", "now.x"),
        *(
            "context.",
            "context..x",
            "context.1a",
            "context.x y",
            "context.x[0]",
            "context.*",
            "context.x\n",
            "a.context.x",
        ),
        "context" + ".x" * 9,
    ),
)

_POINTERS: Final = (
    (
        "/context/args/fields",
        "/context/a",
        "/subject/properties/x",
        "/action/properties/a~1b",
        "/resource/properties/x/0",
    ),
    (
        *("/context", "context/args", "/args/fields", "/subject/id", "/resource/id", "/context/", "/context//a", "/"),
        *("/context/a/", "/action/properties", "/claims/x", "/context/a\n", "/context" + "/x" * 9),
    ),
)
_PATHS_OF_CALLS: Final = ("context.a", "context.args.amount", "context.a_b.c-d", "context" + ".x" * 8)
_NO_PATHS: Final = (
    *("context", "a", "context.", "context..x", "context.1a", "context.x y", "context.x[0]", "context.*"),
    *("context.x\n", "a.context.x", "now.x", "context" + ".x" * 9),
)
_SHA: Final = (
    (f"sha256:{_DIGEST}",),
    (_DIGEST, f"sha512:{_DIGEST}", f"sha256:{_DIGEST[1:]}", f"sha256:{_DIGEST}0", f"sha256:{_DIGEST.upper()}"),
)
_RULE_DIGESTS: Final = (
    (f"v2:{_DIGEST}", f"v1:{_DIGEST}"),
    (
        *(_DIGEST, f"v3:{_DIGEST}", f"v12:{_DIGEST}", f"v2:{_DIGEST[1:]}", f"v2:{_DIGEST}0"),
        *(f"v2:{_DIGEST.upper()}", f"v2:{_DIGEST}\n"),
    ),
)

_ROUTE: Final = "EndpointPolicy spec.endpointSettings.http.routes.0"
_HISTORY: Final = "EndpointPolicy spec.endpointSettings.history.0"
_NAMES: Final = (
    ("{id}", "a", "a/{id}", "{a}/{b_2}", "{query.region}", "{query.a-b_c}", "{header.x-team}", "é", "a b", "*"),
    (
        "{",
        "}",
        "{}",
        "{id",
        "{2id}",
        "{a b}",
        "{query.}",
        "{query.a.b}",
        "{header.X-Team}",
        "{header.a_b}",
        "{{id}}",
        "\n",
    ),
)
_ARGUMENTS: Final = (
    ("", "/", "/fields", "/a/0", "/a~1b", "//", "{id}", "{query.a}", "{header.x}"),
    ("fields", "{id}x", "/a\n", "{a}/{b}", "#/a", "{}"),
)
_PATHS: Final = (
    ("/", "/a", "/a/", "/customers/{id}/export", "/{a}/{_b2}", "/v1.2/a:b@c,d", "/~a(b)'!$&=+-_"),
    (
        "a",
        "//",
        "/a//b",
        "/{id",
        "/a{id}",
        "/{id}b",
        "/{2a}",
        "/a b",
        "/a;b",
        "/*",
        "/a%20b",
        "/é",
        "/a?b",
        "/a\\b",
        "/a\n",
    ),
)
_HOSTS: Final = (
    ("a", "crm.example.com", "crm.example.com:8080", "10.0.0.1", "[::1]", "[::1]:443", "a_b.c", "a-b"),
    ("A", "a.", ".a", "a..b", "a:", "a:0", "a:080", "a:123456", "u@a", "a/b", "*.a", "-a", "a-", "é", "a\n"),
)

TAKES_AND_REFUSES: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "EndpointPolicy spec.endpoint": _LABELS,
    "EndpointPolicy spec.endpointSettings.enforcers.1.certificate.spiffe": (
        ("spiffe://cluster.local/ns/a/sa/b", "spiffe://a/b", "spiffe://a.b-c_d/B.c_d-e"),
        ("spiffe://a", "spiffe://a/", "spiffe:///b", "https://a/b", "spiffe://A/b", "spiffe://a//b", "a", "spiffe://a/b\n"),
    ),
    "EndpointPolicy spec.endpointSettings.enforcers.2.certificate.dns": (
        ("a", "envoy.gateways.svc", "a-1.b"),
        ("A", "a.", ".a", "a..b", "-a", "a_b", "*.a", "a:1", "a\n"),
    ),
    "EndpointPolicy spec.endpointSettings.http.hosts.0": _HOSTS,
    "EndpointPolicy spec.endpointSettings.http.mcpPath": (
        ("/", "/mcp", "/tools/mcp/", "/v1.2/a:b@c,d"),
        ("mcp", "//", "/a//b", "/{id}", "/a b", "/a;b", "/*", "/a%20b", "/é", "/a?b", "/a\n"),
    ),
    f"{_ROUTE}.methods.0": (("GET", "A", "PROPFIND"), ("get", "Get", "M-SEARCH", "G T", "*", "GET\n")),
    f"{_ROUTE}.path": _PATHS,
    f"{_ROUTE}.action": (("customers.list", "a", "é"), ("*", "a.*", "a b", "a\n")),
    f"{_ROUTE}.actionProperties.env": _NAMES,
    f"{_ROUTE}.resource.id": _NAMES,
    f"{_ROUTE}.resource.properties.env": _NAMES,
    f"{_ROUTE}.args.env": _ARGUMENTS,
    f"{_HISTORY}.name": (("big", "_big", "Big2", "a_b"), ("2big", "a-b", "a.b", "a b", "é", "big\n")),
    f"{_HISTORY}.key.0": (
        (
            *("subject", "session", "resource", "action", "intent", *_PATHS_OF_CALLS),
            *("subject.claims.org", "resource.properties.owner.name"),
        ),
        (
            *("Agent", "agents", "subject.id", "actor", "actor.claims.x", "subject.properties.x"),
            *("action.properties.x", "agent\n", *_NO_PATHS),
        ),
    ),
    f"{_HISTORY}.window": (
        ("1m", "90m", "44640m", "1h", "744h", "1d", "31d"),
        ("", "0m", "01m", "1", "m", "1s", "1w", "1.5h", "-1h", "1 h", "1H", "1h30m", "1h\n"),
    ),
    f"{_HISTORY}.counts.actions.0": _ACTIONS,
    f"{_HISTORY}.counts.resources.0.ids.0": _IDS,
    f"{_HISTORY}.amount.of": (
        (*_PATHS_OF_CALLS, "action.properties.total", "resource.properties.price.net"),
        ("subject.claims.x", "subject.properties.x", "resource.id", *_NO_PATHS),
    ),
    "EndpointPolicy spec.endpointSettings.session.property": (
        (*_PATHS_OF_CALLS, "subject.properties.session"),
        ("subject.claims.sid", "resource.properties.x", "subject.id", *_NO_PATHS),
    ),
    "EndpointPolicy spec.subjects.0.name": _LABELS,
    "EndpointPolicy spec.sensitive.0": _ATTRIBUTES,
    "EndpointPolicy spec.endpointSettings.record.keep.0": _ATTRIBUTES,
    "EndpointPolicy spec.rules.0.name": _LABELS,
    "EndpointPolicy spec.rules.0.subjects.0": _LABELS,
    "EndpointPolicy spec.rules.0.conditions.0.name": _LABELS,
    "EndpointPolicy spec.rules.0.approval.steps.0.name": _LABELS,
    "ApprovalGrant spec.request.endpoint": _LABELS,
    "ApprovalGrant spec.request.rules.0.rule": _LABELS,
    "EndpointPolicy spec.endpointSettings.identity.issuers.0": _LABELS,
    "EndpointPolicy spec.endpointSettings.delegation.principals.0": _LABELS,
    "EndpointPolicy spec.endpointSettings.delegation.ceiling.0.conditions.0.name": _LABELS,
    "EndpointPolicy spec.endpointSettings.delegation.ceiling.0.actions.0": _ACTIONS,
    "EndpointPolicy spec.endpointSettings.delegation.ceiling.0.resources.0.ids.0": _IDS,
    "EndpointPolicy spec.subjects.1.user.issuer": _LABELS,
    "EndpointPolicy spec.subjects.2.group.issuer": _LABELS,
    "EndpointPolicy spec.subjects.0.workload.imageDigests.0": _IMAGES,
    "EndpointPolicy spec.rules.0.actions.0": _ACTIONS,
    "EndpointPolicy spec.rules.0.resources.0.ids.0": _IDS,
    "EndpointPolicy spec.variables.0.name": (
        ("big", "_big", "Big2", "a_b"),
        ("2big", "a-b", "a.b", "a b", "é", "big\n"),
    ),
    "EndpointPolicy spec.rules.0.approval.show.0": _POINTERS,
    "ApprovalGrant spec.request.rules.0.ruleDigest": _RULE_DIGESTS,
    "ApprovalGrant status.resolved.rules.0.ruleDigest": _RULE_DIGESTS,
    "ApprovalGrant status.resolved.rules.0.rule": _LABELS,
    "ApprovalGrant spec.request.binding.digest": _SHA,
    "ApprovalGrant spec.request.idempotency.key": _SHA,
    "ApprovalGrant spec.request.idempotency.request": _SHA,
}  # fmt: skip

TIME_FIELDS: Final = (
    "EndpointPolicy spec.expireTime",
    "EndpointPolicy spec.rules.0.expireTime",
    "EndpointPolicy status.conditions.0.lastTransitionTime",
    "ApprovalGrant spec.request.pendingUntilTime",
    "ApprovalGrant status.approvedTime",
    "ApprovalGrant status.notAfterTime",
    "ApprovalGrant status.useRecords.0.time",
    "ApprovalGrant status.conditions.0.lastTransitionTime",
)
TIMES: Final = (
    ("2027-03-31T00:00:00Z", "2027-03-31T00:00:00.5Z", "2027-03-31T23:59:59.123456789+14:00", "1000-01-01T00:00:00Z"),
    (
        "soon",
        "2027-03-31",
        "2027-03-31T00:00:00",
        "2027-03-31 00:00:00Z",
        "2027-03-31t00:00:00z",
        "2027-03-31T24:00:00Z",
        "2027-03-31T23:59:60Z",
        "2027-02-29T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59-23:59",
        # The format date-time alone lets all of these through.
        "2027-03-31T00:00:00+99:99",
        "2027-03-31T00:00:00x5Z",
        "2027-03-31T00:00:00.1234567890Z",
        "2027-03-31T00:00:00ZTomorrow",
    ),
)  # fmt: skip
