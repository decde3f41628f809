"""Two states of policies: each is within one budget, whatever its files are, as where they are served together."""

import pytest
import yaml

from bailiwick_api.documents import policyfiles
from bailiwick_api.documents.policyfiles import File
from bailiwick_cli.errors import CliError
from bailiwick_cli.sources import policies
from bailiwick_cli.sources.policysides import read_sides
from bailiwick_engine.budget.ledger import Budget
from support.objects import Object, policy, rule, settings

CARRIER = policy("crm", rules=[rule()], endpointSettings=settings())
SECOND = policy("crm", "second", rules=[rule("second")])
ELSEWHERE = policy("hr", "else", endpoint="else", rules=[rule()], endpointSettings=settings())


def files(*objects: Object) -> list[tuple[str, File]]:
    return [(f"{number}.yaml", policyfiles.taken(yaml.safe_dump(one).encode())) for number, one in enumerate(objects)]


@pytest.fixture
def one_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """A namespace has room for one policy."""
    monkeypatch.setattr(policies, "Budget", lambda: Budget(policies=1))


@pytest.mark.usefixtures("one_of_each")
def test_files_are_within_one_budget() -> None:
    _, head = read_sides([], files(CARRIER, SECOND))
    with pytest.raises(CliError, match="the policies of the head cannot be compared"):
        head.refuse_broken("head")
    _, head = read_sides([], files(CARRIER, ELSEWHERE))
    head.refuse_broken("head")


@pytest.mark.usefixtures("one_of_each")
def test_a_file_that_is_the_same_is_over_the_budget_of_one_side_only() -> None:
    # By name it comes after the one that the head adds.
    base, head = read_sides(files(ELSEWHERE, SECOND), files(ELSEWHERE, SECOND, CARRIER))
    assert not any(entry.problems for entry in base.entries)
    assert [entry.ref.name for entry in head.entries if entry.problems] == ["second"]


@pytest.mark.usefixtures("one_of_each")
def test_a_file_that_does_not_matter_is_not_left_out_where_it_is_over() -> None:
    robot = {"name": "agent", "serviceAccount": {"namespace": "agents", "name": "robot"}}
    carrier = {"rules": [rule()], "endpointSettings": settings(account="other")}
    other = policy("crm", "zzz", endpoint="other", subjects=[robot], **carrier)
    base, head = read_sides(files(other), files(other, CARRIER))
    assert (base.left_out, head.left_out) == (1, 0)
    assert [entry.ref.name for entry in head.entries if entry.problems] == ["zzz"]
