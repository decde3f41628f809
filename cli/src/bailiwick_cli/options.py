"""kubectl's own flags, and the words that options take. Below every other room of the command line.

Holds: this is on the way of `--help`, so it imports nothing but typer.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final

import typer

LOG_HELP: Final = (
    "Log files, plain or compressed with gzip, or URLs of what is below s3://BUCKET/PREFIX, gs://BUCKET/PREFIX,"
    " az://CONTAINER/PREFIX or file:///FOLDER. - is stdin."
)
LogArgument = Annotated[list[str], typer.Argument(metavar="LOG...", help=LOG_HELP)]

ModifiedSinceOption = Annotated[
    str | None,
    typer.Option(
        "--modified-since",
        metavar="TIME",
        help="Leave out objects of s3://, gs:// and az:// that were last changed more than an hour before: a time in"
        " RFC 3339, or such as 24h. They hold no later line, but may hold what later lines need.",
    ),
]


InstallationOption = Annotated[
    str, typer.Option("--installation", metavar="NAME", help="The namespace in which Bailiwick is installed.")
]
INSTALLATION: Final = "bailiwick-system"
"""Where it is unless somebody says otherwise: as `bailiwick_api` has it, which is too much for this module."""
ClusterNameOption = Annotated[
    str | None,
    typer.Option("--cluster-name", metavar="NAME", help="What the cluster is called, on each page and in its title."),
]
PasskeyOriginOption = Annotated[
    list[str] | None,
    typer.Option(
        "--passkey-origin",
        metavar="ORIGIN",
        help="An origin where passkeys sign, as the decision point has it. Repeatable. Needs keys of registrars."
        " Default: any origin of the host that a passkey is for.",
    ),
]
ReviewersInstallationOption = Annotated[
    str | None,
    typer.Option(
        "--reviewers-installation",
        metavar="NAME",
        help="The installation whose files of reviewers' keys count. Needs keys of registrars. Default: any.",
    ),
]


class Output(StrEnum):
    """How data is printed."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"
    NAME = "name"


class LogOutput(StrEnum):
    """How the audit of a log is printed."""

    TABLE = "table"
    JSON = "json"


class DocumentOutput(StrEnum):
    """How one object is printed that has no table."""

    YAML = "yaml"
    JSON = "json"


class ReportOutput(StrEnum):
    """How an answer that people also put into reviews is printed."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"


@dataclass(frozen=True, kw_only=True)
class Flags:
    """kubectl's own."""

    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", metavar="NAME", help="Default: the namespace of the context.")
    ]
    context: Annotated[str | None, typer.Option("--context", metavar="NAME", help="The kubeconfig context to use.")]
    kubeconfig: Annotated[
        str | None, typer.Option("--kubeconfig", metavar="FILE", help="Default: $KUBECONFIG, ~/.kube/config.")
    ]
    as_user: Annotated[str | None, typer.Option("--as", help="The username to impersonate.", metavar="USER")]
    as_group: Annotated[
        list[str] | None, typer.Option("--as-group", metavar="GROUP", help="A group to impersonate. Repeatable.")
    ]
    request_timeout: Annotated[
        str | None,
        typer.Option(
            "--request-timeout", metavar="TIME", help="Timeout of a single request, such as 30s. 0: no timeout."
        ),
    ]


OPTIONAL: Final = ("namespace", "context", "kubeconfig", "as_user", "as_group", "request_timeout")
"""The fields of `Flags`: none of them must be given."""
