"""The logs of an installation in a folder, with what `audit verify` needs beside them, as its pages name the files."""

from pathlib import Path
from typing import Any, Final

import yaml

from bailiwick_evidence.derive.versions import engine_versions
from support.decisions import crm_calls, decided, ledger_of, written
from support.evidence.logs import WITNESS_KEY, ProcessLog
from support.objects import Object
from support.pages import DOCS

_STANDS: Final[Object] = yaml.safe_load((DOCS.parent / "examples" / "crm" / "policy.yaml").read_text(encoding="utf-8"))


def write_witnessed_logs(folder: Path) -> None:
    """Write `ledger.log` of an operator, `decisions.log` of six decision points, the notes and the witness's key."""
    versions: dict[str, Any] = {**engine_versions()}
    logs = [ledger_of([_STANDS]), *(ProcessLog(number, **versions) for number in range(10, 16))]
    for number, log in enumerate(logs[1:]):
        decided([_STANDS], crm_calls(["customers.list", "customers.export"] * (number + 1)), log=log).close()
    written(folder / "ledger.log", logs[0])
    written(folder / "decisions.log", *logs[1:])
    (folder / "checkpoints.notes").write_text("\n".join(log.checkpoint() for log in logs), encoding="utf-8")
    (folder / "witness.vkey").write_text(f"{WITNESS_KEY}\n", encoding="utf-8")
