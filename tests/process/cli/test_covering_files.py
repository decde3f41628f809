"""`coverage -f`: the rules of files held against an OpenAPI description, and against words, without a cluster."""

import json
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from support import commandline
from support.commandline import Ran
from support.objects import policy, rule, settings

OPENAPI: Final = {
    "openapi": "3.1.0",
    "info": {"title": "crm", "version": "1"},
    "paths": {
        "/customers": {
            "get": {"operationId": "customers.list", "responses": {}},
            "delete": {"operationId": "customers.clear", "responses": {}},
        }
    },
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with policies of two namespaces beside the description of an API."""
    (tmp_path / "policies").mkdir()
    crm = policy("crm", "crm-agent", rules=[rule("read", actions=["customers.list"])], endpointSettings=settings())
    deleting = [rule("clean", actions=["archive.delete"])]
    shop = policy("shop", "shop-agent", rules=deleting, endpoint="shop", endpointSettings=settings())
    for one in (crm, shop):
        path = tmp_path / "policies" / f"{one['metadata']['namespace']}.yaml"
        path.write_text(yaml.safe_dump(one), encoding="utf-8")
    (tmp_path / "openapi.yaml").write_text(yaml.safe_dump(OPENAPI), encoding="utf-8")
    return tmp_path


def cover(folder: Path, *more: str) -> Ran:
    return commandline.run("coverage", "-f", str(folder / "policies"), *more, env={"KUBECONFIG": "/nowhere"})


def found(ran: Ran) -> list[tuple[str, str]]:
    (one,) = json.loads(ran.out)["clusters"]
    return [(each["code"], f"{each['object']['namespace']}/{each['object']['name']}") for each in one["findings"]]


def test_operations_and_actions_are_held_against_the_rules_of_files(folder: Path) -> None:
    described = ("--openapi", str(folder / "openapi.yaml"))
    ran = cover(folder, "-n", "crm", *described, "-o", "json")
    assert (ran.code, [code for code, _ in found(ran)]) == (1, ["unruled"]), ran
    assert json.loads(ran.out)["clusters"][0]["examined"] == ["unruled", "ungated"]
    assert "DELETE /customers: no rule names customers.clear" in cover(folder, "-n", "crm", *described).out


def test_without_a_namespace_all_of_the_files_are_examined(folder: Path) -> None:
    ran = cover(folder, "-o", "json")
    assert (ran.code, ("ungated", "shop/shop-agent") in found(ran)) == (1, True), ran
    assert cover(folder, "-n", "crm").code == 0


@pytest.mark.parametrize("output", ["table", "markdown", "html"])
def test_nothing_is_said_of_services_that_were_not_looked_at(folder: Path, output: str) -> None:
    ran = cover(folder, "-o", output)
    assert "Services have an enforcement point" not in ran.out
    assert "<svg" not in ran.out
    assert "mermaid" not in ran.out
    assert "need a cluster" in ran.err


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("-A",), "-f does not use a cluster: remove --all-namespaces"),
        (("--context", "east"), "-f does not use a cluster: remove --context"),
        (("--write", "out"), "-f does not use a cluster: remove --write"),
        (("--fail-on", "ungated", "--fail-on", "around"), "-f does not use a cluster: remove --fail-on around"),
        (("-n", "cmr"), "no EndpointPolicy of the files is in the namespace cmr: check -n"),
    ],
)
def test_what_needs_a_cluster_or_is_not_there_is_refused(folder: Path, flags: tuple[str, ...], said: str) -> None:
    ran = cover(folder, *flags)
    assert (ran.code, ran.out, ran.err) == (2, "", f"error: {said}\n"), ran


def test_files_with_an_invalid_policy_are_not_examined(folder: Path) -> None:
    broken: dict[str, Any] = policy("crm", "broken", rules=[{"name": "x"}])
    (folder / "policies" / "broken.yaml").write_text(yaml.safe_dump(broken), encoding="utf-8")
    ran = cover(folder)
    assert (ran.code, ran.out) == (2, ""), ran
    assert "the policies of the files cannot be examined: fix the problems above" in ran.err
