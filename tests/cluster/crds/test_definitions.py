"""The definitions as Kubernetes sees them: closed, with defaults, columns, names and selectors, within its budget."""

import datetime
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from bailiwick_api.accounts import Installation
from bailiwick_api.kinds.approvalgrant import ApprovalGrant
from bailiwick_api.kinds.endpointpolicy import EndpointPolicy
from bailiwick_api.kinds.meta import GROUP, VERSION
from bailiwick_api.manifests import crds
from localcluster.access import Cluster
from localcluster.rest import Rest
from support.callers import Callers
from support.full_objects import full_grant, full_policy, largest_grant, largest_policy
from support.installation import DEFINITIONS, accepted
from support.namespaces import Roles
from support.objects import (
    Object,
    changed,
    gated_rule,
    grant,
    history,
    later,
    opened_grant,
    policy,
    rule,
    settings,
    use_record,
)
from support.schemas import definitions
from support.schemas.definitions import BARE, SHIPPED, in_group

KUBECTL: Final = Path(sys.executable).with_name("kubectl")
OTHERS: Final = (crds.endpoint_data(), crds.endpoint_histories())
CRDS: Final = (
    crds.ENDPOINT_POLICIES_CRD,
    crds.APPROVAL_GRANTS_CRD,
    crds.ENDPOINT_DATA_CRD,
    crds.ENDPOINT_HISTORIES_CRD,
)


def collection(kind: str, namespace: str, group: str = GROUP) -> str:
    plural = {"EndpointPolicy": "endpointpolicies", "ApprovalGrant": "approvalgrants"}[kind]
    return f"/apis/{group}/{VERSION}/namespaces/{namespace}/{plural}"


def strictly(callers: Callers, body: Object, namespace: str, group: str = GROUP, **more: str) -> Any:  # noqa: ANN401
    path = collection(body["kind"], namespace, group)
    return callers.admin.request(
        "POST", path, body=in_group(body, group), parameters={"fieldValidation": "Strict", **more}
    )


MAPS: Final = (".properties", ".metadata", ".matchLabels", ".actionProperties", ".args")


def objects_within(node: Any, path: str = "") -> Iterator[str]:  # noqa: ANN401 - any JSON
    """Yield the path of each object in a body; the values of a map with free keys are not closed and left out."""
    if isinstance(node, dict) and not path.endswith(MAPS):
        yield path.lstrip(".")
        for key, value in node.items():
            yield from objects_within(value, f"{path}.{key}")
    if isinstance(node, list):
        for number, value in enumerate(node):
            yield from objects_within(value, f"{path}.{number}")


@pytest.mark.parametrize("name", CRDS)
def test_the_schema_is_structural_and_stored_as_shipped(name: str, callers: Callers, installed: Installation) -> None:
    stored = accepted(callers.admin.get(f"{DEFINITIONS}/{name}"))
    shipped = next(one for one in (*definitions.both(), *OTHERS) if one["metadata"]["name"] == name)
    assert stored["spec"] == shipped["spec"]
    conditions = {condition["type"]: condition["status"] for condition in stored["status"]["conditions"]}
    assert conditions["NamesAccepted"] == conditions["Established"] == "True"
    assert conditions.get("NonStructuralSchema", "False") == "False"


@pytest.mark.parametrize(
    "whole", [full_policy("nowhere"), full_grant("nowhere")], ids=["EndpointPolicy", "ApprovalGrant"]
)
def test_every_object_of_the_schema_is_closed(whole: Object, callers: Callers, variants: None, shelf: str) -> None:
    whole = changed(whole, "metadata.namespace", shelf)
    assert strictly(callers, whole, shelf, BARE, dryRun="All").message == ""
    paths = [path for path in objects_within(whole) if path]
    assert len(paths) > 10
    for path in paths:
        answer = strictly(callers, changed(whole, f"{path}.surplus", "x"), shelf, BARE, dryRun="All")
        shown = "".join(f"[{key}]" if key.isdecimal() else f".{key}" for key in path.split(".")).lstrip(".")
        assert answer.message.endswith(f'strict decoding error: unknown field "{shown}.surplus"')


def test_an_unknown_field_is_not_stored(callers: Callers, installed: Installation, namespace: str) -> None:
    body = changed(policy(namespace), "spec.rules.0.surplus", "x")
    stored = accepted(callers.admin.create(body))
    assert stored["spec"]["rules"] == [rule()]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(policy("nowhere"), id="the minimal policy"),
        pytest.param(policy("nowhere", rules=[gated_rule()]), id="a policy with approval"),
        pytest.param(full_policy("nowhere"), id="the full policy"),
        pytest.param(
            policy("nowhere", endpointSettings={**settings(), "identity": {}}), id="a policy with empty settings"
        ),
        pytest.param(
            changed(full_policy("nowhere"), "spec.endpointSettings.delegation.principalMustBeEntitled", ...),
            id="a policy that does not say whether the person must be entitled",
        ),
        pytest.param(
            changed(full_policy("nowhere"), "spec.rules.0.approval.reason", {}), id="a policy that asks for a reason"
        ),
    ],
)
def test_the_server_fills_in_what_the_models_do(body: Object, callers: Callers, variants: None, shelf: str) -> None:
    body = changed(body, "metadata", {"namespace": shelf, "name": "defaults"})
    stored = accepted(callers.admin.create(in_group(body, SHIPPED), dry_run=True))
    model = EndpointPolicy.model_validate({"spec": body["spec"]})
    assert EndpointPolicy.model_validate({"spec": stored["spec"]}) == model
    assert normal(stored["spec"]) == normal(model.spec.model_dump(mode="json", exclude_none=True))


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(grant("nowhere"), id="a grant by hand"),
        pytest.param(opened_grant("nowhere"), id="a grant as opened"),
        pytest.param(full_grant("nowhere"), id="the full grant"),
    ],
)
def test_a_grant_is_stored_as_it_was_written(body: Object, callers: Callers, variants: None, shelf: str) -> None:
    body = changed(body, "metadata", {"namespace": shelf, "name": "stored"})
    stored = accepted(callers.admin.create(in_group(body, BARE), dry_run=True))
    parts = {part: body[part] for part in ("spec", "status") if part in body}
    assert {part: stored[part] for part in parts} == parts
    dumped = ApprovalGrant.model_validate(parts).model_dump(mode="json", exclude_none=True)
    assert normal(dumped) == normal(parts)


def test_the_default_of_each_field_is_the_safe_one(callers: Callers, installed: Installation, namespace: str) -> None:
    body = policy(
        namespace,
        rules=[gated_rule(approval={"steps": [{"name": "owner", "kind": "Human"}], "reason": {}, "limits": {}})],
    )
    body["spec"]["endpointSettings"] = {"enforcers": [{"namespace": "crm", "name": "crm-api"}], "identity": {}}
    stored = accepted(callers.admin.create(body, dry_run=True))["spec"]
    assert (stored["mode"], stored["suspend"]) == ("Enforce", False)
    assert stored["endpointSettings"]["identity"] == {"verification": "Token"}
    assert stored["rules"][0]["approval"] == {
        "binding": "Exact",
        "allowUnseen": False,
        "presentation": "Lookup",
        "open": "OnRequest",
        "steps": [{"name": "owner", "kind": "Human", "count": 1}],
        "pendingSeconds": 3600,
        "windowSeconds": 600,
        "maxUses": 1,
        "reason": {"required": True},
        "limits": {"pendingPerSubject": 5, "requestsPerHour": 20, "denyCooldownSeconds": 900},
    }


def test_the_largest_policy_is_accepted(callers: Callers, installed: Installation, namespace: str) -> None:
    assert callers.admin.create(largest_policy(namespace)).message == ""


def test_the_largest_grant_is_accepted_reviewed_twenty_times_and_used_fifty_times(
    callers: Callers, variants: None, shelf: str
) -> None:
    body = in_group(largest_grant(shelf), SHIPPED)
    entry = {
        "step": "s" * 379 + "00",
        "group": "g" * 253,
        "decision": "Approve",
        "binding": "b" * 80,
        "reason": "r" * 1024,
        "signature": "s" * 4096,
    }
    reviewers = ["r" * 510 + f"{number:02}" for number in range(20)]
    body["spec"]["reviews"] = [{"reviewer": name, "reviewerUID": "u" * 128, **entry} for name in reviewers[:19]]
    stored = accepted(callers.admin.create(body))
    last = {"reviewer": reviewers[19], "reviewerUID": "u" * 128, **entry}
    stored = accepted(callers.admin.patch(stored, [{"op": "add", "path": "/spec/reviews/-", "value": last}], "json"))
    records = [{**use_record("k" * 78 + f"{number:02}"), "evaluationID": "e" * 64} for number in range(50)]
    judged = {
        "counted": [{"reviewer": name} for name in reviewers],
        "voided": [{"reviewer": "v" * 510 + f"{n:02}", "message": "m" * 1024} for n in range(20)],
    }
    times = {"approvedTime": later(), "notAfterTime": later(minutes=10)}
    for uses in (49, 50):
        status = {"phase": "Active", **times, **judged, "uses": uses, "useRecords": records[:uses]}
        stored = accepted(callers.admin.replace({**stored, "status": status}, "status"))


def test_the_largest_grant_passes_the_guards_with_twenty_signed_reviews(
    callers: Callers, installed: Installation, namespace: str, roles: Roles
) -> None:
    roles.bind("bailiwick-request", "carol")
    roles.bind("bailiwick-approve", "dave")
    roles.bind("bailiwick-approve", "group:crm-owners")
    stored = accepted(callers("carol").create(largest_grant(namespace)))
    resolved = {"subjectUID": "u" * 128, "rules": stored["spec"]["request"]["rules"]}
    accepted(callers(installed.operator).patch(stored, {"status": {"resolved": resolved}}, "merge", "status"))
    entry = {"step": "s" * 379 + "19", "group": "crm-owners", "decision": "Approve", "reviewer": "dave"}
    review = {**entry, "binding": stored["metadata"]["uid"], "signature": "s" * 4096, "reason": "r" * 1024}
    for number in range(19):
        name = "r" * 510 + f"{number:02}"
        with acting(callers, name, "crm-owners") as client:
            added: list[Any] = [{"op": "add", "path": "/spec/reviews", "value": []}] if number == 0 else []
            added.append({"op": "add", "path": "/spec/reviews/-", "value": {**review, "reviewer": name}})
            assert client.patch(stored, added, "json").message == ""
    for change in (
        {"path": "/spec/reviews/-", "value": review},
        {"path": "/spec/revocation", "value": {"by": "dave", "reason": "r" * 1024}},
    ):
        assert callers("dave").patch(stored, [{"op": "add", **change}], "json").message == ""


@contextmanager
def acting(callers: Callers, name: str, *groups: str) -> Iterator[Rest]:
    """Call as somebody whom the administrator impersonates."""
    login = callers.admin.login
    headers = {"Impersonate-User": (name,), "Impersonate-Group": groups}
    client = Rest(type(login)(login.server, login.authority, token=login.token, acting_as=headers))
    try:
        yield client
    finally:
        client.close()


def printed(cluster: Cluster, *words: str) -> list[str]:
    command = [str(KUBECTL), "--kubeconfig", str(cluster.kubeconfig()), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return [line.rstrip() for line in done.stdout.splitlines()]


def kubectl(cluster: Cluster, *words: str) -> list[list[str]]:
    # Columns stand at least three blanks apart, and no title or value holds as many.
    return [[word.strip() for word in line.split("   ") if word.strip()] for line in printed(cluster, *words)]


def test_kubectl_shows_a_policy_in_columns_by_its_short_name(
    cluster: Cluster, callers: Callers, installed: Installation, namespace: str
) -> None:
    stored = accepted(callers.admin.create(policy(namespace, mode="Audit", expireTime="2999-01-01T00:00:00Z")))
    condition = {"status": "True", "reason": "Seen", "message": "two rules", "lastTransitionTime": later()}
    status = {
        "ruleCount": 12,
        "gatedActionCount": 2,
        "gatedActions": ["customers.delete", "customers.export"],
        "usage": {"unusedSince": later(days=-40), "lastUsedTime": later(days=-41), "observedSince": later(days=-90)},
        "shadow": {"observedGeneration": 1, "compared": 5000, "different": 20},
        "conditions": [{"type": kind, **condition} for kind in ("Accepted", "Ready")],
    }
    accepted(callers.admin.patch(stored, {"status": status}, "merge", "status"))
    titles, row = kubectl(cluster, "-n", namespace, "get", "epol")
    states = ["MODE", "SUSPENDED", "ACCEPTED", "READY"]
    assert titles == ["NAME", "ENDPOINT", *states, "RULES", "GATED", "UNUSED", "EXPIRES", "AGE"]
    assert row[:9] == ["crm-agent", "crm-api", "Audit", "false", "True", "True", "12", "2", "40d"]
    # With the longest that is usual, and a date.
    assert max(map(len, printed(cluster, "-n", namespace, "get", "epol"))) <= 120
    wide, row = kubectl(cluster, "-n", namespace, "get", "epol", "-o", "wide")
    found = dict(zip(wide, row, strict=True))
    assert (found["REASON"], found["LAST USED"], found["COMPARED"], found["DIFFERENT"]) == (
        *("two rules", "41d"),
        *("5000", "20"),
    )
    assert found["GATED ACTIONS"] == '["customers.delete","customers.export"]'


def test_kubectl_shows_a_grant_in_columns_by_its_short_name(
    cluster: Cluster, callers: Callers, installed: Installation, namespace: str, roles: Roles
) -> None:
    accepted(callers(installed.webhook).create(opened_grant(namespace, reason="INC-4412", maxUses=2)))
    path = f"{collection('ApprovalGrant', namespace)}/agr-wanted"
    status = {"phase": "Active", "approvedTime": later(), "notAfterTime": "2999-01-01T00:00:00Z"}
    accepted(callers(installed.operator).patch(path, {"status": status}, "merge", "status"))
    stored = accepted(callers.admin.get(path))
    accepted(
        callers(installed.webhook).replace(
            {**stored, "status": status | {"uses": 1, "useRecords": [use_record()]}}, "status"
        )
    )
    titles, row = kubectl(cluster, "-n", namespace, "get", "agr")
    assert titles == ["NAME", "SUBJECT", "ACTION", "RESOURCE", "PHASE", "USES", "ALLOWED", "UNTIL", "AGE"]
    assert row[:7] == [
        "agr-wanted",
        "system:serviceaccount:agents:crm-agent",
        "customers.export",
        "42",
        "Active",
        "1",
        "2",
    ]
    wide, row = kubectl(cluster, "-n", namespace, "get", "agr", "-o", "wide")
    request = stored["spec"]["request"]
    shown = dict(zip(wide, row, strict=True))
    assert (shown["DIGEST"], shown["REQUESTER"]) == (request["binding"]["digest"], request["requester"]["username"])
    assert shown["REASON"] == "INC-4412"


def test_kubectl_shows_a_history_in_columns_by_its_short_name(
    cluster: Cluster, callers: Callers, installed: Installation, namespace: str
) -> None:
    accepted(callers(installed.webhook).create(history(namespace, "h-shown", seq=118)))
    titles, row = kubectl(cluster, "-n", namespace, "get", "ehist")
    assert titles == ["NAME", "ENDPOINT", "SEQ", "AGE"]
    assert row[:3] == ["h-shown", "crm-api", "118"]
    # There can be thousands of them.
    assert "endpointhistories" not in str(printed(cluster, "-n", namespace, "get", "bailiwick", "-o", "name"))


def test_kubectl_lists_both_kinds_under_one_word(
    cluster: Cluster, callers: Callers, installed: Installation, namespace: str
) -> None:
    accepted(callers.admin.create(policy(namespace)))
    accepted(callers(installed.webhook).create(opened_grant(namespace)))
    found = kubectl(cluster, "-n", namespace, "get", "bailiwick", "-o", "name")
    assert found == [["approvalgrant.bailiwick.dev/agr-wanted"], ["endpointpolicy.bailiwick.dev/crm-agent"]]


SELECTABLE: Final = [
    ("EndpointPolicy", "spec.endpoint", "crm-api", "other-api"),
    ("EndpointPolicy", "spec.mode", "Audit", "Enforce"),
    ("ApprovalGrant", "status.phase", "Active", "Pending"),
    ("ApprovalGrant", "spec.request.endpoint", "crm-api", "other-api"),
    ("ApprovalGrant", "spec.request.subject.id", "system:serviceaccount:agents:crm-agent", "other"),
    ("ApprovalGrant", "spec.request.binding.digest", "sha256:" + "a" * 64, "sha256:" + "b" * 64),
]


@pytest.mark.parametrize(
    ("kind", "field", "held", "other"), SELECTABLE, ids=[f"{kind} by {field}" for kind, field, _, _ in SELECTABLE]
)
def test_objects_are_selected_by_a_field(
    kind: str, field: str, held: str, other: str, callers: Callers, variants: None, namespace: str
) -> None:
    for name, value in (("one", held), ("two", other)):
        body = full_policy(namespace, name) if kind == "EndpointPolicy" else full_grant(namespace, name)
        accepted(callers.admin.create(in_group(changed(body, field, value), BARE)))
    found = accepted(callers.admin.get(collection(kind, namespace, BARE), fieldSelector=f"{field}={held}"))
    assert [item["metadata"]["name"] for item in found["items"]] == ["one"]


def test_every_selectable_field_is_tried() -> None:
    shipped = [
        (one["spec"]["names"]["kind"], field["jsonPath"].removeprefix("."))
        for one in definitions.both()
        for field in one["spec"]["versions"][0]["selectableFields"]
    ]
    assert shipped == [(kind, field) for kind, field, _, _ in SELECTABLE]


def normal(node: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return JSON with every time in one spelling."""
    if isinstance(node, dict):
        return {
            key: _normal_time(value) if key.endswith(("Time", "time")) else normal(value) for key, value in node.items()
        }
    return [normal(item) for item in node] if isinstance(node, list) else node


def _normal_time(text: str) -> str:
    return datetime.datetime.fromisoformat(text).astimezone(datetime.UTC).isoformat()
