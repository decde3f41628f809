"""AdmissionReviews as the API server sends them.

Holds: every builder returns new dicts. `tests/contract/adapters/admission` has one that a real API server sent.
"""

import json
from typing import Any, Final

from support.objects import Object, policy

UID: Final = "0df28fbd-5f5f-11e8-bc74-36e6bb280816"
VERSION: Final = "admission.k8s.io/v1"


def review(new: Object | None, old: Object | None = None, **request: object) -> Object:
    """Return a review of a policy that is made, changed (both), or deleted (only `old`)."""
    some: Object = new or old or {}
    operation = "DELETE" if new is None else "CREATE" if old is None else "UPDATE"
    version = str(some.get("apiVersion", "")).rpartition("/")[2]
    resource = {"group": "bailiwick.dev", "version": version, "resource": "endpointpolicies"}
    kind = {"group": "bailiwick.dev", "version": version, "kind": some.get("kind")}
    return {
        "kind": "AdmissionReview",
        "apiVersion": VERSION,
        "request": {
            "uid": UID,
            "kind": kind,
            "resource": resource,
            "requestKind": kind,
            "requestResource": resource,
            "name": some["metadata"]["name"],
            "namespace": some["metadata"]["namespace"],
            "operation": operation,
            "userInfo": {"username": "carol", "groups": ["system:authenticated"]},
            "object": new,
            "oldObject": old,
            "dryRun": False,
            "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
            **request,
        },
    }


def sent(new: Object | None, old: Object | None = None, **request: object) -> bytes:
    """Return a review as bytes."""
    return json.dumps(review(new, old, **request)).encode()


def large(rules: int, conditions: int, length: int, namespace: str = "crm") -> Object:
    """Return a policy of so many rules, each with so many conditions of about so many characters, no two alike."""
    made: list[Any] = []
    for number in range(rules):
        texts = []
        for place in range(conditions):
            text, count = "", 0
            while len(text) < length:
                text += f"context.a{number * 100_000 + place * 1000 + count} == 'x' || "
                count += 1
            texts.append({"name": f"c{place}", "expression": f"{text}true"})
        made.append(
            {
                "name": f"r{number}",
                "effect": "Allow",
                "subjects": ["agent"],
                "actions": [f"customers.a{number}"],
                "resources": [{"type": "customer", "ids": ["*"]}],
                "conditions": texts,
            }
        )
    return policy(namespace, "large", rules=made)
