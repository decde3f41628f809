"""Valid minimal objects as plain dicts, for tests to change before they send them.

Holds: every builder returns new dicts, so that no test sees another's changes; what a builder leaves out is optional.
"""

import copy
import datetime
from typing import Any, Final

import orjson
import yaml

from bailiwick_api.kinds.meta import API_VERSION, ENDPOINT_LABEL
from bailiwick_api.manifests.guards import GRANT_NAME_PREFIX

Object = dict[str, Any]

POLICY: Final = "crm-agent"
ENDPOINT: Final = "crm-api"
AGENT: Final = "system:serviceaccount:agents:crm-agent"
STEP: Final = f"{POLICY}.export.owner"
DIGEST: Final = "sha256:" + "a" * 64
OTHER_DIGEST: Final = "sha256:" + "b" * 64
RULE_DIGEST: Final = "v1:" + "c" * 64


def policy(namespace: str, name: str = POLICY, **spec: object) -> Object:
    """Return a policy whose agent may list customers; keywords replace fields of `spec` by their wire names."""
    return {
        "apiVersion": API_VERSION,
        "kind": "EndpointPolicy",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"endpoint": ENDPOINT, "subjects": [subject()], "rules": [rule()], **spec},
    }


def subject(name: str = "agent", namespace: str = "agents", account: str = "crm-agent") -> Object:
    """Return one entry of `spec.subjects`."""
    return {"name": name, "serviceAccount": {"namespace": namespace, "name": account}}


def rule(name: str = "read", **fields: object) -> Object:
    """Return an Allow rule."""
    return {
        "name": name,
        "effect": "Allow",
        "subjects": ["agent"],
        "actions": ["customers.list"],
        "resources": [{"type": "customer", "ids": ["*"]}],
        **fields,
    }


def gated_rule(name: str = "export", **fields: object) -> Object:
    """Return a RequireApproval rule with one Human step."""
    approval = {"steps": [{"name": "owner", "kind": "Human", "count": 1}]}
    return rule(name, **{"effect": "RequireApproval", "actions": ["customers.export"], "approval": approval, **fields})


def settings(namespace: str = "crm", account: str = "crm-api") -> Object:
    """Return `endpointSettings` with one enforcer."""
    return {"enforcers": [{"namespace": namespace, "name": account}]}


def grant(namespace: str, name: str = "wanted", *, requester: str = "carol", **request: object) -> Object:
    """Return a grant as a person writes it by hand: PreApproved, Scope. Keywords replace fields of `spec.request`."""
    return {
        "apiVersion": API_VERSION,
        "kind": "ApprovalGrant",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {
            "request": {
                "endpoint": ENDPOINT,
                "rules": [rule_reference()],
                "requester": {"username": requester},
                "subject": {"type": "serviceAccount", "id": AGENT},
                "action": {"name": "customers.export"},
                "resource": {"type": "customer", "id": "42"},
                "binding": {"mode": "Scope"},
                "steps": [step()],
                "origin": "PreApproved",
                "pendingUntilTime": later(hours=1),
                "windowSeconds": 600,
                "maxUses": 1,
                **request,
            },
            # There from the start, so that `add /spec/reviews/-` has a list to add to.
            "reviews": [],
        },
    }


def history(namespace: str, name: str, **spec: Any) -> Object:  # noqa: ANN401 - any field
    """Return a history as the decision point writes it after the first call."""
    return {
        "apiVersion": API_VERSION,
        "kind": "EndpointHistory",
        "metadata": {"namespace": namespace, "name": name, "labels": {ENDPOINT_LABEL: ENDPOINT}},
        "spec": {
            "endpoint": ENDPOINT,
            "key": DIGEST,
            "seq": 1,
            "clock": 1_764_439_200_000,
            "lines": {"9c1f00aa55ee": {"slots": "457:1:0", "last": 1_764_439_200_000}},
            "recent": f"{'a' * 32}@1764439200000=9c1f00aa55ee:457:1:0",
            **spec,
        },
    }


def opened_grant(
    namespace: str,
    suffix: str = "wanted",
    *,
    requester: str = f"system:serviceaccount:crm:{ENDPOINT}",
    **request: object,
) -> Object:
    """Return a grant as the decision point opens it: Requested and Exact, with digest and display."""
    opened: Object = {
        "subject": {"type": "serviceAccount", "id": AGENT, "uid": "agent-uid"},
        "binding": {"mode": "Exact", "digest": DIGEST},
        "display": [{"name": "resource.id", "value": "42"}],
        "origin": "Requested",
    }
    return grant(namespace, f"{GRANT_NAME_PREFIX}{suffix}", requester=requester, **{**opened, **request})


def rule_reference(policy_name: str = POLICY, rule_name: str = "export", uid: str = "policy-uid") -> Object:
    """Return one entry of a grant's `rules`."""
    return {"policy": policy_name, "uid": uid, "rule": rule_name, "ruleDigest": RULE_DIGEST}


def step(policy_name: str = POLICY, name: str = "export.owner", **fields: object) -> Object:
    """Return one Human step of a grant that any person with the verb approve on the policy may review."""
    return {"name": f"{policy_name}.{name}", "policy": policy_name, "kind": "Human", "count": 1, **fields}


def review(of: Object, reviewer: str, *, step_name: str = STEP, **fields: object) -> Object:
    """Return an approval of a grant that is stored: it repeats the digest, or for Scope the grant's uid."""
    binding = of["spec"]["request"]["binding"].get("digest") or of["metadata"]["uid"]
    return {"reviewer": reviewer, "step": step_name, "decision": "Approve", "binding": binding, **fields}


def adding_review(entry: Object) -> list[Object]:
    """Return the JSON patch by which people review."""
    return [{"op": "add", "path": "/spec/reviews/-", "value": entry}]


def revoking(by: str, **fields: object) -> list[Object]:
    """Return the JSON patch that revokes a grant."""
    return [{"op": "add", "path": "/spec/revocation", "value": {"by": by, **fields}}]


def use_record(key: str = "first") -> Object:
    """Return one entry of `status.useRecords`."""
    return {"key": key, "time": later(), "evaluationID": f"evaluation-{key}"}


def active_status(**fields: object) -> Object:
    """Return the status of a grant that can be used."""
    return {"phase": "Active", "approvedTime": later(), "notAfterTime": later(minutes=10), **fields}


def later(**delta: float) -> str:
    """Return a time from now on as Kubernetes writes it: `later(hours=1)`, `later(minutes=-5)`."""
    return stamp(datetime.datetime.now(datetime.UTC) + datetime.timedelta(**delta))


def stamp(moment: datetime.datetime) -> str:
    """Return a moment in UTC as Kubernetes writes it, to the second."""
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def changed(of: Object, path: str, value: object) -> Object:
    """Return a copy with another value at a dotted path (`spec.rules.0.name`); `...` removes what is there."""
    out = copy.deepcopy(of)
    *way, last = (int(key) if key.isdecimal() else key for key in path.split("."))
    node: Any = out
    for key in way:
        node = node[key]
    if value is ...:
        del node[last]
    else:
        node[last] = copy.deepcopy(value)
    return out


def received(sent: Object) -> Object:
    """Return what an object is at the other end of a connection: a copy, which shares nothing with it.

    By JSON, as it travels: a definition is copied so in a tenth of the time of `copy.deepcopy`.
    """
    copied: Object = orjson.loads(orjson.dumps(sent))
    return copied


def listed(*objects: Object) -> str:
    """Return stored objects as `kubectl get -o yaml` prints several: with what the API server adds."""
    items = [
        {**one, "metadata": {**one["metadata"], "uid": f"uid-{number}", "generation": 1, "resourceVersion": "1"}}
        for number, one in enumerate(objects)
    ]
    return yaml.safe_dump({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": items})
