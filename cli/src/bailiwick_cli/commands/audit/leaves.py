"""`audit leaves`: the leaf hash of each line, to be kept when the line is removed; and the reading of what was kept.

Holds: what is printed is computed from the lines; what is read proves nothing without a cosigned root.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from bailiwick_cli.errors import CliError, Exit
from bailiwick_cli.offline import refuse_cluster, refuse_namespace
from bailiwick_cli.verbs.auditverbs import LeavesFlags
from bailiwick_evidence.audit.claims import WitnessBook
from bailiwick_evidence.audit.keptleaves import KeptLeafError, add_leaf_lines, leaf_lines
from bailiwick_evidence.audit.leafpages import LeafPages
from bailiwick_evidence.audit.leaves import LeafTable
from bailiwick_evidence.audit.logaudit import LogAudit
from bailiwick_governance.display import talk
from bailiwick_governance.records.leaffile import LeafFile
from bailiwick_governance.records.logfiles import LogFiles


def run(options: LeavesFlags) -> int:
    """Print the leaves."""
    refuse_cluster(options, "audit leaves")
    refuse_namespace(options, "audit leaves")
    audit = LogAudit(WitnessBook(()))
    for _ in LogFiles(options.files).lines(audit, "Reading lines"):
        pass
    if not audit.lines:
        raise CliError("no line of a chain in these files", Exit.NO)
    sys.stdout.writelines(leaf_lines({name: log.leaves for name, log in audit.chains.items()}))
    talk(f"leaves of {audit.lines} lines of {len(audit.chains)} chains; verify the log before you remove a line")
    return Exit.OK


def kept_leaves(names: Sequence[str] | None) -> dict[str, LeafTable]:
    """Read files that `audit leaves` wrote, by chain. Raises `CliError`."""
    found: dict[str, LeafTable] = {}
    pages = LeafPages(LeafFile())
    for name in names or ():
        try:
            with Path(name).open(encoding="ascii") as file:
                add_leaf_lines(file, found, pages)
        except OSError as error:
            raise CliError(f"--leaves: {name} cannot be read: {error.strerror or error}") from error
        except UnicodeDecodeError as error:
            raise CliError(f"--leaves: {name} is not what `audit leaves` prints") from error
        except KeptLeafError as error:
            raise CliError(f"--leaves: {name}: {error}") from error
    return found
