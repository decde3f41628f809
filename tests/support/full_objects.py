"""Valid objects in which every field of the schema is there once, and the largest objects that the bounds allow."""

import itertools
import string
from typing import Final

from bailiwick_api.kinds.meta import API_VERSION
from support.objects import (
    AGENT,
    DIGEST,
    ENDPOINT,
    POLICY,
    STEP,
    Object,
    active_status,
    grant,
    later,
    rule_reference,
    step,
    use_record,
)

_EXPRESSION: Final = "size(string(context.count)) > 2"


def full_policy(namespace: str, name: str = POLICY) -> Object:
    """Return a policy with every field of spec and status."""
    return {
        "apiVersion": API_VERSION,
        "kind": "EndpointPolicy",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {
            "endpoint": ENDPOINT,
            "endpointSettings": {
                "enforcers": [
                    {"namespace": "crm", "name": "crm-api"},
                    {"certificate": {"spiffe": "spiffe://cluster.local/ns/gateways/sa/envoy"}},
                    {"certificate": {"dns": "envoy.gateways.svc"}},
                ],
                "http": {
                    "hosts": ["crm.example.com"],
                    "mcp": True,
                    "mcpPath": "/tools/mcp",
                    "routes": [
                        {
                            "methods": ["POST"],
                            "path": "/customers/{id}/export",
                            "action": "customers.export",
                            "actionProperties": {"env": "{query.how}"},
                            "resource": {"type": "customer", "id": "{id}", "properties": {"env": "{header.x-env}"}},
                            "args": {"env": "/fields"},
                            "forms": True,
                        }
                    ],
                },
                "identity": {
                    "verification": "Asserted",
                    "audiences": ["crm-api.crm"],
                    "issuers": ["cluster", "corp"],
                },
                "delegation": {
                    "maxDepth": 2,
                    "principals": ["support"],
                    "ceiling": [
                        {
                            "actions": ["customers.list"],
                            "resources": [{"type": "customer", "ids": ["*"], "properties": {"env": ["prod"]}}],
                            "conditions": [{"name": "few", "expression": "!variables.big", "message": "only a few"}],
                        }
                    ],
                    "principalMustBeEntitled": True,
                },
                "record": {"keep": ["context.tenant"]},
                # One of the two things that a session can be, and a history with each kind of window.
                "session": {"property": "context.session"},
                "history": [
                    {
                        "name": "removed",
                        "key": ["context.tenant", "resource.properties.owner"],
                        "window": "1h",
                        "counts": {
                            "actions": ["customers.delete"],
                            "resources": [{"type": "customer", "ids": ["*"], "properties": {"env": ["prod"]}}],
                            "when": "!variables.big",
                            "approved": "Ignore",
                        },
                        "amount": {"of": "context.args.amount", "digits": 2},
                    },
                    {
                        "name": "wiped",
                        "key": ["session"],
                        "calendar": {"unit": "Day", "timeZone": "Europe/Berlin"},
                        "counts": {"actions": ["customers.wipe", "tenants.wipe"], "what": "Allowed"},
                    },
                    {
                        "name": "done",
                        "key": ["session"],
                        "window": "1d",
                        "counts": {"actions": ["customers.list"], "what": "Succeeded"},
                        "outcomeWithin": "1h",
                    },
                ],
            },
            "mode": "Audit",
            "replaces": "live",
            "suspend": False,
            "expireTime": later(hours=9),
            # One of each kind, since a subject is one thing only.
            "subjects": [
                {
                    "name": "agent",
                    "serviceAccount": {"namespace": "agents", "name": "crm-agent"},
                    "workload": {"podSelector": {"matchLabels": {"env": "prod"}}, "imageDigests": [DIGEST]},
                },
                {"name": "carol", "user": {"issuer": "corp", "name": "carol@corp.example"}},
                {"name": "support", "group": {"issuer": "corp", "name": "support"}},
                {"name": "auditors", "entity": {"type": "user", "ids": ["alice"]}},
            ],
            "data": [{"name": "incident", "from": "incident-state"}],
            "sensitive": ["context.iban"],
            "variables": [{"name": "big", "expression": _EXPRESSION}],
            "rules": [
                {
                    "name": "export",
                    "effect": "RequireApproval",
                    "subjects": ["agent"],
                    "actions": ["customers.export"],
                    "resources": [{"type": "customer", "ids": ["*"], "properties": {"env": ["prod"]}}],
                    "intents": ["support"],
                    "conditions": [{"name": "big", "expression": "variables.big", "message": "only big ones"}],
                    "expireTime": later(hours=8),
                    "approval": {
                        "binding": "Exact",
                        "requiredContext": ["args"],
                        "show": ["/context/args/fields"],
                        "allowUnseen": True,
                        "presentation": "Token",
                        "open": "OnDeny",
                        "limits": {"pendingPerSubject": 3, "requestsPerHour": 10, "denyCooldownSeconds": 60},
                        "steps": [
                            {"name": "owner", "kind": "Human", "groups": ["crm-owners"], "count": 2, "signature": "Key"}
                        ],
                        "pendingSeconds": 1800,
                        "windowSeconds": 300,
                        "maxUses": 2,
                        "reason": {"required": False, "pattern": "INC-[0-9]+"},
                    },
                }
            ],
        },
        "status": {
            "observedGeneration": 1,
            "digest": DIGEST,
            "ruleCount": 1,
            "gatedActionCount": 1,
            "gatedActions": ["customers.export"],
            "usage": dict.fromkeys(("lastUsedTime", "observedSince", "unusedSince"), later()),
            "shadow": {"observedGeneration": 1, "compared": 50, "different": 2, "lastUpdateTime": later()},
            "conditions": [_condition("Accepted")],
        },
    }


def full_grant(namespace: str, name: str = "wanted") -> Object:
    """Return a grant with every field of spec and status, as it stands after one of two uses."""
    out = grant(
        namespace,
        name,
        requester="carol",
        subject={"type": "serviceAccount", "id": AGENT, "uid": "agent-uid"},
        actors=[{"issuer": "cluster", "id": AGENT, "uid": "agent-uid"}],
        excludedReviewers=[AGENT],
        intent="support",
        resource={"type": "customer", "id": "42", "properties": {"env": "prod"}},
        binding={"mode": "Scope", "digest": DIGEST, "request": DIGEST, "members": ["args_digest"]},
        display=[{"name": "resource.id", "value": "42"}],
        reason="INC-4412 export for the audit",
        idempotency={"key": DIGEST, "request": DIGEST},
        steps=[step(groups=["crm-owners"], signature="Key")],
        maxUses=2,
    )
    out["spec"]["request"]["requester"]["uid"] = "carol-uid"
    out["spec"]["reviews"] = [
        {
            "reviewer": "dave",
            "reviewerUID": "dave-uid",
            "step": STEP,
            "group": "crm-owners",
            "decision": "Approve",
            "reason": "as agreed",
            "binding": DIGEST,
            "signature": "-----BEGIN SSH SIGNATURE-----",
        }
    ]
    out["spec"]["revocation"] = {"by": "dave", "reason": "no longer needed", "for": "carol"}
    out["status"] = active_status(
        observedGeneration=1,
        counted=[{"reviewer": "dave", "time": "2026-01-01T00:00:00Z"}],
        voided=[{"reviewer": "erin", "message": "the signature is over something else"}],
        resolved={"subjectUID": "agent-uid", "excludedReviewers": ["heidi"], "rules": [rule_reference()]},
        uses=1,
        useRecords=[use_record()],
        conditions=[_condition("Approved")],
    )
    return out


def largest_policy(namespace: str) -> Object:
    """Return a policy of 64 rules x 64 subjects x 64 ids, with the dearest names there are for its checks."""
    # Names that differ only in their last letters are compared to the end.
    names = [
        "s" * 61 + one + two for one, two in itertools.islice(itertools.product(string.ascii_lowercase, repeat=2), 64)
    ]
    ids = [f"{number}" for number in range(64)]
    rules = [
        {
            "name": f"rule-{number}",
            "effect": "Allow",
            # The last ones first, so that each search goes through the whole list.
            "subjects": list(reversed(names)),
            "actions": [f"a{one}" for one in range(64)],
            "resources": [{"type": "t", "ids": ids} for _ in range(16)],
            "conditions": [{"name": f"c{one}", "expression": "true"} for one in range(16)],
        }
        for number in range(64)
    ]
    out = full_policy(namespace, "largest")
    out["spec"]["subjects"] = [
        {"name": name, "serviceAccount": {"namespace": "agents", "name": "crm-agent"}} for name in names
    ]
    out["spec"]["endpointSettings"]["delegation"]["principals"] = list(reversed(names))
    out["spec"]["endpointSettings"]["delegation"]["ceiling"][0]["conditions"] = []
    keys = [[f"context.{'k' * 241}{one}{two:02}" for two in range(4)] for one in "abcd"]
    out["spec"]["endpointSettings"]["history"] = [
        {
            "name": "h" * 61 + f"{number:02}",
            "key": keys[number % 4],
            "window": "44640m",
            "counts": {"actions": [f"a{one}" for one in range(64)]},
        }
        for number in range(16)
    ]
    out["spec"]["variables"] = [{"name": f"v{one}", "expression": "true"} for one in range(32)]
    out["spec"]["rules"] = rules
    return out


def largest_grant(namespace: str, requester: str = "carol") -> Object:
    """Return a grant for the longest request there is: 4 rules, 20 steps, 64 facts, all as long as they may be."""
    policies = ["p" * 252 + f"{number}" for number in range(4)]
    return grant(
        namespace,
        "largest",
        requester=requester,
        rules=[{**rule_reference(name), "uid": "u" * 128, "rule": "r" * 63} for name in policies],
        subject={"type": "t" * 63, "id": "i" * 512, "uid": "u" * 128},
        actors=[{"issuer": "c" * 253, "id": "a" * 511 + f"{number}", "uid": "u" * 128} for number in range(4)],
        excludedReviewers=["e" * 510 + f"{number:02}" for number in range(16)],
        action={"name": "n" * 128},
        resource={"type": "t" * 63, "id": "i" * 253},
        intent="i" * 63,
        binding={"mode": "Scope", "members": ["m" * 63] * 64},
        reason="r" * 4096,
        steps=[largest_step(policies[number % 4], number) for number in range(20)],
        maxUses=50,
    )


def largest_step(policy: str, number: int) -> Object:
    """Return a step whose last group is `crm-owners`."""
    groups = [*("g" * 251 + f"{one:02}" for one in range(15)), "crm-owners"]
    name = "s" * 379 + f"{number:02}"
    return {
        "name": name,
        "policy": policy,
        "kind": "Human",
        "groups": groups,
        "count": 1,
        "signature": "Required",
    }


def _condition(kind: str) -> Object:
    return {
        "type": kind,
        "status": "True",
        "observedGeneration": 1,
        "lastTransitionTime": later(),
        "reason": "AsExpected",
        "message": "as expected",
    }
