"""A release of the chart on a real cluster: its namespace, under the restricted profile, and all that is rendered.

Holds: objects are applied by server-side apply under one field manager and without force, as GitOps does it, so that
whoever else writes to them shows as a conflict.
"""

from dataclasses import dataclass

from bailiwick_api.accounts import Installation
from localcluster.rest import Answer, Rest
from support import charts
from support.callers import Callers
from support.charts import Rendering, Values
from support.installation import accepted, await_guards, await_served
from support.objects import Object

MANAGER = "argocd-controller"
# In this order Helm and Argo CD apply them; everything else after it, and admission last.
_FIRST = ("CustomResourceDefinition", "ServiceAccount", "Secret", "ConfigMap", "ClusterRole", "ClusterRoleBinding")
_LAST = "ValidatingWebhookConfiguration"
RESTRICTED = {
    f"pod-security.kubernetes.io/{mode}": value
    for mode, value in (("enforce", "restricted"), ("enforce-version", "latest"), ("warn", "restricted"))
}


@dataclass(frozen=True, slots=True)
class Release:
    """What stands in the cluster."""

    callers: Callers
    rendering: Rendering
    installation: Installation

    def again(self) -> list[Answer]:
        """Apply everything once more, and return the answers."""
        return [_applied(self.callers.admin, one) for one in _ordered(self.rendering)]

    def live(self, kind: str, name: str) -> Object:
        """Return an object of the release as it stands in the cluster."""
        return accepted(self.callers.admin.get(self.rendering.one(kind, name)))

    def await_guards(self) -> None:
        """Wait until the guards refuse."""
        await_guards(self.callers, self.installation)


def install(callers: Callers, values: Values, namespace: str) -> Release:
    """Apply the chart; returns when its definitions are served."""
    rendering = charts.render(values, namespace=namespace)
    made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": RESTRICTED}}
    accepted(callers.admin.apply(made, MANAGER))
    for one in _ordered(rendering):
        accepted(_applied(callers.admin, one))
        if one["kind"] == "CustomResourceDefinition":
            await_served(callers.admin, one)
    return Release(callers, rendering, charts.installation(rendering))


def strictly(admin: Rest, document: Object, manager: str = "bailiwick-tests") -> Answer:
    """Return what the server says to a document that it is to apply and not to keep; an unknown field is an error."""
    return admin.request(
        "PATCH",
        admin.path(document),
        body=document,
        parameters={"dryRun": "All", "fieldValidation": "Strict", "fieldManager": manager, "force": "true"},
        headers={"Content-Type": "application/apply-patch+yaml"},
    )


def _ordered(rendering: Rendering) -> list[Object]:
    # The pod of `helm test` is no part of a release.
    documents = [one for one in charts.own(rendering.documents) if one["kind"] != "Pod"]

    def place(document: Object) -> int:
        kind = document["kind"]
        return _FIRST.index(kind) if kind in _FIRST else len(_FIRST) + (kind == _LAST)

    return sorted(documents, key=place)


def _applied(admin: Rest, document: Object) -> Answer:
    return admin.apply(document, MANAGER)
