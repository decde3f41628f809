"""The drawings: what is in each, and where it stands. Their file names are those of `docs/images`."""

from collections.abc import Callable
from typing import Final

from pictures.canvas import Canvas

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
        (375, 40, 180, 56, "plain", "API server", "~policies and grants"),
        (716, 40, 180, 56, "plain", "People", "~review as themselves"),
        (24, 200, 120, 60, "plain", "Agent"),
        (228, 200, 180, 60, "plain", "Your API or tool", "~enforcement point"),
        (492, 200, 180, 60, "ours", "Decision point", "~webhook, N replicas"),
        (736, 200, 160, 60, "ours", "Operator", "~one is the leader"),
        (492, 330, 180, 56, "plain", "Your log store", "~one line per decision"),
        (228, 330, 180, 56, "plain", "What it protects", "~data, actions"),
    )
    for box in boxes:
        drawing.box(*box)
    arrows: tuple[tuple[str, Point | None, Line], ...] = (
        ("policies", None, ((194, 68), (375, 68))),
        ("reviews of grants", None, ((716, 68), (555, 68))),
        ("calls", None, ((144, 230), (228, 230))),
        ("may it?", None, ((408, 222), (492, 222))),
        ("yes or no", (450, 264), ((492, 246), (408, 246))),
        ("watch: policies, grants", (345, 130), ((430, 96), (430, 150), (540, 150), (540, 200))),
        ("uses of grants", (600, 114), ((610, 200), (610, 122), (520, 122), (520, 96))),
        ("status, proof of the guards", (730, 168), ((816, 200), (816, 150), (545, 150), (545, 96))),
        ("records", (620, 300), ((582, 260), (582, 330))),
        ("cosigns its log", (730, 282), ((736, 230), (672, 230))),
        ("only after a yes", (262, 300), ((318, 260), (318, 330))),
    )
    for word, at, line in arrows:
        drawing.arrow(*line, word=word, at=at)
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
        440,
        "Where trust changes",
        "Eight numbered borders: 1 caller to enforcement point, 2 enforcement point to decision point, 3 API server to "
        "decision point for admission, 4 decision point and operator to API server, 5 people to API server, 6 Git to "
        "API server, 7 decision point to issuers of tokens, 8 operator and Prometheus to status ports.",
    )
    boxes: tuple[Box, ...] = (
        (24, 190, 120, 60, "bad", "Caller", "~trusted with", "~a token alone"),
        (250, 190, 160, 60, "plain", "Enforcement point", "~tells the call truly"),
        (516, 190, 160, 60, "ours", "Decision point", "~cannot review"),
        (516, 40, 160, 60, "good", "API server", "~trusted with all"),
        (24, 40, 120, 60, "plain", "Git", "~brings policies"),
        (250, 40, 160, 60, "plain", "People", "~their own login"),
        (760, 40, 136, 60, "ours", "Operator", "~cannot review"),
        (516, 350, 160, 60, "plain", "Issuers of tokens", "~of people"),
        (760, 190, 136, 60, "plain", "Prometheus", "~reads no secret"),
    )
    for box in boxes:
        drawing.box(*box)
    crossings: tuple[tuple[str, Line, Point, Line], ...] = (
        ("1", ((197, 176), (197, 264)), (197, 170), ((144, 220), (250, 220))),
        ("2", ((463, 176), (463, 264)), (463, 170), ((410, 220), (516, 220))),
        ("3", ((500, 145), (590, 145)), (492, 149), ((550, 100), (550, 190))),
        ("4", ((602, 145), (692, 145)), (700, 149), ((642, 190), (642, 100))),
        ("5", ((463, 30), (463, 110)), (463, 26), ((410, 70), (516, 70))),
        ("6", ((197, 30), (197, 110)), (197, 26), ((84, 100), (84, 128), (480, 128), (480, 88), (516, 88))),
        ("7", ((500, 300), (692, 300)), (492, 304), ((596, 250), (596, 350))),
        ("8", ((718, 176), (718, 264)), (718, 170), ((760, 220), (676, 220))),
        ("4", ((718, 30), (718, 110)), (718, 26), ((760, 70), (676, 70))),
    )
    for number, border, at, arrow in crossings:
        drawing.border(border, number, at)
        drawing.arrow(*arrow)
    drawing.arrow((828, 100), (828, 150), (740, 150), (740, 205), (676, 205))
    return drawing


DRAWINGS: Final[dict[str, Callable[[], Canvas]]] = {
    "parts.svg": parts,
    "decision.svg": decision,
    "approval.svg": approval,
    "grant.svg": grant,
    "trust.svg": trust,
}
