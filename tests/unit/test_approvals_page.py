"""`docs/how-to/approvals.md` says what there is: every field and phase, and examples that are right."""

import re
import shlex
from typing import Any, Final, get_args

import pytest
import typer
import yaml
from pydantic import BaseModel

from bailiwick_api.kinds.approvalgrant import TERMINAL_PHASES, ApprovalGrant, Origin, Phase
from bailiwick_api.kinds.approvalrequirement import ApprovalRequirement, Limits, ReasonRequirement, Step
from bailiwick_api.manifests import rbac
from bailiwick_api.manifests.guards import GRANT_NAME_PREFIX, guards
from bailiwick_cli.main import app
from bailiwick_engine.compile.policies import compile_object
from bailiwick_engine.policy.model import CompiledPolicy
from enforcement import SHIPPED
from support.pages import DOCS, blocks, objects, script

PAGE: Final = "how-to/approvals.md"
TEXT: Final = (DOCS / PAGE).read_text(encoding="utf-8")
EXAMPLES: Final = objects(PAGE)
# What reviewers are refused with, in the words of the guards and of the API server.
_REFUSALS: Final = TEXT.split("| Message of the API server |")[1].split("\n\n")[0]
MESSAGES: Final = re.findall(r"^\| (`[^|]+) \| [^|]+ \|$", _REFUSALS, re.MULTILINE)


def of_kind(kind: str) -> list[dict[str, Any]]:
    return [example for example in EXAMPLES if example["kind"] == kind]


def test_the_page_has_examples_of_each_kind() -> None:
    kinds = [example["kind"] for example in EXAMPLES]
    assert kinds == ["EndpointPolicy", "EndpointPolicy", "Role", "ResourceQuota"]


@pytest.mark.parametrize("number", range(len(of_kind("EndpointPolicy"))))
def test_a_policy_of_the_page_compiles(number: int) -> None:
    raw = of_kind("EndpointPolicy")[number]
    raw["metadata"] |= {"uid": "uid", "generation": 1}
    compiled = compile_object(raw)
    assert isinstance(compiled, CompiledPolicy), compiled


def test_the_grant_of_the_page_is_one_that_may_be_written_by_hand_for_the_policy_that_it_names() -> None:
    text = script(PAGE, "kubectl create -f - <<EOF").partition("<<EOF\n")[2].partition("EOF\n")[0]
    raw = yaml.safe_load(re.sub(r"\$\(date [^)]*\)", "2026-12-01T18:00:00Z", text))
    request = ApprovalGrant.model_validate({"spec": raw["spec"]}).spec.request
    assert (request.origin, request.binding.mode, request.display) == ("PreApproved", "Scope", None)
    assert not raw["metadata"]["generateName"].startswith(GRANT_NAME_PREFIX)
    shipped = yaml.safe_load((DOCS.parent / "examples" / "secrets" / "policy.yaml").read_text(encoding="utf-8"))
    (named,) = request.rules
    assert (shipped["metadata"]["name"], shipped["metadata"]["namespace"]) == (
        named.policy,
        raw["metadata"]["namespace"],
    )
    (rule,) = (one for one in shipped["spec"]["rules"] if one["name"] == named.rule)
    steps = [f"{named.policy}.{named.rule}.{one['name']}" for one in rule["approval"]["steps"]]
    assert [step.name for step in request.steps] == steps
    assert (request.window_seconds, request.max_uses) == (
        rule["approval"]["windowSeconds"],
        rule["approval"]["maxUses"],
    )


@pytest.mark.parametrize(
    "model", [ApprovalRequirement, Step, ReasonRequirement, Limits], ids=lambda model: model.__name__
)
def test_every_field_of_an_approval_is_explained_and_in_the_example(model: type[BaseModel]) -> None:
    names = {field.alias or name for name, field in model.model_fields.items()}
    table = TEXT.split("| field | default | what it does |")[1].split("\n\n")[0]
    whole = blocks(PAGE, "yaml")[1]
    for name in names:
        assert f"`{name}`" in table
        assert f"{name}:" in whole


def test_the_defaults_in_the_table_are_those_of_the_model() -> None:
    made = ApprovalRequirement(steps=[Step(name="owner", kind="Human")])
    rows = dict(re.findall(r"^\| `(\w+)` \| `?([^|`]*?)`? \|", TEXT, re.MULTILINE))
    said = {
        "binding": made.binding,
        "presentation": made.presentation,
        "open": made.open,
        "allowUnseen": str(made.allow_unseen).lower(),
        "pendingSeconds": str(made.pending_seconds),
        "windowSeconds": str(made.window_seconds),
        "maxUses": str(made.max_uses),
    }
    assert {name: rows[name] for name in said} == said
    for name, value in Limits().model_dump(by_alias=True).items():
        assert re.search(rf"`{name}` \({value}\)", TEXT), name


def test_every_phase_is_told_and_whether_it_is_over() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (waits|can be used|over) \|", TEXT, re.MULTILINE))
    assert set(rows) == set(get_args(Phase))
    assert {phase for phase, told in rows.items() if told == "over"} == TERMINAL_PHASES
    for origin in get_args(Origin):
        assert f"`{origin}`" in TEXT


def test_every_role_for_people_is_in_the_table_that_the_page_links() -> None:
    page, _, heading = "operations/install.md#give-people-their-rights".partition("#")
    assert f"](../{page}#{heading})" in TEXT
    rows = re.findall(r"^\| `(bailiwick-[\w-]+)` \|", (DOCS / page).read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == [role["metadata"]["name"] for role in rbac.people()]


@pytest.mark.parametrize("message", [one for row in MESSAGES for one in re.findall("`([^`]+)`", row)])
def test_a_refusal_in_the_page_is_one_of_the_guard_or_of_the_api_server(message: str) -> None:
    shipped = [
        words
        for policy in guards(SHIPPED)[::2]
        for entry in policy["spec"]["validations"]
        for words in (entry["message"], entry.get("messageExpression", ""))
    ]
    # What is told with somebody's name is put together by an expression of these words.
    told = re.split(r": carol|carol | lacks|/crm-agent", message)
    assert message == "Duplicate value" or any(all(part in words for part in told if part) for words in shipped)


@pytest.mark.parametrize("line", [line for block in blocks(PAGE, "console") for line in block.splitlines()])
def test_a_command_of_the_plugin_is_one_that_it_has(line: str) -> None:
    kubectl, plugin, name, *words = shlex.split(line)
    assert (kubectl, plugin) == ("kubectl", "bailiwick")
    group = typer.main.get_group(app)
    # Reads the words as the command would, and fails where it does not know one or lacks one.
    assert group.commands[name].make_context(name, list(words)).command.name == name
