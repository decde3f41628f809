"""What somebody does who may change admission policies and definitions for a moment, and how it is put back.

Holds: every way out of force that the API server offers is in `ATTACKS`; each leaves the guard present by name, or
takes it away whole.
"""

import copy
from collections.abc import Callable
from typing import Any, Final

from bailiwick_api.accounts import GUARD_CONFIG_MAP, Installation
from bailiwick_api.kinds.meta import API_VERSION, APPROVAL_GRANTS
from bailiwick_api.manifests.crds import APPROVAL_GRANTS_CRD
from bailiwick_api.manifests.guards import NAMES, REVIEW
from bailiwick_engine.approval import apiroutes
from bailiwick_engine.approval.fingerprint import fingerprint, paths, shipped_fingerprint
from localcluster.rest import Rest
from support.callers import Callers
from support.installation import accepted, await_guards
from support.objects import Object
from support.waits import until

ADMISSION: Final = "/apis/admissionregistration.k8s.io/v1"
_POLICIES: Final = f"{ADMISSION}/validatingadmissionpolicies"
_BINDINGS: Final = f"{ADMISSION}/validatingadmissionpolicybindings"
_ELSEWHERE: Final = {"matchLabels": {"guarded.bailiwick.test": "yes"}}


class Guards:
    """Takes the guards out of force and puts them back."""

    def __init__(self, callers: Callers, installed: Installation) -> None:
        self._admin = callers.admin
        self._callers = callers
        self._installed = installed

    def loosen(self, *names: str) -> None:
        """Let these guards audit only; a moment later they let everything through."""
        for name in names or NAMES:
            change(self._admin, f"{_BINDINGS}/{name}", {"validationActions": ["Audit"]})

    def tighten(self, *names: str) -> None:
        """Let these guards refuse again; a moment later they do. Nothing else is put back."""
        for name in names or NAMES:
            change(self._admin, f"{_BINDINGS}/{name}", {"validationActions": ["Deny"]})

    def loosen_definition(self) -> None:
        """Take the rules off `spec.request`, so that it is no longer immutable."""
        path = next(path for path in paths(self._installed) if path.endswith(APPROVAL_GRANTS_CRD))
        definition = accepted(self._admin.get(path))
        schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        del schema["properties"]["spec"]["properties"]["request"]["x-kubernetes-validations"]
        accepted(self._admin.replace(definition))

    def remove(self, *names: str) -> None:
        """Remove these guards, else all of them: policies and bindings."""
        for name in names or NAMES:
            for place in (_BINDINGS, _POLICIES):
                accepted(self._admin.delete(f"{place}/{name}"))

    def restore(self) -> None:
        """Put them back as shipped, and return when they refuse again."""
        self.put_back()
        await_guards(self._callers, self._installed)

    def put_back(self) -> None:
        """Put them back as shipped, field by field the same; they are in force a moment later."""
        for path, document in zip(paths(self._installed), shipped_fingerprint(self._installed), strict=True):
            # Not by apply: what another manager added would stay beside what is ours.
            stored = self._admin.get(path)
            if stored.ok:
                accepted(self._admin.replace({**stored.body, "spec": copy.deepcopy(document["spec"])}))
            else:
                accepted(self._admin.create(document))

    def fit_record(self) -> None:
        """Write the record of proofs as an operator would that had just proven the guards as they are stored now."""
        stored = [accepted(self._admin.get(path)) for path in paths(self._installed)]
        version = accepted(self._admin.get(f"/apis/{API_VERSION}/{APPROVAL_GRANTS}"))["metadata"]["resourceVersion"]
        found = fingerprint([*stored, *routes(self._admin)])
        data = {"data": {"fingerprint": found, "resourceVersion": version}}
        accepted(self._admin.patch(record_path(self._installed), data, "merge"))

    def await_recorded(self) -> None:
        """Wait until an operator has recorded the guards as they are stored now."""
        until(self._recorded, "the guards are recorded as they are")

    def _recorded(self) -> bool:
        stored = [accepted(self._admin.get(path)) for path in paths(self._installed)]
        config_map = self._admin.get(record_path(self._installed))
        return config_map.ok and config_map.body["data"]["fingerprint"] == fingerprint([*stored, *routes(self._admin)])


def routes(admin: Rest) -> list[Object]:
    """Return the APIServices that the fingerprint covers, as they are stored."""
    items = accepted(admin.get(apiroutes.PATH))["items"]
    return [{**item, "kind": apiroutes.KIND} for item in items if apiroutes.decides(item["metadata"]["name"])]


def record_path(installed: Installation) -> str:
    """Return the path of the record of proofs."""
    return f"/api/v1/namespaces/{installed.namespace}/configmaps/{GUARD_CONFIG_MAP}"


def change(admin: Rest, path: str, fields: Object) -> None:
    """Set fields of a spec; lists as a whole."""
    accepted(admin.patch(path, {"spec": fields}))


def _policy(**fields: Any) -> Callable[[Rest], None]:  # noqa: ANN401 - any field
    return lambda admin: change(admin, f"{_POLICIES}/{REVIEW}", fields)


def _binding(**fields: Any) -> Callable[[Rest], None]:  # noqa: ANN401 - any field
    return lambda admin: change(admin, f"{_BINDINGS}/{REVIEW}", fields)


def _matching(**fields: Any) -> Callable[[Rest], None]:  # noqa: ANN401 - any field
    return _policy(matchConstraints=fields)


def _deleted(place: str) -> Callable[[Rest], None]:
    def act(admin: Rest) -> None:
        accepted(admin.delete(f"{place}/{REVIEW}"))

    return act


def _rule(admin: Rest, **fields: Any) -> None:  # noqa: ANN401 - any field
    found = accepted(admin.get(f"{_POLICIES}/{REVIEW}"))["spec"]["matchConstraints"]["resourceRules"][0]
    change(admin, f"{_POLICIES}/{REVIEW}", {"matchConstraints": {"resourceRules": [{**found, **fields}]}})


def _parameters(admin: Rest) -> None:
    """Make it depend on a parameter that is never there: where it is not, the guard says nothing."""
    change(admin, f"{_POLICIES}/{REVIEW}", {"paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}})
    nothing = {"name": "nothing", "namespace": "default", "parameterNotFoundAction": "Allow"}
    change(admin, f"{_BINDINGS}/{REVIEW}", {"paramRef": nothing})


def _validations(changed: Callable[[Object], Object]) -> Callable[[Rest], None]:
    def act(admin: Rest) -> None:
        found = accepted(admin.get(f"{_POLICIES}/{REVIEW}"))["spec"]["validations"]
        change(admin, f"{_POLICIES}/{REVIEW}", {"validations": [changed(entry) for entry in found]})

    return act


def _failing_open(admin: Rest) -> None:
    """Let every expression fail, and failures pass."""
    _validations(lambda entry: {**entry, "expression": "[1][size(object.metadata.name)] == 1"})(admin)
    change(admin, f"{_POLICIES}/{REVIEW}", {"failurePolicy": "Ignore"})


# What takes the guard of reviews out of force, so that a review can be forged.
OPENING: Final[dict[str, Callable[[Rest], None]]] = {
    "the binding audits": _binding(validationActions=["Audit"]),
    "the binding warns": _binding(validationActions=["Warn"]),
    "the binding is deleted": _deleted(_BINDINGS),
    "the binding is of other namespaces": _binding(matchResources={"namespaceSelector": _ELSEWHERE}),
    "the binding is of other objects": _binding(matchResources={"objectSelector": _ELSEWHERE}),
    "the policy is deleted": _deleted(_POLICIES),
    "the policy is of other namespaces": _matching(namespaceSelector=_ELSEWHERE),
    "the policy is of other objects": _matching(objectSelector=_ELSEWHERE),
    "the policy is of other operations": lambda admin: _rule(admin, operations=["CREATE"]),
    "the policy is of another resource": lambda admin: _rule(admin, resources=["approvalgrants/status"]),
    "the policy leaves grants out": _matching(
        excludeResourceRules=[
            {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"], "scope": "*"}
        ]
    ),
    "the policy is for nobody": _policy(matchConditions=[{"name": "nobody", "expression": "false"}]),
    "the policy asks for a parameter": _parameters,
    "the policy is always content": _validations(lambda entry: {**entry, "expression": "true"}),
    "the policy fails open": _failing_open,
}
# What forges no review by itself, and is another guard all the same.
OTHER: Final[dict[str, Callable[[Rest], None]]] = {
    "a message is another": _validations(lambda entry: {**entry, "message": f"{entry['message']}!"}),
    "failures are ignored": _policy(failurePolicy="Ignore"),
    "the binding warns besides": _binding(validationActions=["Deny", "Audit"]),
    "a variable more": lambda admin: change(
        admin,
        f"{_POLICIES}/{REVIEW}",
        {
            "variables": [
                *accepted(admin.get(f"{_POLICIES}/{REVIEW}"))["spec"]["variables"],
                {"name": "more", "expression": "true"},
            ]
        },
    ),
}
