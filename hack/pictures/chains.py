"""Drawings of chains: where enforcement points sit, on whose behalf a call is made, and what vouches for a log.

Standing: beside `drawings`, which lists them with the rest.
"""

from collections.abc import Callable
from typing import Final

from pictures.canvas import Canvas

_WIDTH: Final = 920


def placement() -> Canvas:
    """Return the three places where an enforcement point can sit, on the way of a call."""
    drawing = Canvas(
        _WIDTH,
        420,
        "Where an enforcement point sits",
        "Three ways from a caller to what is protected. A proxy such as Envoy or nginx sits in front of an HTTP "
        "service. The MCP gateway sits in front of an MCP server. Your own code asks inside of the service. Each of "
        "the three asks the decision point before it lets a call through.",
    )
    drawing.box(24, 130, 120, 60, "plain", "Agent")
    rows = (
        (40, "Envoy, nginx, HAProxy", "~HTTP", "HTTP service", "~unchanged"),
        (132, "MCP gateway", "~tools, resources", "MCP server", "~unchanged"),
        (224, "Your service", "~the SDK asks inside", "Data, actions", "~your own code"),
    )
    for y, point, speaks, behind, note in rows:
        drawing.box(300, y, 190, 56, "good", point, speaks)
        drawing.box(700, y, 170, 56, "plain", behind, note)
        drawing.arrow((490, y + 28), (700, y + 28), word="only after a yes")
        drawing.arrow((144, 160), (210, 160), (210, y + 28), (300, y + 28))
    drawing.border(((284, 24), (506, 24), (506, 296), (284, 296), (284, 24)), "enforcement points", (574, 290))
    drawing.arrow((395, 296), (395, 344), word="ask before each call", at=(474, 324))
    drawing.box(300, 344, 190, 56, "ours", "Decision point", "~one for all of them")
    return drawing


def delegation() -> Canvas:
    """Return a call that an agent makes for a person, through another agent, and what limits it."""
    drawing = Canvas(
        _WIDTH,
        250,
        "A call on behalf of a person",
        "A person gives an assistant a token. The assistant calls through a second agent, which calls your API. The "
        "call is allowed only if the rules allow it for each agent, and the endpoint's ceiling covers it for the "
        "person. Each hop can only narrow what is allowed.",
    )
    hops = (
        (24, "plain", "Person", "~subject"),
        (250, "plain", "Assistant", "~actor 1"),
        (476, "plain", "Second agent", "~actor 2"),
        (702, "good", "Your API", "~enforcement point"),
    )
    for x, kind, name, role in hops:
        drawing.box(x, 40, 160, 56, kind, name, role)
    for x, word in ((184, "token"), (410, "act claim"), (636, "calls")):
        drawing.arrow((x, 68), (x + 66, 68), word=word)
    limits = ((24, "Ceiling", "~of the endpoint"), (250, "Rules", "~of the assistant"), (476, "Rules", "~of the agent"))
    for x, name, note in limits:
        drawing.box(x, 160, 160, 56, "ours", name, note)
        drawing.arrow((x + 80, 96), (x + 80, 160))
    drawing.arrow((184, 188), (250, 188), word="and")
    drawing.arrow((410, 188), (476, 188), word="and")
    drawing.arrow((636, 188), (702, 188))
    drawing.box(702, 160, 160, 56, "good", "Allowed", "~if all of them allow")
    return drawing


def evidence() -> Canvas:
    """Return what vouches for a line of the decision log, from its hash to a copy outside of the cluster."""
    drawing = Canvas(
        _WIDTH,
        250,
        "What vouches for the log",
        "Each line of a decision point's log has the hash of the line before it. The process signs checkpoints over "
        "all lines so far. The operator, as the witness, verifies that the log only grew, and cosigns. You keep "
        "checkpoints outside of the cluster. The auditor compares the lines with them.",
    )
    for number, x in enumerate((24, 134, 244), 1):
        drawing.box(x, 40, 90, 50, "plain", f"line {number}", "~hash" if number > 1 else "~opens")
    drawing.arrow((134, 65), (114, 65))
    drawing.arrow((244, 65), (224, 65))
    steps = (
        (400, "ours", "Checkpoint", "~signed by the process"),
        (650, "ours", "Cosignature", "~by the witness"),
    )
    for x, kind, name, note in steps:
        drawing.box(x, 36, 184, 56, kind, name, note)
    drawing.arrow((334, 65), (400, 65), word="all lines")
    drawing.arrow((584, 65), (650, 65), word="only grew")
    drawing.box(650, 166, 184, 56, "plain", "Your copy", "~outside of the cluster")
    drawing.arrow((742, 92), (742, 166), word="kept", at=(768, 134))
    drawing.box(350, 166, 184, 56, "good", "audit verify", "~up to when it is whole")
    drawing.arrow((650, 194), (534, 194), word="compared")
    drawing.arrow((289, 90), (289, 194), (350, 194), word="the lines", at=(248, 150))
    return drawing


CHAINS: Final[dict[str, Callable[[], Canvas]]] = {
    "placement.svg": placement,
    "delegation.svg": delegation,
    "evidence.svg": evidence,
}
"""By the names of their files in docs/images."""
