"""What a row says of a cluster: good only what is known, and of which nothing speaks against it."""

import base64
import json
from typing import Any

import pytest

from bailiwick_api.documents.policyfiles import policy_file
from bailiwick_governance.errors import UserError
from bailiwick_governance.fleet.argocd import ArgoCluster, contexts_of, read_clusters
from bailiwick_governance.fleet.asking import ask_clusters
from bailiwick_governance.fleet.drift import refuse_unusable
from bailiwick_governance.fleet.report import FleetReport, FleetRow, fleet_report, refuse_empty_namespace
from support.objects import OTHER_DIGEST, policy, settings
from unit.governance.cases import at
from unit.governance.fleet.wellcluster import NOW, StandInCluster, reader_of, well_cluster


def report(*raws: dict[str, Any], refused: dict[str, int] | None = None) -> FleetReport:
    readers = {f"c{number}": reader_of(f"c{number}", StandInCluster(raw, refused)) for number, raw in enumerate(raws)}
    return fleet_report(ask_clusters(readers, 30.0), {}, None, NOW)


def tones(row: FleetRow) -> dict[str, str]:
    return {str(one.code): str(one.tone) for one in row.checks}


def test_a_well_cluster_is_good_in_everything() -> None:
    (row,) = report(well_cluster()).rows
    assert set(tones(row).values()) == {"good"}, row


@pytest.mark.parametrize(
    ("plural", "codes"),
    [("deployments", {"version"}), ("revocations", {"revocations"}), ("policies", {"policies", "served"})],
)
@pytest.mark.parametrize("status", [403, 404, 500, 503])
def test_a_list_that_is_refused_is_unknown(plural: str, codes: set[str], status: int) -> None:
    (row,) = report(well_cluster(), refused={plural: status}).rows
    assert {code for code, tone in tones(row).items() if tone != "good"} == codes
    assert {tone for code, tone in tones(row).items() if code in codes} == {"unknown"}


def test_a_status_of_another_generation_says_nothing() -> None:
    raw = well_cluster()
    raw["policies"][0]["metadata"]["generation"] = 2
    (row,) = report(raw).rows
    assert (tones(row)["policies"], tones(row)["served"]) == ("unknown", "doubt")
    assert (row.policies[0].digest, row.policies[0].accepted) == (None, None)


def test_what_is_not_served_says_for_how_long() -> None:
    raw = well_cluster()
    raw["policies"][0]["status"]["conditions"][1]["status"] = "False"
    (row,) = report(raw).rows
    assert next(one.cell for one in row.checks if one.code == "served") == "1 behind for 10m"


def test_a_policy_that_is_not_accepted_is_not_well() -> None:
    raw = well_cluster()
    raw["policies"][0]["status"]["conditions"][0]["status"] = "False"
    (row,) = report(raw).rows
    assert next(one.told for one in row.checks if one.code == "policies") == "1, 1 not accepted: fleet/crm-agent"


def test_statuses_of_an_operator_that_gives_no_sign_of_life_are_not_known_to_be_of_now() -> None:
    raw = well_cluster()
    raw["configmaps"]["bailiwick-guard"]["data"]["provenTime"] = at(-600)
    assert tones(report(raw).rows[0])["served"] == "good"
    del raw["configmaps"]["bailiwick-witness"]
    assert tones(report(raw).rows[0])["served"] == "unknown"


def test_a_policy_of_another_digest_differs_where_it_is_and_nowhere_else() -> None:
    other, without = well_cluster(), well_cluster()
    other["policies"][0]["status"]["digest"] = OTHER_DIGEST
    without["policies"] = []
    found = report(well_cluster(), other, without)
    assert [tones(row)["policies"] for row in found.rows] == ["doubt", "doubt", "good"]
    assert [set(one.states) for one in found.differences] == [{"c0", "c1"}]
    assert found.partial == {("fleet", "crm-agent"): ("c0", "c1")}


def test_operator_and_webhook_of_two_versions_are_not_well() -> None:
    raw = well_cluster()
    raw["deployments"][1]["metadata"]["labels"]["app.kubernetes.io/version"] = "0.2.0"
    (row,) = report(raw).rows
    assert row.checks[0].told == "the operator is 0.1.0, and the webhook 0.2.0"


def test_whatever_a_reader_raises_is_a_row() -> None:
    def fail() -> Any:  # noqa: ANN401 - never returns
        raise RuntimeError("token-1234")

    (row,) = fleet_report(ask_clusters({"c": fail}, 30.0), {}, None, NOW).rows
    assert row.problem == "it cannot be asked, or does not answer as an API server does"


@pytest.mark.parametrize(
    ("server", "context", "problem"),
    [
        ("https://10.0.0.1", "east", ""),
        ("https://10.0.0.1:443/", "east", ""),
        ("HTTPS://10.0.0.1", "east", ""),
        ("https://kubernetes.default.svc", "hub", ""),
        ("https://10.0.0.2", "hub", ""),
        ("https://10.0.0.3", None, "2 contexts lead to it: choose with --contexts"),
        ("https://10.0.0.1:6443", None, "no context leads to its server"),
        ("https://10.0.0.1/other", None, "no context leads to its server"),
        ("https://[", None, "no context leads to its server"),
        ("", None, "its cluster Secret has no server that can be read"),
    ],
)
def test_a_cluster_of_argo_cd_is_asked_by_the_one_context_that_leads_there(
    server: str, context: str | None, problem: str
) -> None:
    servers = {"east": "https://10.0.0.1", "hub": "https://10.0.0.2", "other": "https://10.0.0.2"}
    servers |= {"one": "https://10.0.0.3", "two": "https://10.0.0.3", "none": "", "broken": "https://["}
    (found,) = contexts_of([ArgoCluster("production", server)], servers, "hub")
    assert (found.context, found.problem) == (context, problem)


def test_a_cluster_secret_that_cannot_be_read_is_a_row_as_the_others_are() -> None:
    def secret(called: str, **data: str) -> dict[str, Any]:
        return {
            "metadata": {"name": called},
            "data": {key: base64.b64encode(text.encode()) for key, text in data.items()},
        }

    secrets = [
        secret("first", name="east", server="https://10.0.0.1"),
        secret("second", server="https://10.0.0.1"),
        secret("third", name="west"),
        {"metadata": {"name": "fourth"}, "data": {"name": "?", "server": "//8="}},
        {"metadata": {"name": "fifth"}},
    ]
    stand_in: Any = StandInCluster({"secrets": secrets})
    found = contexts_of(read_clusters(stand_in, "argocd"), {"east": "https://10.0.0.1"}, None)
    assert {one.name: (one.context, one.problem) for one in found} == {
        "east": ("east", ""),
        # A cluster without a name is called by its server.
        "https://10.0.0.1": ("east", ""),
        "west": (None, "its cluster Secret has no server that can be read"),
        "fourth": (None, "its cluster Secret has no server that can be read"),
        "fifth": (None, "its cluster Secret has no server that can be read"),
    }


def test_files_without_a_policy_of_the_namespace_are_not_taken_for_no_drift() -> None:
    files = [
        (
            "policy.yaml",
            policy_file(json.dumps(policy("fleet", "crm-agent", endpointSettings=settings("fleet"))).encode()),
        )
    ]
    refuse_unusable(files, "--against", None)
    refuse_unusable(files, "--against", "fleet")
    with pytest.raises(UserError, match="--against has no EndpointPolicy in the namespace feet: check -n"):
        refuse_unusable(files, "--against", "feet")


@pytest.mark.parametrize(
    ("policies", "refused", "accepted"),
    [
        ([[], []], [None, None], False),
        ([[], None], [None, None], True),
        # Where a list could not be read, or a cluster did not answer, its row says so.
        ([[], []], [None, {"policies": 403}], True),
        ([[], []], [None, {"policies": 401}], True),
    ],
    ids=["no cluster has one", "one has some", "one is not listed", "one is not asked"],
)
def test_a_namespace_in_which_no_cluster_has_a_policy_is_refused(
    policies: list[list[Any] | None], refused: list[dict[str, int] | None], *, accepted: bool
) -> None:
    readers = {}
    for number, (found, statuses) in enumerate(zip(policies, refused, strict=True)):
        raw = well_cluster() if found is None else well_cluster() | {"policies": found}
        readers[f"c{number}"] = reader_of(f"c{number}", StandInCluster(raw, statuses))
    answers = ask_clusters(readers, 30.0)
    if accepted:
        refuse_empty_namespace(answers, "feet")
    else:
        with pytest.raises(UserError, match="no cluster has an EndpointPolicy in the namespace feet: check -n"):
            refuse_empty_namespace(answers, "feet")
