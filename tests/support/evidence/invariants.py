"""What every log of an honest process holds: each record follows from the policies, and each chain is whole.

Standing: under `policywatch`, over the audit that `audit verify` is of. Holds: a log is judged by the versions and the
settings that its own opening line tells; what a killed process left of a line is none.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from bailiwick_evidence.audit.claims import WitnessBook
from bailiwick_evidence.audit.findings import FindingCode
from bailiwick_evidence.audit.lines import ChainLine, parse_line
from bailiwick_evidence.audit.logaudit import LogAudit
from bailiwick_evidence.derive.derive import derive
from bailiwick_evidence.derive.texts import PolicyTexts
from bailiwick_evidence.linekinds import DECISIONS, POLICY_LIST
from bailiwick_evidence.note import VerifierKey
from bailiwick_governance.records.derivations import in_development, versions_of
from support.derivations import HOLDS

# Where an operator did not run, or was not told of a process, no witness saw it.
_HARMLESS: Final = frozenset({FindingCode.UNKNOWN})
_MOST: Final = 5


def verify(files: Iterable[Path], texts: PolicyTexts) -> Counter[str]:
    """Fail unless every record of these files derives or is attested, and every chain is whole; return what they are.

    A file of an operator's ledger tells what was witnessed of the chains; its own is judged like theirs.
    """
    held = [file.read_bytes() for file in files if file.is_file()]
    audit = LogAudit(WitnessBook(keys_told(held)))
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    for line in _lines(audit, held):
        record = parse_line(line.text)
        if record.get("kind") == POLICY_LIST:
            texts.add_list(record)
        opening = audit.chains[line.link.id].opening
        # Where anybody may ask, the policies alone do not decide.
        if record.get("kind") not in DECISIONS or in_development(opening):
            continue
        found = derive(record, texts, versions_of(opening))
        counts[found.kind.value] += 1
        if found.kind not in HOLDS:
            wrong.append(f"{found}: {json.dumps(record)}")
    for report in audit.reports():
        bad = (one for one in report.findings if one.bad and one.code not in _HARMLESS)
        wrong += [f"{report.chain} of {report.pod}: {one.place}: {one.said}" for one in bad]
    assert not wrong, "\n".join(wrong[:_MOST])
    assert not audit.unchained, f"{audit.unchained} decisions are in no chain"
    assert not audit.book.refused, f"{audit.book.refused} checkpoints have no cosignature"
    return counts


def keys_told(logs: Sequence[bytes]) -> list[VerifierKey]:
    """Return the keys of witnesses that ledgers tell of."""
    lines = (parse_line(line) for log in logs for line in log.splitlines() if b'"kind":"keys"' in line)
    names = {name: None for line in lines for name in line.get("witness", ())}
    return list(map(VerifierKey.parse, names))


def _lines(audit: LogAudit, logs: Iterable[bytes]) -> Iterator[ChainLine]:
    for data in logs:
        yield from audit.feed(data)
        yield from audit.end()
    yield from audit.finish()
