"""Data from a directory: policies of its namespace read a file's EndpointData, and what is wrong is unknown."""

from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from msgspec.structs import replace

from bailiwick_api.kinds.meta import API_VERSION
from bailiwick_engine.budget.ledger import Budget
from bailiwick_webhook.store import directory
from bailiwick_webhook.store.directory import Directory
from support.objects import Object, policy, rule, settings
from unit.engine.cases import CALL, verdict_of

LIST: Final = replace(CALL, action=replace(CALL.action, name="customers.list"))
OPEN: Final = {"name": "open", "expression": "data.incident.open == true"}


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory, "SETTLING", 0.0)


def reader() -> Object:
    return policy(
        "crm",
        endpointSettings=settings(),
        data=[{"name": "incident", "from": "incident-state"}],
        rules=[rule(conditions=[OPEN])],
    )


def held(data: object, namespace: str = "crm", **members: object) -> Object:
    metadata = {"namespace": namespace, "name": "incident-state"}
    return {"apiVersion": API_VERSION, "kind": "EndpointData", "metadata": metadata, "spec": {"data": data}, **members}


async def said(
    root: Path, *objects: Object | str, budget: Budget | None = None
) -> tuple[str, list[tuple[str, str]], Directory]:
    """Return the reason of a decision by these objects, what is reported, and what decides."""
    for number, obj in enumerate(objects):
        text = obj if isinstance(obj, str) else yaml.safe_dump(obj)
        (root / f"{number}.yaml").write_text(text)
    view = Directory(root, max_staleness=120, hard_staleness=900, budget=budget)
    await view.look()
    assert view.snapshot is not None
    problems: list[dict[str, Any]] = view.report()["policies"]["problems"]
    told = [(one["problem"].removeprefix(f"{root}/"), one["denies"]) for one in problems]
    return verdict_of(view.snapshot, LIST).reason.value, told, view


async def test_a_file_of_data_is_read_and_served(tmp_path: Path) -> None:
    reason, problems, view = await said(tmp_path, reader(), held({"open": True}))
    assert (reason, problems) == ("allowed", [])
    assert view.snapshot is not None
    found = view.snapshot.endpoints["crm", "crm-api"].data["incident-state"]
    assert view.serves(found.uid, found.generation)


@pytest.mark.parametrize(
    ("objects", "told"),
    [
        ([], "0.yaml:1:1: spec.data: there is no EndpointData crm/incident-state"),
        ([held({"open": True}, "other")], "0.yaml:1:1: spec.data: there is no EndpointData crm/incident-state"),
        ([held({"open": True, "note": "\0"})], "contains the character NUL"),
        ([held([])], "spec.data: must be an object"),
        ([held({"open": True}, more=1)], "more: unknown field"),
        (
            [held({"open": True}), held({"open": True})],
            "2.yaml:1:1: metadata.name: crm/incident-state is also defined at",
        ),
        ([yaml.safe_dump(held({"open": True})) + "    open: ["], "1.yaml:"),
    ],
    ids=["missing", "of another namespace", "NUL", "no object", "unknown field", "twice", "cut"],
)
async def test_what_is_wrong_with_data_makes_it_unknown_and_denies_its_readers(
    tmp_path: Path, objects: list[Object | str], told: str
) -> None:
    reason, problems, _ = await said(tmp_path, reader(), *objects)
    assert reason in {"condition_error", "policy_invalid"}
    assert any(told in problem for problem, _ in problems), problems


async def test_data_over_budget_is_unknown(tmp_path: Path) -> None:
    large = held({"open": True, "note": "x" * 100_000})
    reason, problems, _ = await said(tmp_path, reader(), large, budget=Budget(namespace=50_000))
    assert reason == "condition_error"
    assert "needs" in problems[0][0]
