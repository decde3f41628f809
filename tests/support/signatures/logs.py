"""Logs with signed reviews: a record of a use, and the ledger's lines of a grant and of a file of reviewers' keys."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from bailiwick_engine.approval.grants import parse
from bailiwick_engine.signatures.registrars import ReviewerKeyFile
from bailiwick_engine.signatures.sshsig import write_signature
from bailiwick_operator.evidence.chronicle import Chronicle, final_state
from bailiwick_webhook.record.line import grant_members
from support.objects import Object, opened_grant, review
from support.signatures.keys import RP_ID, KeyFile, SecurityKey, config_map, entry_line, reviewers_text, statement_of

T0: Final = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
CAROLS: Final = SecurityKey.make(RP_ID)
DAVES: Final = SecurityKey.make(RP_ID)
LINE: Final = entry_line("carol", CAROLS.public)


def at(seconds: float) -> str:
    return (T0 + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


class Ledger:
    """Takes what the chronicle says."""

    def __init__(self) -> None:
        self.said: list[Object] = []

    def say(self, kind: str, **members: object) -> None:
        self.said.append({"kind": kind, **members})


def published(registrar: KeyFile, serial: int, after: float, *lines: str) -> list[Object]:
    """Return the lines by which the ledger has a file."""
    stored = config_map(reviewers_text(*lines, serial=serial, expires=T0 + timedelta(days=9)), registrar)["data"]
    ledger: Any = Ledger()
    Chronicle(ledger).reviewers_recorded(ReviewerKeyFile(stored["reviewers"], stored["reviewers.sig"]), serial)
    return [{"time": at(after), **line} for line in ledger.said]


def approved(key: SecurityKey = CAROLS, counted: float = 10, *, flags: int = 5, reason: str | None = "fine") -> Object:
    """Return an active grant with Carol's signed review."""
    stored: Object = opened_grant("crm", "1")
    stored["metadata"] |= {"uid": "u-1", "resourceVersion": "2", "creationTimestamp": at(0)}
    stored["spec"]["request"]["steps"][0]["signature"] = "Required"
    entry = review(stored, "carol") | ({} if reason is None else {"reason": reason})
    entry["signature"] = write_signature(key.assertion(statement_of(stored, entry), flags=flags))
    stored["spec"]["reviews"] = [entry]
    times = {"approvedTime": at(counted), "notAfterTime": at(counted + 600)}
    stored["status"] = {
        "phase": "Consumed",
        **times,
        "counted": [{"reviewer": "carol", "time": at(counted)}],
        "uses": 1,
    }
    return stored


def used(stored: Object) -> Object:
    """Return the record of a use."""
    grant = parse(stored)
    assert grant is not None
    members = grant_members(grant, "eval_1", reviewed=True)
    return {"kind": "evaluation", "decision": True, "endpoint": "crm/crm-api", "grant": members}


def ended(stored: Object) -> Object:
    """Return the ledger's line of the ended grant."""
    return {"kind": "grant", **final_state(stored, {})}
