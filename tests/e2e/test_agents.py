"""Agents in frameworks: they pause while somebody decides, and the framework's own yes lets nothing run."""

import json
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from agents import Runner, set_tracing_disabled
from agents.run_state import RunState
from agents.testing import ScriptedModel, assistant_message, function_call
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from bailiwick import AsyncBailiwick, Bailiwick
from demo.stack import AGENT_ACCOUNT, CRM_ACCOUNT, CRM_ENDPOINT, Stack
from support.frameworks import REASON, example, wanted
from support.pages import blocks
from support.waits import until

pytestmark = pytest.mark.long

PAGE: Final = "../examples/agents/README.md"
THREAD: Final[Any] = {"configurable": {"thread_id": "thread"}}
_GRANTS: Final = "/apis/bailiwick.dev/v1alpha1/namespaces/crm/approvalgrants"


@pytest.fixture(autouse=True)
def untraced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send nothing to the frameworks' makers, whatever the environment says."""
    for name in ("LANGSMITH_TRACING", "LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING", "LANGCHAIN_TRACING_V2"):
        monkeypatch.delenv(name, raising=False)
    set_tracing_disabled(disabled=True)


@pytest.fixture
def agent_token(stack: Stack) -> Callable[[], str]:
    return partial(stack.acting.token, AGENT_ACCOUNT)


def reviewed(stack: Stack, task: str, decision: str = "Approve", reviewer: str = "carol") -> None:
    """Let an owner decide; returns once that counts."""
    path = f"{_GRANTS}/{task.partition('.')[0]}"
    admin = stack.cluster.rest()
    until(lambda: "phase" in admin.get(path).body.get("status", {}), f"{path} was seen")
    asked = admin.get(path).body["spec"]["request"]
    step, binding = asked["steps"][0]["name"], asked["binding"]["digest"]
    review = {"reviewer": reviewer, "group": "crm-owners", "decision": decision, "step": step, "binding": binding}
    patch = json.dumps([{"op": "add", "path": "/spec/reviews/-", "value": review}])
    name = path.rpartition("/")[2]
    code, said = stack.kubectl("patch", "approvalgrant", name, "-n", "crm", "--type=json", "-p", patch, person=reviewer)
    assert code == 0, said
    until(lambda: admin.get(path).body.get("status", {}).get("phase", "Pending") != "Pending", f"{path} is decided")


def grants(stack: Stack) -> set[str]:
    """Return the names of all grants for the CRM."""
    return {item["metadata"]["name"] for item in stack.cluster.rest().get(_GRANTS).body["items"]}


def told(state: dict[str, Any]) -> list[str]:
    """Return what tools of a graph said."""
    return [str(message.content) for message in state["messages"] if isinstance(message, ToolMessage)]


def test_a_graph_pauses_until_a_grant_lets_its_tool_run(stack: Stack, agent_token: Callable[[], str]) -> None:
    module, seen = example("langgraph_agent")
    export = {"customer_id": "42", "fields": ["name", "revenue"]}
    calls = [wanted("list_customers", {}, "one"), wanted("export_customer", export, "two")]
    again = [wanted("export_customer", export, "three")]
    model = GenericFakeChatModel(messages=iter([AIMessage("", tool_calls=calls), AIMessage("", tool_calls=again)]))
    url = stack.decision_points[0].url
    own = partial(stack.acting.token, CRM_ACCOUNT)
    with Bailiwick(url, endpoint=CRM_ENDPOINT, token=own, deadline=10.0) as pdp:
        graph = module.graph(model, module.ToolGuard(pdp, agent_token, REASON), InMemorySaver())
        paused = graph.invoke({"messages": [("user", "go")]}, THREAD)
        (asked,) = paused["__interrupt__"]
        assert asked.value["args"] == export
        # The framework's own yes: the graph asks, pauses again, and the same task is open.
        (still,) = graph.invoke(Command(resume="yes"), THREAD)["__interrupt__"]
        assert (still.value["task"], seen.read) == (asked.value["task"], [])
        reviewed(stack, asked.value["task"])
        ended = graph.invoke(Command(resume="no"), THREAD)
        assert told(ended) == ['["42"]', '{"name": "Harbour Mills", "revenue": 910000}']
        assert seen.read == ["42"]
        # The model wants it a second time, which is another call, and needs an approval of its own.
        (another,) = ended["__interrupt__"]
        assert another.value["task"] != asked.value["task"]


def test_a_graph_goes_on_without_its_tool_where_somebody_denied(stack: Stack, agent_token: Callable[[], str]) -> None:
    module, seen = example("langgraph_agent")
    export = wanted("export_customer", {"customer_id": "42", "fields": ["graph"]}, "denied")
    model = GenericFakeChatModel(messages=iter([AIMessage("", tool_calls=[export]), AIMessage("done")]))
    own = partial(stack.acting.token, CRM_ACCOUNT)
    with Bailiwick(stack.decision_points[0].url, endpoint=CRM_ENDPOINT, token=own, deadline=10.0) as pdp:
        graph = module.graph(model, module.ToolGuard(pdp, agent_token, REASON), InMemorySaver())
        (asked,) = graph.invoke({"messages": [("user", "go")]}, THREAD)["__interrupt__"]
        reviewed(stack, asked.value["task"], "Deny")
        (said,) = told(graph.invoke(Command(resume="yes"), THREAD))
    assert said.startswith("Nothing was done. ")
    assert seen.read == []


async def test_an_agent_pauses_until_a_grant_lets_its_tool_run(stack: Stack, agent_token: Callable[[], str]) -> None:
    module, seen = example("openai_agent")
    export = {"customer_id": "42", "fields": ["revenue", "name"]}
    calls = [
        [function_call("list_customers", {}, call_id="e-1"), function_call("export_customer", export, call_id="e-2")],
        [function_call("export_customer", export, call_id="e-3")],
    ]
    own = partial(stack.acting.token, CRM_ACCOUNT)
    async with AsyncBailiwick(stack.decision_points[0].url, endpoint=CRM_ENDPOINT, token=own, deadline=10.0) as pdp:
        agent = module.agent(ScriptedModel(calls), module.ToolGuard(pdp, agent_token, REASON))
        before = grants(stack)
        paused = await Runner.run(agent, "go")
        (waiting,) = paused.interruptions
        (task,) = grants(stack) - before
        assert (waiting.name, seen.read) == ("export_customer", [])
        # A run that waits can be kept, and go on in another process.
        state = await RunState.from_string(agent, paused.to_state().to_string())
        reviewed(stack, task)
        state.approve(state.get_interruptions()[0])
        ended = await Runner.run(agent, state)
        # The model wants it a second time, which is another call, and needs an approval of its own.
        assert [one.name for one in ended.interruptions] == ["export_customer"]
    assert seen.read == ["42"]


async def test_an_agent_is_told_no_where_only_the_framework_said_yes(
    stack: Stack, agent_token: Callable[[], str]
) -> None:
    module, seen = example("openai_agent")
    export = function_call("export_customer", {"customer_id": "42", "fields": ["agent"]}, call_id="f-1")
    own = partial(stack.acting.token, CRM_ACCOUNT)
    async with AsyncBailiwick(stack.decision_points[0].url, endpoint=CRM_ENDPOINT, token=own, deadline=10.0) as pdp:
        model = ScriptedModel([[export], [assistant_message("done")]])
        agent = module.agent(model, module.ToolGuard(pdp, agent_token, REASON))
        state = (await Runner.run(agent, "go")).to_state()
        state.approve(state.get_interruptions()[0])
        ended = await Runner.run(agent, state)
    assert seen.read == []
    assert ended.final_output == "done"
    (said,) = [item.output for item in ended.new_items if item.type == "tool_call_output_item"]
    assert said.startswith("Nothing was done. approval_pending: ")


def shown(of: str, stack: Stack, token: Path) -> Any:  # noqa: ANN401 - code
    """Return the page's block about a framework, to be run against this stack."""
    (block,) = (block for block in blocks(PAGE, "python") if f"from {of} import" in block)
    point = '"https://bailiwick-webhook.bailiwick-system.svc", endpoint="crm/crm-api", ca="ca.crt"'
    for old, new in {
        point: f'"{stack.decision_points[0].url}", endpoint="crm/crm-api", token=own, deadline=10.0',
        '"agent.token"': repr(str(token)),
    }.items():
        assert old in block
        block = block.replace(old, new)
    return compile(block, PAGE, "exec")


@pytest.fixture
def token(agent_token: Callable[[], str], tmp_path: Path) -> Path:
    file = tmp_path / "agent.token"
    file.write_text(agent_token(), encoding="ascii")
    return file


def test_the_pages_loop_plays_a_graph_to_its_end(stack: Stack, token: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module, seen = example("langgraph_agent")
    monkeypatch.setitem(sys.modules, "langgraph_agent", module)
    # Nobody decides before the second time.
    prompts: list[str] = []

    def asked(prompt: str) -> str:
        prompts.append(prompt)
        if len(prompts) > 1:
            found = re.search(r"agr-[a-z0-9]+", prompt)
            assert found is not None
            reviewed(stack, found[0])
        return ""

    call = wanted("export_customer", {"customer_id": "42", "fields": ["name", "page"]}, "page")
    model = GenericFakeChatModel(messages=iter([AIMessage("", tool_calls=[call]), AIMessage("done")]))
    names: dict[str, Any] = {"model": model, "checkpointer": InMemorySaver(), "thread": THREAD, "input": asked}
    names["own"] = partial(stack.acting.token, CRM_ACCOUNT)
    exec(shown("langgraph_agent", stack, token), names)  # noqa: S102 - the page's own lines
    names["pdp"].close()
    assert (len(prompts), seen.read) == (2, ["42"])
    assert told(names["state"]) == ['{"name": "Harbour Mills", "page": null}']


async def test_the_pages_loop_plays_an_agent_to_its_end(
    stack: Stack, token: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, seen = example("openai_agent")
    monkeypatch.setitem(sys.modules, "openai_agent", module)
    before = grants(stack)

    def asked(_: str) -> str:
        (task,) = grants(stack) - before
        reviewed(stack, task)
        return ""

    call = function_call("export_customer", {"customer_id": "42", "fields": ["page"]}, call_id="page")
    model = ScriptedModel([[call], [assistant_message("done")]])
    names: dict[str, Any] = {"model": model, "input": asked, "own": partial(stack.acting.token, CRM_ACCOUNT)}
    exec(shown("openai_agent", stack, token), names)  # noqa: S102 - likewise
    assert await names["main"]() == "done"
    assert seen.read == ["42"]
