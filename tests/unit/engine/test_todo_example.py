"""The AuthZEN Todo example: the directory as data and as a map in the policy give the same answers."""

from itertools import product
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from bailiwick_engine.budget.ledger import Budget, BudgetLedger
from bailiwick_engine.call import Action, Call, Party, Resource, ServiceAccount
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.compile import manifests
from bailiwick_engine.compile.assembly import assemble
from bailiwick_engine.decision.decide import decide
from bailiwick_engine.decision.verdict import Outcome
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.steps import whole

EXAMPLE: Final = Path(__file__).resolve().parents[3] / "examples" / "authzen-todo"
APPLICATION: Final = ServiceAccount("system:serviceaccount:todo:todo-app", "app-uid")
ACTIONS: Final = ("can_read_user", "can_read_todos", "can_create_todo", "can_update_todo", "can_delete_todo")
USERS: Final[dict[str, Any]] = yaml.safe_load((EXAMPLE / "directory.yaml").read_text())["spec"]["data"]["users"]
IDS: Final = {user["email"].partition("@")[0]: name for name, user in USERS.items()}
ANYBODY, EDITORS, ADMINS = {*IDS}, {"morty", "summer"}, {"rick"}


def read(*names: str) -> Snapshot:
    ledger, read = BudgetLedger(Budget()), []
    for name in names:
        read += [
            whole(manifests.contents(name, document, ledger))
            for document in manifests.parse((EXAMPLE / name).read_bytes())
        ]
    entries = [entry for file in read for entry in file.entries]
    snapshot, reports = whole(assemble(entries, "", [one for file in read for one in file.data]))
    assert reports == ()
    return snapshot


@pytest.fixture(scope="module")
def by_data() -> Snapshot:
    return read("policy.yaml", "directory.yaml")


@pytest.fixture(scope="module")
def inline() -> Snapshot:
    return read("inline.yaml")


def allows(snapshot: Snapshot, user: str, action: str, owner: str) -> bool:
    party = Party("user", IDS.get(user, user), user, issuer=None)
    resource = Resource("user" if action == "can_read_user" else "todo", "1", {"ownerID": USERS[IDS[owner]]["email"]})
    call = Call("todo", "todo", APPLICATION, party, Action(action), resource)
    return decide(snapshot, call, (), Circumstances(0.0)).outcome is Outcome.ALLOW


def expected(user: str, action: str, owner: str) -> bool:
    own = user in EDITORS and user == owner
    return {
        "can_read_user": user in ANYBODY,
        "can_read_todos": user in ANYBODY,
        "can_create_todo": user in EDITORS | ADMINS,
        "can_update_todo": own or user in ADMINS,
        "can_delete_todo": own or user in ADMINS,
    }[action]


@pytest.mark.parametrize(("user", "action"), [*product((*IDS, "stranger"), ACTIONS)])
def test_both_give_the_answers_of_the_scenario(by_data: Snapshot, inline: Snapshot, user: str, action: str) -> None:
    for owner in IDS:
        wanted = expected(user, action, owner)
        assert (allows(by_data, user, action, owner), allows(inline, user, action, owner)) == (wanted, wanted)


def test_without_the_directory_nobody_may_do_anything(by_data: Snapshot) -> None:
    less = Snapshot({key: endpoint.with_data({}) for key, endpoint in by_data.endpoints.items()})
    assert not any(allows(less, user, action, user) for user, action in product(IDS, ACTIONS))
