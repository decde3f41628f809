"""What somebody may do to the log, with which rights, and who sees it: the table of docs/concepts/evidence.md."""

from typing import Final, NamedTuple

FILE: Final = "the record file"
PROCESS: Final = "the decision point's pod"
WITNESS: Final = "the operator's pod"
BOTH: Final = "both pods"
AUDITOR: Final = "the auditor"
OPERATOR: Final = "the operator"
NOBODY: Final = "nobody"
PORT: Final = "the status port"
POINT: Final = "the decision point"


class LogAttack(NamedTuple):
    """A row. `seen`: a finding of `audit verify`, or what happens."""

    what: str
    rights: str
    seen: str
    by: str


ATTACKS: Final = {
    "edit": LogAttack("edit a record", FILE, "`altered`, with the number of the line", AUDITOR),
    "cut": LogAttack("cut records from the end", FILE, "`truncated`, with their numbers", AUDITOR),
    "take out": LogAttack("take records out of the middle", FILE, "`gap`, with their numbers", AUDITOR),
    "drop": LogAttack("drop the whole log of a process", FILE, "`missing`, with pod, times and size", AUDITOR),
    "anew": LogAttack("edit a record, and compute every hash again", FILE, "`altered`, with a range", AUDITOR),
    "restart": LogAttack("cut the end, and have the process restart", FILE, "`truncated`", AUDITOR),
    "repeat": LogAttack("copy records a second time", FILE, "counted as repeated: they prove nothing more", AUDITOR),
    "append": LogAttack("add records to a log that goes on", FILE, "`forked`, once the process writes on", AUDITOR),
    "append dead": LogAttack(
        "add records to the log of a killed process", FILE, "`tail`: they cannot be told apart", NOBODY
    ),
    "invent": LogAttack("invent a log, and another one that names it", FILE, "`unknown`: no witness saw it", AUDITOR),
    "invent brief": LogAttack(
        "invent the log of a process that ran for a few seconds", FILE, "`brief`: a true log looks the same", NOBODY
    ),
    "forge note": LogAttack(
        "send a checkpoint of a ledger that the operator did not cosign",
        PORT,
        "refused, with `bailiwick_log_notes_refused_total`",
        POINT,
    ),
    "two stories": LogAttack(
        "show two readers two stories", FILE, "`forked` to a reader who has both, else `altered`", AUDITOR
    ),
    "unseen": LogAttack("rewrite what the witness has not seen yet", PROCESS, "nothing", NOBODY),
    "sign anew": LogAttack(
        "sign another story for the witness",
        PROCESS,
        "refused, with an Event and `bailiwick_log_inconsistent`",
        OPERATOR,
    ),
    "own checkpoint": LogAttack(
        "hand over a checkpoint that the process signed", PROCESS, "not used, because no witness cosigned it", AUDITOR
    ),
    "false verdict": LogAttack(
        "record another verdict than the policies give",
        PROCESS,
        "`contradicted` or `unreadable` record, with `--policies`",
        AUDITOR,
    ),
    "unknown policies": LogAttack(
        "record an allow by policies that no ledger has, or in the name of another version",
        PROCESS,
        "`unproven` record, with `--policies`; exit code 1 with `--fail-on unproven`",
        AUDITOR,
    ),
    "leave out": LogAttack(
        "leave a record out", PROCESS, "fewer decisions on record than `bailiwick_decisions_total`", AUDITOR
    ),
    "cosign anew": LogAttack("cosign another story", WITNESS, "`forged`: the process did not sign it", AUDITOR),
    "set back": LogAttack(
        "set the checkpoints back, and cut the log to them",
        WITNESS,
        "`truncated`, by a ledger that left the cluster",
        AUDITOR,
    ),
    "another cluster": LogAttack(
        "cosign the log of another cluster", WITNESS, "`contradicted`, if you name the cluster of each key", AUDITOR
    ),
    "ledger": LogAttack(
        "cut the operator's ledger", WITNESS, "`truncated`, by checkpoints in the decision points' logs", AUDITOR
    ),
    "policy text": LogAttack(
        "edit a policy's text in the ledger", WITNESS, "`altered`, and the text does not have its digest", AUDITOR
    ),
    "all": LogAttack(
        "rewrite all of it", BOTH, "`contradicted`, by a ledger that left the cluster; else nothing", AUDITOR
    ),
}


def table() -> list[str]:
    """Return the rows as the page has them."""
    return [f"| {one.what} | {one.rights} | {one.seen} | {one.by} |" for one in ATTACKS.values()]
