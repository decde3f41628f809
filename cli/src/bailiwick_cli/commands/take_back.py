"""`take-back`: stop a subject. It takes one right, to create, and asks nothing: who stops somebody is in a hurry."""

import sys
from typing import Any, Final

from bailiwick_api.kinds.meta import GROUP
from bailiwick_api.kinds.subjectrevocation import KIND
from bailiwick_cli import output
from bailiwick_cli.errors import CliError, Exit
from bailiwick_cli.kubeconfig import connect
from bailiwick_cli.options import Output
from bailiwick_cli.verbs.grantverbs import TakeBackFlags
from bailiwick_engine.approval.display import visible
from bailiwick_governance import arguments
from bailiwick_governance.apiserver.people import who_am_i
from bailiwick_governance.display import talk
from bailiwick_governance.takeback import parse_subject, revocation_object
from bailiwick_kube.paths import revocations_path

_DAY: Final = 86_400.0
_USUAL: Final = {False: _DAY, True: 30 * _DAY}
_LONGEST: Final = 366 * _DAY


def run(options: TakeBackFlags) -> int:
    """Create the object, and tell what it does and what it does not."""
    subject = parse_subject(options.subject)
    reason = options.reason.strip()
    if not reason:
        raise CliError("--reason is empty: give a reason for the record")
    seconds = _USUAL[options.hold] if options.lasting is None else arguments.seconds(options.lasting, "--for")
    if not 1 <= seconds <= _LONGEST:
        raise CliError("--for must be between 1s and 366d")
    cluster = connect(options)
    # Its answer has the API server's time, by which tokens are from before.
    me = who_am_i(cluster)
    wanted = revocation_object(
        subject, by=me.username, reason=reason, hold=options.hold, seconds=seconds, clock=cluster.clock
    )
    created = cluster.create(revocations_path(), wanted)
    if options.output in {Output.JSON, Output.YAML}:
        sys.stdout.write(output.document(created, options.output))
    else:
        name = visible(created["metadata"]["name"])
        reference = f"{KIND.lower()}.{GROUP}/{name}"
        sys.stdout.write(f"{reference}\n" if options.output is Output.NAME else f"{reference} created\n")
    _tell(visible(options.subject), created["spec"])
    return Exit.OK


def _tell(subject: str, spec: dict[str, Any]) -> None:
    """Tell a person who is in a hurry what is stopped, and what is not."""
    until = spec["until"]
    if spec["hold"]:
        talk(f"Every token of {subject} is refused within a second, new ones too, until {until}.")
    else:
        talk(
            f"Tokens of {subject} from before {spec['issuedBefore']} are refused within a second, until {until}."
            " New tokens count, and a pod gets one by itself: use --hold to refuse those too."
        )
    talk("Its grants from before end, and so do grants that it approved. Where it has no token, its name is refused.")
    talk("The API server still takes its tokens: remove its roles there too, or delete its pods.")
