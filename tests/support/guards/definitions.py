"""What somebody does who may change CustomResourceDefinitions: a second definition in the group, and other names.

Holds: the attacker is an administrator. Neither attack changes the spec of a definition of ours. The guard of
definitions refuses both, so it is lifted first.
"""

from datetime import UTC, datetime
from typing import Any, Final

from bailiwick_api.kinds.meta import APPROVAL_GRANTS, ENDPOINT_DATA, GROUP, VERSION
from bailiwick_api.manifests.crds import APPROVAL_GRANTS_CRD, ENDPOINT_DATA_CRD, ENDPOINT_POLICIES_CRD, endpoint_data
from bailiwick_api.manifests.definitionguard import FOREIGN
from bailiwick_api.times import stamp
from bailiwick_engine.approval.definitions import PATH
from localcluster.rest import Answer, Rest
from support.installation import accepted, await_removed
from support.objects import Object
from support.waits import until, until_ok

SECOND: Final = "evils"
_THIRD: Final = "thirds"
GRANTS_DEFINITION: Final = f"{PATH}/{APPROVAL_GRANTS_CRD}"
OTHERS: Final = tuple(f"{PATH}/{plural}.{GROUP}" for plural in (SECOND, _THIRD))
SECOND_DEFINITION: Final = OTHERS[0]


def other_definition(plural: str, kind: str, short: tuple[str, ...] = (), **version: Any) -> Object:  # noqa: ANN401
    """Return a definition in the group that takes everything."""
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    names = {"plural": plural, "singular": plural[:-1], "kind": kind, "listKind": f"{kind}List", "shortNames": [*short]}
    served = {"name": VERSION, "served": True, "storage": True, "schema": {"openAPIV3Schema": anything}, **version}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {"group": GROUP, "scope": "Namespaced", "names": names, "versions": [served]},
    }


def second_definition(**version: Any) -> Object:  # noqa: ANN401 - any field
    """Return one whose names conflict with another's, so that the API server leaves them as they are written."""
    return other_definition(SECOND, "Third", **version)


class Definitions:
    """The definitions of the group, to be tampered with by an administrator who has lifted the guard over them."""

    def __init__(self, admin: Rest) -> None:
        self._admin = admin

    def await_unguarded(self) -> None:
        """Wait until nothing refuses a definition of others any more."""
        until_ok(lambda: self._admin.create(second_definition(), dry_run=True), "no guard looks at definitions", 30)

    def await_guarded(self) -> None:
        """Wait until a definition of others is refused again."""
        until(lambda: FOREIGN in self._admin.create(second_definition(), dry_run=True).message, "it is guarded", 30)

    def rename_grants(self) -> Answer:
        """Write that the definition of grants is served by another plural, once."""
        return self._admin.patch(
            GRANTS_DEFINITION, {"status": {"acceptedNames": {"plural": "foos"}}}, "merge", "status"
        )

    def keep_grants_renamed(self) -> None:
        """Have another definition claim the plural, so that it stays; no guard looks at `approvalgrants` then."""
        accepted(self._admin.create(other_definition(SECOND, "Evil", (APPROVAL_GRANTS,))))
        until(lambda: self._accepted(SECOND_DEFINITION).get("kind") == "Evil", "its names are accepted")
        claim = {"status": {"acceptedNames": {"shortNames": [APPROVAL_GRANTS]}}}

        def renamed() -> bool:
            accepted(self.rename_grants())
            accepted(self._admin.patch(SECOND_DEFINITION, claim, "merge", "status"))
            return all(self._accepted(GRANTS_DEFINITION)["plural"] == "foos" for _ in range(20))

        until(renamed, "the definition of grants is served by another plural")

    def reach_grants(self, **version: Any) -> None:  # noqa: ANN401 - any field
        """Point a second definition, without rules, at the storage of grants."""
        accepted(self._admin.create(other_definition(_THIRD, "Third", (SECOND,))))
        until(lambda: self._accepted(OTHERS[1]).get("kind") == "Third", "its names are accepted")
        accepted(self._admin.create(second_definition(**version)))
        until(lambda: self._conditions(SECOND_DEFINITION), "the API server has looked at it")
        accepted(self.redirect())

    def redirect(self) -> Answer:
        """Write that the second definition is served by the names of grants, and established."""
        status = _pointed(self._status(SECOND_DEFINITION), APPROVAL_GRANTS, "ApprovalGrant")
        return self._admin.patch(SECOND_DEFINITION, {"status": status}, "merge", "status")

    def second_path(self, namespace: str, name: str) -> str:
        """Return the second path of a grant; waits until it leads there."""
        path = f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{SECOND}/{name}"
        until_ok(lambda: self._admin.get(path), "the grant is read by the second definition", 30)
        return path

    def remove_others(self) -> None:
        """Remove both, each under its own names: the API server deletes all objects that a definition reaches."""
        for path in OTHERS:
            if (stored := self._admin.get(path)).ok:
                names = {"status": {"acceptedNames": stored.body["spec"]["names"]}}
                accepted(self._admin.patch(path, names, "merge", "status"))
                await_own_objects(self._admin, path)
        for path in OTHERS:
            self._admin.delete(path)
        await_removed(self._admin, *(path.rpartition("/")[2] for path in OTHERS))
        until(lambda: self._accepted(GRANTS_DEFINITION)["plural"] == APPROVAL_GRANTS, "grants are under their name", 30)

    def _accepted(self, path: str) -> Object:
        names: Object = self._status(path).get("acceptedNames") or {}
        return names

    def _conditions(self, path: str) -> list[Object]:
        conditions: list[Object] = self._status(path).get("conditions") or []
        return conditions

    def _status(self, path: str) -> Object:
        status: Object = accepted(self._admin.get(path)).get("status") or {}
        return status


class OwnDefinition:
    """The definition of data, to be made one that leads to other objects of ours. Nobody guards the objects of its own.

    Its attacker gives its name to the definition of policies first. So its names conflict when it is created anew, and
    the API server leaves the ones that are written into its status.
    """

    def __init__(self, admin: Rest) -> None:
        self._admin = admin
        self._path = f"{PATH}/{ENDPOINT_DATA_CRD}"
        self._policies = f"{PATH}/{ENDPOINT_POLICIES_CRD}"

    def point_at_grants(self) -> None:
        """Have it lead to grants."""
        self.create_anew()
        accepted(self.redirect())

    def create_anew(self) -> None:
        """Create it anew, without a schema and with names that conflict."""
        self.remove()
        self._claim(["epol", ENDPOINT_DATA])
        alias = other_definition(ENDPOINT_DATA, "EndpointPolicy")
        alias["spec"]["names"]["singular"] = "endpointdatum"
        accepted(self._admin.create(alias))
        until(lambda: self._status(self._path).get("conditions"), "the API server has looked at it")

    def redirect(self, plural: str = APPROVAL_GRANTS, kind: str = "ApprovalGrant") -> Answer:
        """Write that it is served by the names of another, and established."""
        status = _pointed(self._status(self._path), plural, kind)
        return self._admin.patch(self._path, {"status": status}, "merge", "status")

    def delete(self) -> Answer:
        """Delete it, by which the API server deletes all objects that it leads to."""
        return self._admin.delete(self._path)

    def repair(self) -> Answer:
        """Write that it is served by the names of its spec."""
        names = accepted(self._admin.get(self._path))["spec"]["names"]
        return self._admin.patch(self._path, {"status": {"acceptedNames": names}}, "merge", "status")

    def change_status(self) -> Answer:
        """Write something else into its status."""
        now = stamp(datetime.now(UTC))
        entry = {"type": "Checked", "status": "True", "reason": "Test", "message": "", "lastTransitionTime": now}
        conditions = [*(self._status(self._path).get("conditions") or ()), entry]
        return self._admin.patch(self._path, {"status": {"conditions": conditions}}, "merge", "status")

    def path(self, namespace: str, name: str) -> str:
        """Return the second path of an object; waits until it leads there."""
        path = f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{ENDPOINT_DATA}/{name}"
        until_ok(lambda: self._admin.get(path), "the object is read by the other definition", 30)
        return path

    def remove(self) -> None:
        """Give it its names back if it is there, and delete it with every object of its own."""
        if self._admin.get(self._path).ok:
            accepted(self.repair())
            await_own_objects(self._admin, self._path)
            accepted(self.delete())
        await_removed(self._admin, ENDPOINT_DATA_CRD)

    def restore(self) -> None:
        """Have the definition of data and that of policies as they are shipped."""
        self.remove()
        self._claim(["epol"])
        accepted(self._admin.create(endpoint_data()))
        until(lambda: self._status(self._path).get("acceptedNames", {}).get("kind") == "EndpointData", "it is served")

    def _claim(self, short: list[str]) -> None:
        accepted(self._admin.patch(self._policies, {"spec": {"names": {"shortNames": short}}}, "merge"))
        until(lambda: self._status(self._policies)["acceptedNames"].get("shortNames") == short, "it has these names")

    def _status(self, path: str) -> Object:
        status: Object = accepted(self._admin.get(path)).get("status") or {}
        return status


def await_own_objects(admin: Rest, path: str) -> None:
    """Wait until a definition leads to the objects of its own, if it is served.

    The API server deletes the objects of a definition as it has heard of it, and hears of new names after they are
    written: deleted before, it would take the objects of another with it.
    """
    spec: Object = accepted(admin.get(path))["spec"]
    there = f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}"

    def itself() -> bool:
        listed = admin.get(there)
        return listed.status == 404 or listed.body.get("kind") == spec["names"]["listKind"]

    until(itself, "the definition leads to objects of its own", 30)


def _pointed(status: Object, plural: str, kind: str) -> Object:
    """Return the status of an established definition that is served by other names."""
    conditions = [one for one in status.get("conditions") or [] if one["type"] != "Established"]
    established = {"type": "Established", "status": "True", "reason": "Test", "message": ""}
    conditions.append({**established, "lastTransitionTime": stamp(datetime.now(UTC))})
    names = {"plural": plural, "singular": "evil", "kind": kind, "listKind": f"{kind}List"}
    return {"acceptedNames": names, "conditions": conditions}
