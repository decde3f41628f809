"""Agents of frameworks before the real decision point: a tool that no rule allows does not run."""

from collections.abc import Iterator
from typing import Any, Final

import pytest
from agents import Agent, Runner, set_tracing_disabled
from agents.testing import ScriptedModel, assistant_message, function_call
from agents.tool_context import ToolContext
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from bailiwick import Approval, AsyncBailiwick, Call, Decision, testing
from bailiwick.testing import FakePDP, token_for
from support.frameworks import EXAMPLES, REASON, example, wanted

AGENT: Final = "system:serviceaccount:agents:crm-agent"
STRANGER: Final = "system:serviceaccount:agents:stranger"
OWNERS: Final = ("crm-owners",)
EXPORT: Final = {"customer_id": "42", "fields": ["name"]}


@pytest.fixture(autouse=True)
def untraced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send nothing to the frameworks' makers, whatever the environment says."""
    for name in ("LANGSMITH_TRACING", "LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING", "LANGCHAIN_TRACING_V2"):
        monkeypatch.delenv(name, raising=False)
    set_tracing_disabled(disabled=True)


@pytest.fixture(scope="module")
def fake() -> Iterator[FakePDP]:
    """The decision point with the policy of the CRM."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(testing, "_START_SECONDS", 150.0)
        with FakePDP(EXAMPLES / "crm") as running:
            yield running


def played(fake: FakePDP, who: str, name: str, args: dict[str, Any]) -> tuple[ToolMessage, list[str]]:
    """Let a graph's model call one tool. Returns what it was told, and which customers were read."""
    module, seen = example("langgraph_agent")
    model = GenericFakeChatModel(messages=iter([AIMessage("", tool_calls=[wanted(name, args, "call")]), "done"]))
    with fake.client("crm/crm-api") as pdp:
        guard = module.ToolGuard(pdp, lambda: token_for(who), REASON)
        graph = module.graph(model, guard, InMemorySaver())
        ended = graph.invoke({"messages": [("user", "go")]}, {"configurable": {"thread_id": "thread"}})
    (told,) = (message for message in ended["messages"] if isinstance(message, ToolMessage))
    return told, seen.read


class ListeningPdp:
    """Passes questions on, and keeps the arguments that are asked about."""

    def __init__(self, pdp: AsyncBailiwick) -> None:
        self._pdp = pdp
        self.asked: list[Any] = []

    async def evaluate(self, call: Call, *, approval: Approval | None = None) -> Decision:
        self.asked.append(call.args)
        return await self._pdp.evaluate(call, approval=approval)


async def run(fake: FakePDP, who: str, name: str, args: dict[str, Any]) -> tuple[str, list[str]]:
    """Let an agent's model call one tool. Returns what it was told, and which customers were read."""
    module, seen = example("openai_agent")
    model = ScriptedModel([[function_call(name, args, call_id="call")], [assistant_message("done")]])
    async with fake.async_client("crm/crm-api") as pdp:
        agent = module.agent(model, module.ToolGuard(pdp, lambda: token_for(who), REASON))
        ended = await Runner.run(agent, "go")
    assert ended.interruptions == []
    (told,) = (item.output for item in ended.new_items if item.type == "tool_call_output_item")
    return str(told), seen.read


def test_a_tool_of_a_graph_runs_where_a_rule_allows_it(fake: FakePDP) -> None:
    told, _ = played(fake, AGENT, "list_customers", {})
    assert (told.status, told.content) == ("success", '["42"]')


@pytest.mark.parametrize(
    ("who", "name", "args", "reason"),
    [
        (STRANGER, "export_customer", EXPORT, "no_rule"),
        (AGENT, "export_customer", {**EXPORT, "customer_id": 42}, "bad_request"),
        (AGENT, "list_customers", {"limit": "1"}, "bad_request"),
        (AGENT, "wipe", {}, "unmapped"),
    ],
)
def test_a_tool_of_a_graph_does_not_run_where_none_does(
    fake: FakePDP, who: str, name: str, args: dict[str, Any], reason: str
) -> None:
    told, read = played(fake, who, name, args)
    assert (told.status, read) == ("error", [])
    assert str(told.content).startswith(f"Nothing was done. {reason}: ")


@pytest.mark.parametrize(
    ("customer", "decision", "reads"), [("41", "approve", ["41"]), ("42", "deny", [])], ids=["approved", "denied"]
)
def test_a_graph_pauses_until_a_person_has_decided(
    fake: FakePDP, customer: str, decision: str, reads: list[str]
) -> None:
    module, seen = example("langgraph_agent")
    args = {**EXPORT, "customer_id": customer}
    asked = AIMessage("", tool_calls=[wanted("export_customer", args, f"graph-{customer}")])
    model, thread = GenericFakeChatModel(messages=iter([asked, "done"])), {"configurable": {"thread_id": customer}}
    with fake.client("crm/crm-api") as pdp:
        graph = module.graph(model, module.ToolGuard(pdp, lambda: token_for(AGENT), REASON), InMemorySaver())
        (pause,) = graph.invoke({"messages": [("user", "go")]}, thread)["__interrupt__"]
        assert seen.read == []
        getattr(fake, decision)("crm/crm-api", groups=OWNERS, task=pause.value["task"])
        graph.invoke(Command(resume=True), thread)
    assert seen.read == reads


async def test_a_tool_of_an_agent_runs_where_a_rule_allows_it(fake: FakePDP) -> None:
    told, _ = await run(fake, AGENT, "list_customers", {})
    assert told == "['42']"


async def test_a_tool_of_an_agent_asks_about_the_values_that_it_gets(fake: FakePDP) -> None:
    module, _ = example("openai_agent")
    got: list[int] = []

    async def first_customers(_: ToolContext[Any], limit: int) -> str:
        got.append(limit)
        return "listed"

    model = ScriptedModel([[function_call("first_customers", {"limit": "1"}, call_id="call")], [assistant_message("")]])
    async with fake.async_client("crm/crm-api") as pdp:
        listening = ListeningPdp(pdp)
        guard = module.ToolGuard(listening, lambda: token_for(AGENT), REASON)
        tool = guard.tool("customers.list", ("customer", "*"))(first_customers)
        agent = Agent(name="crm", model=model, tools=[tool])
        # The SDK itself pauses where it will change an argument, and does not ask `needs_approval`.
        state = (await Runner.run(agent, "go")).to_state()
        state.approve(state.get_interruptions()[0])
        await Runner.run(agent, state)
    assert (listening.asked, got) == ([{"limit": 1}], [1])


async def test_a_tool_of_an_agent_does_not_run_where_none_does(fake: FakePDP) -> None:
    told, read = await run(fake, STRANGER, "export_customer", EXPORT)
    assert read == []
    assert told.startswith("Nothing was done. no_rule: ")


@pytest.mark.parametrize(
    ("customer", "decision", "reads"), [("41", "approve", ["41"]), ("42", "deny", [])], ids=["approved", "denied"]
)
async def test_an_agent_pauses_until_a_person_has_decided(
    fake: FakePDP, customer: str, decision: str, reads: list[str]
) -> None:
    module, seen = example("openai_agent")
    args = {"customer_id": customer, "fields": ["revenue"]}
    model = ScriptedModel(
        [[function_call("export_customer", args, call_id=f"agent-{customer}")], [assistant_message("")]]
    )
    async with fake.async_client("crm/crm-api") as pdp:
        agent = module.agent(model, module.ToolGuard(pdp, lambda: token_for(AGENT), REASON))
        state = (await Runner.run(agent, "go")).to_state()
        (pause,) = state.get_interruptions()
        assert seen.read == []
        getattr(fake, decision)("crm/crm-api", groups=OWNERS)
        state.approve(pause)
        await Runner.run(agent, state)
    assert seen.read == reads
