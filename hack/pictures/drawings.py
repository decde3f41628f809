"""The drawings: what is in each, and where it stands. Their file names are those of `docs/images`."""

from collections.abc import Callable
from typing import Final

from pictures.canvas import Canvas
from pictures.chains import CHAINS

_WIDTH: Final = 920
Point = tuple[int, int]
Line = tuple[Point, ...]
Box = tuple[int, int, int, int, str, *tuple[str, ...]]
"""What `Canvas.box` takes."""


def parts() -> Canvas:
    """Return the parts of an installation and who speaks to whom."""
    drawing = Canvas(
        _WIDTH,
        420,
        "The parts of Bailiwick",
        "An agent calls your API. The API, an enforcement point, asks the decision point before it acts. The decision "
        "point watches the API server, which stores policies and grants. Git brings policies, people review grants. "
        "The operator writes status and proves the guards. Records leave the decision point for your log store.",
    )
    boxes: tuple[Box, ...] = (
        (24, 40, 170, 56, "plain", "Git, kubectl", "~bring policies"),
        (492, 40, 180, 56, "plain", "API server", "~policies and grants"),
        (748, 40, 160, 56, "plain", "People", "~review as themselves"),
        (24, 200, 120, 60, "plain", "Agent"),
        (228, 200, 180, 60, "plain", "Your API or tool", "~enforcement point"),
        (492, 200, 180, 60, "ours", "Decision point", "~webhook, N replicas"),
        (788, 200, 120, 60, "ours", "Operator", "~one leads"),
        (492, 330, 180, 56, "plain", "Your log store", "~one line per decision"),
        (228, 330, 180, 56, "plain", "What it protects", "~data, actions"),
    )
    for box in boxes:
        drawing.box(*box)
    arrows: tuple[tuple[str, Point | None, Line], ...] = (
        ("policies", None, ((194, 68), (492, 68))),
        ("reviews", None, ((748, 68), (672, 68))),
        ("calls", None, ((144, 230), (228, 230))),
        ("may it?", None, ((408, 222), (492, 222))),
        ("yes or no", (450, 264), ((492, 246), (408, 246))),
        ("policies, grants", (470, 152), ((530, 96), (530, 200))),
        ("uses", (615, 186), ((596, 200), (596, 96))),
        ("status, proof of the guards", (760, 142), ((848, 200), (848, 150), (650, 150), (650, 96))),
        ("records", (614, 300), ((582, 260), (582, 330))),
        ("cosigns logs", (730, 224), ((788, 230), (672, 230))),
        ("only after a yes", (262, 300), ((318, 260), (318, 330))),
    )
    for word, at, line in arrows:
        drawing.arrow(*line, word=word, at=at)
    drawing.box(748, 350, 24, 16, "ours")
    drawing.word(780, 363, "a part of Bailiwick", anchor="start")
    return drawing


def decision() -> Canvas:
    """Return the way of one decision, from the call to the answer."""
    drawing = Canvas(
        _WIDTH,
        430,
        "The way of a decision",
        "Five steps from left to right: prove the enforcement point, prove who acts, find the rules of every policy of "
        "the endpoint, let the strictest rule win, answer. A rule that needs an approval leads down: read the grant "
        "from the API server, count its reviews, take one use, write the record. Every failure ends in a denial.",
    )
    steps = (
        ("Who asks?", "~enforcer's token", "~or certificate"),
        ("Who acts?", "~tokens of subject", "~and actors"),
        ("Which rules?", "~of every policy", "~of the endpoint"),
        ("Strictest wins", "~Deny > approval", "~> Allow"),
    )
    for number, lines in enumerate(steps):
        x = 24 + 178 * number
        drawing.box(x, 40, 150, 74, "ours", *lines)
        drawing.arrow((x + 150, 77), (x + 178, 77))
        drawing.arrow((x + 75, 114), (x + 75, 178))
    drawing.box(736, 40, 160, 74, "good", "Allow", "~its record follows", "~about 10 ms later")
    drawing.box(
        24, 178, 684, 44, "bad", "Deny, with the reason and what would help", "~also what is unknown, late or over"
    )
    drawing.arrow((633, 114), (633, 140), (816, 140), (816, 270), word="needs approval", at=(740, 133))
    lower = (
        (736, "Read the grant", "~from the API server"),
        (558, "Count again", "~reviews, time, uses"),
        (380, "Take one use", "~or deny the call"),
        (202, "Write the record", "~of the use"),
    )
    for x, name, note in lower:
        drawing.box(x, 270, 160 if x == lower[0][0] else 150, 60, "ours", name, note)
    drawing.arrow((736, 300), (708, 300))
    drawing.arrow((558, 300), (530, 300))
    drawing.arrow((380, 300), (352, 300))
    for x in (455, 277, 633):
        drawing.arrow((x, 270), (x, 222))
    drawing.arrow((776, 270), (776, 200), (708, 200))
    drawing.box(24, 270, 150, 60, "good", "Allow", "~of this call, once")
    drawing.arrow((202, 300), (174, 300))
    drawing.word(460, 372, "The upper row is answered from memory, without the API server.")
    drawing.word(460, 392, "The lower row asks the API server at each use, so a revocation counts at once.")
    return drawing


def approval() -> Canvas:
    """Return the sequence from a denial to the use of an approval."""
    drawing = Canvas(
        _WIDTH,
        640,
        "From a denial to the use of an approval",
        "A sequence of five parties: agent, enforcement point, decision point, API server, reviewer. The first call is "
        "denied with approval_required. The enforcement point requests an approval, and the decision point opens a "
        "grant. The agent gets a denial that says to repeat the call later. A reviewer reads and approves the grant. "
        "The operator counts the review, and the grant is Active. The agent "
        "calls again with the grant; the decision point reads it, takes one use, and allows this call once.",
    )
    parties = (
        (90, "Agent"),
        (270, "Enforcement point"),
        (460, "Decision point"),
        (650, "API server"),
        (830, "Reviewer"),
    )
    for x, name in parties:
        drawing.box(x - 78, 24, 156, 36, "ours" if name == "Decision point" else "plain", name)
        drawing.lifeline(x, 60, 616)
    agent, enforcer, decider, server, reviewer = (x for x, _ in parties)
    messages = (
        (96, agent, enforcer, "the call"),
        (124, enforcer, decider, "may it?"),
        (152, decider, enforcer, "no: approval_required"),
        (190, enforcer, decider, "request an approval"),
        (218, decider, server, "open the grant: Pending"),
        (246, decider, enforcer, "the task to poll"),
        (274, enforcer, agent, "no, not yet"),
        (290, server, reviewer, "the whole request"),
        (318, reviewer, server, "approve, or deny"),
        (420, enforcer, decider, "how is the task?"),
        (448, decider, enforcer, "approved, its token"),
        (480, agent, enforcer, "the same call"),
        (508, enforcer, decider, "may it, by this grant?"),
        (536, decider, server, "read it, take one use"),
        (564, decider, enforcer, "yes, this once"),
        (592, enforcer, agent, "the result"),
    )
    for number, (y, sender, receiver, word) in enumerate(messages, 1):
        drawing.arrow((sender, y), (receiver, y), word=f"{number}. {word}")
    drawing.box(560, 338, 180, 44, "ours", "The operator counts", "~the grant is Active")
    return drawing


def grant() -> Canvas:
    """Return the phases of a grant."""
    drawing = Canvas(
        _WIDTH,
        330,
        "The life of a grant",
        "A grant begins as Pending. Complete reviews make it Active; a denial makes it Denied, its deadline Expired, a "
        "revocation Withdrawn. An active grant ends as Consumed after its last use, as Lapsed when its time is over, "
        "or as Revoked. Every end is final.",
    )
    drawing.box(24, 130, 150, 60, "plain", "Pending", "~waits for reviews")
    drawing.box(400, 130, 150, 60, "good", "Active", "~can be used")
    drawing.arrow((174, 160), (400, 160), word="every step is reviewed")
    ends = (
        (24, "Denied", "a reviewer denies"),
        (200, "Expired", "its deadline passes"),
        (376, "Withdrawn", "it is revoked"),
    )
    for x, name, why in ends:
        drawing.box(x, 250, 150, 50, "bad", name, f"~{why}")
    drawing.arrow((99, 190), (99, 250))
    drawing.arrow((99, 220), (275, 220), (275, 250))
    drawing.arrow((275, 220), (451, 220), (451, 250))
    later = (
        (24, "Consumed", "its last use is taken"),
        (130, "Lapsed", "its time is over"),
        (236, "Revoked", "it is revoked"),
    )
    for y, name, why in later:
        drawing.box(716, y, 180, 60, "bad", name, f"~{why}")
    drawing.arrow((550, 160), (716, 160))
    drawing.arrow((633, 160), (633, 54), (716, 54))
    drawing.arrow((633, 160), (633, 266), (716, 266))
    drawing.word(275, 60, "A denial beats approvals, and a revocation beats all.", "Every end is final.")
    return drawing


def trust() -> Canvas:
    """Return where trust changes, by the numbers of the threat model."""
    drawing = Canvas(
        _WIDTH,
        460,
        "Where trust changes",
        "Dashed lines enclose what trusts itself: the control plane, your enforcement point, and Bailiwick. Eight "
        "numbered arrows cross them: 1 caller to enforcement point, 2 enforcement point to decision point, 3 API "
        "server to decision point for admission, 4 decision point and operator to API server, 5 people to API "
        "server, 6 Git to API server, 7 decision point to issuers, 8 operator and Prometheus to status ports.",
    )
    boxes: tuple[Box, ...] = (
        (24, 218, 130, 64, "bad", "Caller", "~trusted with", "~a token alone"),
        (224, 220, 170, 60, "plain", "Enforcement point", "~tells the call truly"),
        (500, 220, 150, 60, "ours", "Decision point", "~cannot review"),
        (750, 220, 136, 60, "ours", "Operator", "~cannot review"),
        (500, 30, 150, 100, "good", "API server", "~trusted with all"),
        (24, 30, 130, 44, "plain", "People", "~their own login"),
        (24, 98, 130, 44, "plain", "Git", "~brings policies"),
        (500, 380, 150, 56, "plain", "Issuers", "~of people's tokens"),
        (750, 380, 136, 56, "plain", "Prometheus", "~reads no secret"),
    )
    for box in boxes:
        drawing.box(*box)
    zones: tuple[tuple[str, Point, tuple[int, int, int, int]], ...] = (
        ("control plane", (724, 26), (480, 14, 190, 132)),
        ("your service", (362, 314), (208, 200, 202, 100)),
        ("Bailiwick", (868, 314), (480, 200, 424, 100)),
    )
    for name, word_at, (x, y, wide, high) in zones:
        corners = ((x, y), (x + wide, y), (x + wide, y + high), (x, y + high), (x, y))
        drawing.border(corners, name, word_at)
    crossings: tuple[tuple[str, Point, Line], ...] = (
        ("1", (184, 244), ((154, 250), (224, 250))),
        ("2", (446, 244), ((394, 250), (500, 250))),
        ("3", (526, 180), ((540, 130), (540, 220))),
        ("4", (602, 180), ((588, 220), (588, 130))),
        ("4", (740, 74), ((818, 220), (818, 80), (650, 80))),
        ("5", (440, 46), ((154, 52), (500, 52))),
        ("6", (440, 114), ((154, 120), (500, 120))),
        ("7", (554, 340), ((540, 280), (540, 380))),
        ("8", (700, 240), ((750, 246), (650, 246))),
        ("8", (832, 340), ((818, 380), (818, 280))),
        ("8", (690, 334), ((780, 380), (780, 340), (610, 340), (610, 280))),
    )
    for number, at, line in crossings:
        drawing.arrow(*line)
        drawing.word(*at, number, kind="border-word")
    return drawing


DRAWINGS: Final[dict[str, Callable[[], Canvas]]] = {
    **CHAINS,
    "parts.svg": parts,
    "decision.svg": decision,
    "approval.svg": approval,
    "grant.svg": grant,
    "trust.svg": trust,
}
