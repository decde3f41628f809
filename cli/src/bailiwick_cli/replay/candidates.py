"""Candidates: policies in files as a replay puts them in the place of what decided.

Standing: under the command. Holds: a candidate with a policy that cannot be read is none.
"""

from collections.abc import Sequence

from bailiwick_cli.errors import CliError
from bailiwick_engine.policy.model import CompiledPolicy
from bailiwick_evidence.derive.texts import PolicyTexts
from bailiwick_evidence.replay.candidate import Candidate, CandidatePolicy
from bailiwick_governance.sources.policysides import Named, read_sides
from bailiwick_governance.sources.policytexts import add_files


def candidate_of(files: Named, texts: PolicyTexts, *, overlay: bool) -> Candidate:
    """Read a candidate, and add its texts to those that are known. Raises `CliError`."""
    _, side = read_sides((), files)
    if not side.entries:
        raise CliError("the candidate has no EndpointPolicy: to replay nothing says nothing")
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
