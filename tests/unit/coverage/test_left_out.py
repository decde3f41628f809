"""A namespace whose objects do not fit in memory: what is there is unknown, and all else is as it was."""

from typing import Any

from bailiwick_coverage.facts import UnreadList
from bailiwick_coverage.findings import CoverageCode
from bailiwick_coverage.inventory.clusterfacts import read_facts
from bailiwick_coverage.inventory.clusterreader import ReadRefusedError
from bailiwick_coverage.report import CoverageQuestion, examine

NOW = 1_700_000_000.0


class StandInReader:
    """Has two namespaces and a Service, and leaves one of them out of its lists."""

    left_out = ("large",)

    def list_all(self, path: str) -> list[dict[str, Any]]:
        match path.rpartition("/")[2]:
            case "namespaces":
                return [{"metadata": {"name": name}} for name in ("crm", "large")]
            case "services":
                spec = {"selector": {"app": "api"}, "ports": [{"port": 80}]}
                return [{"metadata": {"namespace": "crm", "name": "api"}, "spec": spec}]
            case "pods":
                metadata = {"namespace": "crm", "name": "api", "labels": {"app": "api"}}
                return [{"metadata": metadata, "spec": {"containers": []}, "status": {"phase": "Running"}}]
        return []

    def get(self, path: str) -> dict[str, Any]:
        raise ReadRefusedError(path, 404)

    def username(self) -> str:
        return ""


def test_what_is_left_out_is_unknown_and_nothing_is_concluded_from_what_is_missing() -> None:
    facts = read_facts(StandInReader(), None, NOW, print)
    why = "the objects of this namespace do not fit in memory"
    assert UnreadList("", "pods", "large", why) in facts.unread
    assert UnreadList("bailiwick.dev", "endpointpolicies", "large", why) in facts.unread
    assert {one.namespace for one in facts.unread} == {"large"}
    assert not {"clusterroles", "clusterrolebindings"} & {one.plural for one in facts.unread}
    assert facts.account_namespaces == {"crm"}


def test_the_other_namespaces_are_examined() -> None:
    report = examine(read_facts(StandInReader(), None, NOW, print), CoverageQuestion(NOW, ("delete",), 1.0, 1.0))
    assert [str(one.ref) for one in report.findings if one.code is CoverageCode.UNPROTECTED] == ["Service crm/api"]
    assert all(one.code is CoverageCode.UNKNOWN for one in report.findings if "large" in str(one.ref))
