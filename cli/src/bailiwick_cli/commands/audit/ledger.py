"""`audit policy` and `audit grant`: what the operator's ledger holds of a policy, by its digest, and of an ended grant.

Holds: a policy's text is printed only if it has the digest that was asked for.
"""

import hashlib
import json
import sys
from collections.abc import Sequence

from bailiwick_cli import output
from bailiwick_cli.errors import CliError, Exit
from bailiwick_cli.offline import refuse_cluster, refuse_namespace
from bailiwick_cli.options import Output
from bailiwick_cli.verbs.auditverbs import EndedGrantFlags, PolicyTextFlags
from bailiwick_engine.approval.display import visible
from bailiwick_evidence.audit.claims import WitnessBook
from bailiwick_evidence.audit.logaudit import LogAudit
from bailiwick_governance.records.logfiles import LogFiles

_PREFIX = "sha256:"
_LEAST = 8


def policy(options: PolicyTextFlags) -> int:
    """Print the text of a policy."""
    refuse_cluster(options, "audit policy")
    refuse_namespace(options, "audit policy")
    wanted = options.digest.removeprefix(_PREFIX)
    if len(wanted) < _LEAST:
        raise CliError(f"{options.digest!r} is too short: give at least {_LEAST} digits of the digest")
    audit = _read_ledger(options.files)
    found = {digest: held for digest, held in audit.policies.items() if digest.removeprefix(_PREFIX).startswith(wanted)}
    if len(found) > 1:
        raise CliError(f"{len(found)} policies have a digest that begins with these digits: give more of them")
    if not found:
        raise CliError(f"no policy with the digest {visible(options.digest)} in the ledger of these files", Exit.NO)
    ((digest, members),) = found.items()
    text = str(members.get("text"))
    if _PREFIX + hashlib.sha256(text.encode()).hexdigest() != digest:
        raise CliError(f"the text in the ledger does not have the digest {visible(digest)}: it was changed", Exit.NO)
    spec = json.loads(text)
    body = {"policy": members.get("policy"), "digest": digest, "spec": spec}
    sys.stdout.write(output.document(body, Output(options.output)))
    return Exit.OK


def grant(options: EndedGrantFlags) -> int:
    """Print how a grant ended."""
    refuse_cluster(options, "audit grant")
    audit = _read_ledger(options.files, keeps_grants=True)
    namespace, _, name = options.name.rpartition("/")
    namespace = namespace if "." not in namespace else ""
    namespace = namespace or options.namespace or ""
    found = {
        place: members
        for place, members in audit.grants.items()
        if place.rpartition("/")[2] == name and namespace in {"", place.rpartition("/")[0]}
    }
    if len(found) > 1:
        raise CliError(
            f"grants of this name ended in several namespaces; choose one with -n: {', '.join(sorted(found))}"
        )
    if not found:
        raise CliError(f"no grant {visible(options.name)} in the ledger of these files", Exit.NO)
    ((_, members),) = found.items()
    body = {key: value for key, value in members.items() if key != "log"}
    sys.stdout.write(output.document(body, Output(options.output)))
    return Exit.OK


def _read_ledger(names: Sequence[str], *, keeps_grants: bool = False) -> LogAudit:
    """Read files, of which only what the ledger says is wanted."""
    audit = LogAudit(WitnessBook(()), keeps_grants=keeps_grants)
    for _ in LogFiles(names).lines(audit, "Reading lines"):
        pass
    return audit
