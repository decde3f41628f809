"""A log as it is replayed: each line of a chain, and what it counts as.

Standing: under the command, above `tally`. Holds: no line is passed over in silence; what cannot be read counts as a
decision that could not be replayed.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from bailiwick_api import times
from bailiwick_cli.errors import CliError
from bailiwick_cli.replay.tally import ReplayTally
from bailiwick_engine.policy.model import CompiledPolicy
from bailiwick_evidence.audit.lines import parse_line
from bailiwick_evidence.derive.texts import PolicyTexts
from bailiwick_evidence.derive.versions import engine_versions
from bailiwick_evidence.linekinds import BESIDE_DECISIONS, DECISIONS, POLICY_LIST, SEARCH, is_plain_evaluation
from bailiwick_evidence.replay.candidate import Candidate, CandidatePolicy
from bailiwick_evidence.replay.outcomes import Hindrance, ReplayOutcome, not_replayable
from bailiwick_evidence.replay.projections import ReplayBook
from bailiwick_governance.records.derivations import in_development, versions_of
from bailiwick_governance.sources.policysides import Named, read_sides
from bailiwick_governance.sources.policytexts import add_files


class LogReplay:
    """Replays a log. `since`: decisions before that moment are not looked at."""

    def __init__(self, book: ReplayBook, candidate: Candidate, since: float | None) -> None:
        self.tally = ReplayTally()
        self._book = book
        self._candidate = candidate
        self._since = since

    def count(self, text: bytes) -> None:
        """Take a line before all are replayed, so that the candidate's histories count it."""
        record = parse_line(text)
        if record.get("kind") == POLICY_LIST:
            self._book.learn(record)
        elif record.get("kind") in DECISIONS:
            self._book.count(record)

    def learn(self, text: bytes) -> None:
        """Take a line that is replayed elsewhere, of which only lists of policies are wanted."""
        if not is_plain_evaluation(text) and (record := parse_line(text)).get("kind") == POLICY_LIST:
            self._book.learn(record)

    def add(self, text: bytes, opening: Mapping[str, Any] | None, order: int) -> None:
        """Take a line of a chain. `opening`: the chain's first line, where it is known. `order`: the line's number."""
        record = parse_line(text)
        kind = record.get("kind")
        if kind in DECISIONS or kind == SEARCH:
            if not self._before(record):
                self._count(record, self._outcome(record, opening), order)
        elif kind == POLICY_LIST:
            self._book.learn(record)
        elif kind not in BESIDE_DECISIONS:
            self.tally.unread(1)

    def _before(self, record: Mapping[str, Any]) -> bool:
        now = record.get("now")
        return self._since is not None and times.is_moment(now) and now < self._since

    def _outcome(self, record: Mapping[str, Any], opening: Mapping[str, Any] | None) -> ReplayOutcome | None:
        if record["kind"] == SEARCH:
            namespace, _, endpoint = str(record.get("endpoint")).partition("/")
            return not_replayable(Hindrance.SEARCH) if self._candidate.concerns(namespace, endpoint, {}) else None
        versions = versions_of(opening)
        found = self._book.outcome(record, versions)
        if found is None:
            return None
        self.tally.others += versions != engine_versions()
        # Where anybody may ask, the policies alone do not decide.
        return not_replayable(Hindrance.STATE) if in_development(opening) else found

    def _count(self, record: Mapping[str, Any], outcome: ReplayOutcome | None, order: int) -> None:
        if outcome is None:
            self.tally.elsewhere += 1
        else:
            self.tally.add(record, outcome, order)


def candidate_of(files: Named, texts: PolicyTexts, *, overlay: bool) -> Candidate:
    """Read a candidate, and add its texts to those that are known. Raises `CliError`."""
    _, side = read_sides((), files)
    if not side.entries:
        raise CliError("the candidate has no EndpointPolicy, so there is nothing to replay")
    side.refuse_broken("candidate")
    found = [
        CandidatePolicy(policy.ref.namespace, policy.ref.name, policy.endpoint, policy.digest)
        for entry in side.entries
        # Any other kind was broken.
        if isinstance(policy := entry.policy, CompiledPolicy)
    ]
    _refuse_twice(found)
    add_files(texts, files)
    return Candidate(found, overlay=overlay)


def _refuse_twice(found: Sequence[CandidatePolicy]) -> None:
    names = [(one.namespace, one.name) for one in found]
    for name in names:
        if names.count(name) > 1:
            raise CliError(f"the candidate has the policy {'/'.join(name)} twice")
