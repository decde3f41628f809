"""An API server that accepts the id tokens of an issuer, set up as the console's own login page says.

Holds: the configuration is the text of that page, with nothing put in but the certificate of the issuer; the API
server writes down who asked what.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from bailiwick_api.accounts import Installation
from bailiwick_console.hosted.loginpages import configuration
from issuer.server import Server, serving
from localcluster import build
from localcluster.access import Cluster
from localcluster.controlplane import ControlPlane, Settings
from support.callers import Callers
from support.console.clusterconsole import CLIENT, hosted
from support.guards.ground import resolution
from support.installation import accepted, install
from support.namespaces import Namespaces, Roles
from support.objects import Object, grant, step
from support.waits import until

OWNERS: Final = "oidc:crm-owners"
PEOPLE: Final[dict[str, dict[str, Any]]] = {
    "carol": {"groups": ["crm-owners"]},
    "dave": {"groups": ["crm-owners"]},
    "mallory": {"groups": []},
}
_AUDIT: Final = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [{"level": "Metadata"}]}


@dataclass
class TrustingServer:
    """All of it. `namespace` has the reviewers' roles."""

    folder: Path
    cluster: Cluster
    callers: Callers
    issuer: Server
    namespace: str

    @classmethod
    @contextmanager
    def running(cls, folder: Path) -> Iterator["TrustingServer"]:
        """Start everything, and end it."""
        with serving(folder / "issuer") as issuer:
            issuer.logins.people |= PEOPLE
            trusted = configured(configuration(issuer.signer.url, CLIENT), issuer)
            (folder / "authentication.yaml").write_text(yaml.safe_dump(trusted))
            (folder / "audit.yaml").write_text(yaml.safe_dump(_AUDIT))
            flags = (
                *("--authentication-config", str(folder / "authentication.yaml")),
                *("--audit-policy-file", str(folder / "audit.yaml"), "--audit-log-path", str(folder / "audit.log")),
            )
            with (
                ControlPlane(build.ensure(), settings=Settings(apiserver_flags=flags)) as plane,
                Callers(plane.cluster) as callers,
            ):
                install(callers, Installation())
                namespace = Namespaces(callers.admin).make("hosted")
                Roles(callers.admin, namespace).bind("bailiwick-approve", f"group:{OWNERS}")
                server = cls(folder, plane.cluster, callers, issuer, namespace)
                until(lambda: server.knows("carol"), "the API server has read the issuer's keys")
                yield server

    def told(self, client: str) -> str:
        """Return what the API server would have to be told for another client."""
        return configuration(self.issuer.signer.url, client)

    def knows(self, person: str) -> bool:
        """Tell whether the API server accepts a token of somebody."""
        token = self.issuer.signer.token(person, CLIENT, header={"typ": "JWT"})
        return self.cluster.rest_with_token(token).get("/version").ok

    def console(self, *arguments: str, **more: Any) -> Any:  # noqa: ANN401 - as `hosted`
        """Start a console."""
        assert self.cluster.ca_file is not None
        return hosted(
            self.folder / f"console-{more.get('client', CLIENT)}",
            self.issuer,
            *("--namespace", self.namespace, *arguments),
            api_server=self.cluster.server,
            api_ca_file=self.cluster.ca_file,
            **more,
        )

    def wanted(self, name: str, **more: Any) -> str:  # noqa: ANN401 - as `step`
        """Make a grant that waits for the owners, and return the path of its page. `more` are fields of its step."""
        steps = [step(groups=[OWNERS], **more)]
        made = grant(self.namespace, name, requester="admin", resource={"type": "customer", "id": name}, steps=steps)
        stored = accepted(self.callers.admin.create(made))
        # As the operator does, without which nobody may review.
        operator = self.callers(Installation().operator)
        accepted(operator.patch(stored, {"status": {"resolved": resolution(stored)}}, "merge", "status"))
        return f"/grants/{self.namespace}/{name}"

    def grant(self, name: str) -> Object:
        """Return a grant as it is stored."""
        path = f"/apis/bailiwick.dev/v1alpha1/namespaces/{self.namespace}/approvalgrants/{name}"
        return accepted(self.callers.admin.get(path))

    def reviews(self, name: str) -> list[Object]:
        """Return the reviews of a grant as they are stored."""
        found: list[Object] = self.grant(name)["spec"]["reviews"]
        return found

    def audited(self) -> list[Object]:
        """Return what the API server has written of requests that are done."""
        lines = (self.folder / "audit.log").read_text().splitlines()
        events = [json.loads(line) for line in lines if line.endswith("}")]
        return [event for event in events if event["stage"] == "ResponseComplete"]


def configured(text: str, issuer: Server) -> Object:
    """Return a configuration as it is written, with the certificate of this issuer."""
    found: Object = yaml.safe_load(text)
    found["jwt"][0]["issuer"]["certificateAuthority"] = issuer.ca_file.read_text()
    return found
