"""`validate --server`: what a dry run of the API server refuses, and that what it does not say is never a pass."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from bailiwick_cli.errors import CliError
from bailiwick_cli.findings import view
from bailiwick_cli.findings.dryrun import server_findings
from bailiwick_cli.findings.filefindings import FileFinding, findings
from bailiwick_governance.apiserver.cluster import ClusterClient
from bailiwick_governance.errors import ApiError
from bailiwick_governance.sources import policies
from bailiwick_governance.sources.policies import PolicySet
from support.objects import Object, policy, rule, settings
from support.suites import written

DATA: Final[Object] = {
    "apiVersion": "bailiwick.dev/v1alpha1",
    "kind": "EndpointData",
    "metadata": {"namespace": "crm", "name": "state"},
    "spec": {"data": {"open": True}},
}
OTHER: Final[Object] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "crm"}}


class Server(ClusterClient):
    """Answers every dry run alike, and remembers which there were."""

    def __init__(self, refusal: ApiError | None = None) -> None:
        self.asked: list[str] = []
        self._refusal = refusal

    def try_apply(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(path.rpartition("/namespaces/")[2])
        if self._refusal is not None:
            raise self._refusal
        return body


def sound(**spec: Any) -> Object:  # noqa: ANN401 - fields of a spec
    return policy("crm", rules=[rule()], endpointSettings=settings(), **spec)


def asked(folder: Path, server: Server, *objects: Object) -> list[FileFinding]:
    written(folder, {"p.yaml": list(objects)})
    found = policies.policy_set(policies.files_of(str(folder)))
    return list(server_findings(found, findings(found, 0.0), server))


def test_every_policy_and_all_data_is_asked_about_and_nothing_else(tmp_path: Path) -> None:
    server = Server()
    assert asked(tmp_path, server, sound(), DATA, OTHER) == []
    assert server.asked == ["crm/endpointpolicies/crm-agent", "crm/endpointdata/state"]


def test_what_is_refused_here_already_is_not_asked_about(tmp_path: Path) -> None:
    server = Server()
    asked(tmp_path, server, sound(efect="Allow"), DATA)
    assert server.asked == ["crm/endpointdata/state"]


@pytest.mark.parametrize(
    ("refusal", "line", "said"),
    [
        (
            ApiError("x is invalid", 422, "Invalid", [("spec.rules[0].effect", "Unsupported value")]),
            "effect",
            "spec.rules[0].effect: Unsupported value",
        ),
        (ApiError('admission webhook "w" denied the request: no', 403), "apiVersion", "admission webhook"),
        (ApiError("strict decoding error: unknown field", 400, "BadRequest"), "apiVersion", "strict decoding error"),
        (ApiError('namespaces "crm" not found', 404, "NotFound"), "apiVersion", 'namespaces "crm" not found'),
    ],
    ids=["a field", "admission", "decoding", "no namespace"],
)
def test_what_the_server_refuses_is_an_error_at_its_place(
    tmp_path: Path, refusal: ApiError, line: str, said: str
) -> None:
    (found,) = asked(tmp_path, Server(refusal), sound())
    assert (found.severity.value, found.by_server, found.placed is not None) == ("error", True, True)
    assert found.placed is not None
    file, at, _, message = found.placed
    assert Path(file).read_text(encoding="utf-8").splitlines()[at - 1].strip(" -").startswith(line)
    assert message.startswith(said)


def test_it_is_told_that_the_server_said_it(tmp_path: Path) -> None:
    found = asked(tmp_path, Server(ApiError("no", 422)), sound())
    (result,) = json.loads(view.log(found))["runs"][0]["results"]
    assert (result["ruleId"], result["level"]) == ("refused-by-the-server", "error")
    (told,) = json.loads(view.document(PolicySet(()), found))["findings"]
    assert (told["by"], told["message"]) == ("server", "no")


@pytest.mark.parametrize(
    "answer",
    [
        ApiError('endpointpolicies.bailiwick.dev is forbidden: User "eve" cannot patch', 403, "Forbidden"),
        ApiError("did not authenticate you", 401),
        ApiError("does not serve bailiwick.dev/v1alpha1: Bailiwick is not installed in this cluster", 404),
        ApiError("too many", 429),
        ApiError('failed calling webhook "w": it never denied the request', 500, "InternalError"),
    ],
    ids=lambda error: str(error.status),
)
def test_what_the_server_does_not_say_is_no_pass(tmp_path: Path, answer: ApiError) -> None:
    with pytest.raises(CliError, match=r"p\.yaml:\d+:\d+: metadata\.name: the API server was not asked: "):
        asked(tmp_path, Server(answer), sound())
