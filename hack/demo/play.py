"""The play on processes of this machine: what starts when, which cases are shown, and what they showed.

Standing: between the cases and `__main__`, which brings the cluster up and takes it down. Holds: all words are said by
one thread, in order; what starts meanwhile says nothing, and a start that fails is an error of the step that needs it.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from demo import install
from demo.enforcement import envoy
from demo.enforcement.s1envoy import S1Envoy
from demo.narrator import Narrator
from demo.registrar import make_registrar
from demo.s1 import RACE_USES, RACERS, S1
from demo.s2 import S2
from demo.s3 import S3
from demo.s4 import S4
from demo.s5 import CALLERS, EXPORTS, S5
from demo.s7 import S7
from demo.stack import Stack
from localcluster.progress import Progress
from proxies.envoy import ProxyError, ensure

_WEBHOOKS: Final = 3


def envoy_program(progress: Progress, tell: Narrator) -> Path | None:
    """Return Envoy, installed if need be. None where it cannot be had, which is said in a line."""
    try:
        return ensure(progress)
    except ProxyError as error:
        why = str(error).splitlines()[0]
        tell.answer(f"Envoy cannot be had here, so the case behind Envoy is left out: {why}")
        return None


def play(stack: Stack, tell: Narrator, program: Path | None) -> bool:
    """Install, start and play everything; return whether reviews were signed.

    Raises `NotAsToldError` where a step comes out otherwise.
    """
    tell.chapter("Bailiwick on a real API server")
    tell.answer(f"The API server: {stack.cluster.server}. Logs and decision records: {stack.folder}")
    install.bailiwick(stack, tell)
    signed = make_registrar(stack, tell)
    with ThreadPoolExecutor() as meanwhile:
        tell.step("The operator starts under its own service account, to prove that the guards are in force.")
        stack.start_operator()
        tell.step(f"An issuer of tokens for people starts, and {_WEBHOOKS} decision points that trust it.")
        deciding = meanwhile.submit(_start_decision_points, stack)
        tell.step("The accounts and policies of the examples are applied.")
        install.examples(stack, tell, envoy.policy(stack))
        s1 = meanwhile.submit(S1, stack, tell)
        stack.await_guard()
        tell.held("the operator has proven the guards: each refused the dry run that it has to refuse")
        deciding.result()
        tell.step("The CRM API starts in front of the first decision point.")
        crm, s3 = meanwhile.submit(stack.start_crm), meanwhile.submit(S3, stack, tell)
        front = meanwhile.submit(envoy.start, stack, program) if program else None
        tools = meanwhile.submit(_start_tools, stack, signed=signed)
        install.await_served(stack, tell)
        crm.result()
        tell.held("all decision points are ready")
        s1.result().play()
        if front is not None:
            S1Envoy(stack, tell, front.result()).play()
        play_tools, play_signed = tools.result()
        play_tools(tell)
    S2(stack, tell).play()
    S4(stack, tell).play()
    s3.result().play()
    S5(stack, tell).play()
    if signed:
        play_signed(tell)
    S7(stack, tell).play()
    return signed


def proven(tell: Narrator, *, by_envoy: bool, signed: bool) -> None:
    """Say what the play showed."""
    tell.chapter("What the demo showed")
    behind = ("Behind Envoy, an API that has no line of Bailiwick sees no call that was denied.",) if by_envoy else ()
    signing = (
        "Where a step asks for a signature, an administrator who impersonates the reviewer approves nothing.",
        "A call that waits runs by itself, exactly once, after its approval.",
        f"An agent that is taken back is denied within a second at all {_WEBHOOKS} decision points.",
    )
    for line in (
        "A harmless read needs no approval; an export by the same identity does.",
        "Neither the agent nor a person without the verb can approve, although RBAC allows both to patch grants.",
        "An approval covers one call: other arguments are denied, and the same call is allowed once.",
        f"Of {RACERS} parallel calls over {_WEBHOOKS} processes, exactly {RACE_USES} were allowed: one per use.",
        "After a revocation, the next call is denied.",
        *behind,
        "Over MCP, an agent sees the tools that it may call or ask for, and a tool runs once for one approval.",
        "A service account deploys only from an approved workload, and only to a target in scope.",
        "Automation reads a secret only while an incident is recorded by one system account and confirmed by another.",
        "On behalf of a person, an agent can do less than by itself, and a chain no more than any of its hops.",
        f"Of {CALLERS} exports at once over {_WEBHOOKS} processes, exactly {EXPORTS} were allowed: an hour's limit.",
        *(signing if signed else ()),
        "A Service that asks nobody and a path around a proxy are found, and what is printed closes both.",
    ):
        tell.held(line)


def _start_decision_points(stack: Stack) -> None:
    stack.start_issuer()
    # All at once: each needs a second to import what it needs.
    for _ in range(_WEBHOOKS):
        stack.start_decision_point(await_ready=False)
    stack.await_decision_points()


def _start_tools(stack: Stack, *, signed: bool) -> tuple[Callable[[Narrator], None], Callable[[Narrator], None]]:
    """Start the MCP servers; return how to play S1 over MCP, and how to play S6."""
    # FastMCP takes a second to import, which this thread has.
    from demo import s6  # noqa: PLC0415
    from demo.enforcement import s1mcp  # noqa: PLC0415

    url, signed_url = s1mcp.start(stack), s6.start(stack) if signed else ""
    return lambda tell: s1mcp.S1Mcp(stack, tell, url).play(), lambda tell: s6.S6(stack, tell, signed_url).play()
