"""Putting Bailiwick's manifests into a cluster, and seeing that they are in force.

Holds: what returns from here is in force, not only stored: definitions are established, guards refuse, roles allow.
"""

import datetime
import time
from collections.abc import Iterable
from functools import partial
from typing import Final

from requests import codes

from bailiwick_api.accounts import CANARY_GRANT, Installation
from bailiwick_api.kinds.meta import APPROVAL_GRANTS, GROUP, VERSION
from bailiwick_api.manifests import canary, generate
from bailiwick_api.manifests.canary import Probe
from localcluster.rest import Answer, Rest
from support.callers import Callers
from support.objects import Object
from support.waits import until, until_ok

MANAGER = "bailiwick-tests"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_TOUCHED: Final = "bailiwick-tests/touched"


def install(callers: Callers, installation: Installation) -> None:
    """Apply all generated manifests of an installation and wait until its guards refuse the canary probes."""
    documents = [document for file in generate.manifests(installation).values() for document in file]
    apply(callers.admin, documents)
    callers.forget(installation.operator)
    await_guards(callers, installation)


def apply(admin: Rest, documents: Iterable[Object]) -> None:
    """Apply documents, namespaces and definitions first; returns when the definitions are served."""
    # A stable sort: what stands in a namespace comes after it, everything else as it was given.
    ordered = sorted(documents, key=lambda document: document["kind"] not in {"Namespace", "CustomResourceDefinition"})
    for document in ordered:
        accepted(admin.apply(document, MANAGER, force=True))
    for document in ordered:
        if document["kind"] == "CustomResourceDefinition":
            await_served(admin, document)


def await_served(admin: Rest, definition: Object) -> None:
    """Wait until objects of a definition can be listed."""
    spec = definition["spec"]
    path = f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}"
    until_ok(lambda: admin.get(path), f"{definition['metadata']['name']} is served")


def await_removed(admin: Rest, *names: str) -> None:
    """Wait until definitions that were deleted are gone.

    The API server deletes their objects first. Where it has just begun to serve them by other names, it may give up
    with "storage is (re)initializing", and it may miss its own second try: the version that it has read is older than
    that message, and a change of nothing but that condition wakes it only minutes later. Any other change does at once.
    """
    pending = [f"{DEFINITIONS}/{name}" for name in names]
    since, touched = time.monotonic(), 0

    def are_gone() -> object:
        nonlocal touched
        pending[:] = [path for path in pending if admin.get(path).status != codes.not_found]
        if (second := int(time.monotonic() - since)) > touched:
            touched = second
            for path in pending:
                admin.patch(path, {"metadata": {"annotations": {_TOUCHED: f"{second}"}}}, "merge")
        return not pending

    until(are_gone, f"{', '.join(names)} are gone")


def await_guards(callers: Callers, installation: Installation) -> None:
    """Wait until each guard refuses its canary probe with its own message."""
    operator, now = callers(installation.operator), datetime.datetime.now(datetime.UTC)
    grants = f"/apis/{GROUP}/{VERSION}/namespaces/{installation.namespace}/{APPROVAL_GRANTS}"
    # Made anew: on a cluster that lives longer than one run, the old one may have passed its time.
    until(lambda: operator.create(canary.canary(installation, now)).status in {201, 409}, "the canary grant is there")
    for probe in canary.probes(installation, now):
        until(partial(_refused, operator, f"{grants}/{CANARY_GRANT}", probe), f"{probe.guard} refuses its probe")


def accepted(answer: Answer) -> Object:
    """Return the body of an answer that must be a success; an `AssertionError` has the server's words."""
    assert answer.ok, f"{answer.status} {answer.message}"
    return answer.body


def _refused(operator: Rest, path: str, probe: Probe) -> bool:
    return probe.refusal in _ask(operator, path, probe).message


def _ask(operator: Rest, path: str, probe: Probe) -> Answer:
    match probe.verb:
        case "create" | "create-history":
            return operator.create(probe.body, dry_run=True)
        case "patch":
            return operator.patch(path, probe.body, "json", dry_run=True)
        case "patch-status":
            return operator.patch(path, probe.body, "json", "status", dry_run=True)
        case "delete":
            return operator.delete(path, dry_run=True)
        case "apply-definition":
            return operator.apply(probe.body, MANAGER, dry_run=True)
