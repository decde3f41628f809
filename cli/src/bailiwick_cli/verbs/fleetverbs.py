"""The verbs about several clusters: what they take, and their help. Standing: under `table`.

Holds: this is on the way of `--help`, so it imports nothing but typer.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import typer

from bailiwick_cli.options import INSTALLATION, Flags, InstallationOption, LogOutput


class FleetFailOn(StrEnum):
    """Which checks exit with 1."""

    VERSION = "version"
    GUARDS = "guards"
    POLICIES = "policies"
    SERVED = "served"
    DRIFT = "drift"
    WITNESS = "witness"
    LOSSES = "losses"
    REVOCATIONS = "revocations"
    ANY = "any"
    NONE = "none"


@dataclass(frozen=True, kw_only=True)
class FleetStatusFlags(Flags):
    """Show the state of Bailiwick in several clusters.

    Each cluster is one row: the version, whether the guards are proven, the policies and whether other clusters have
    other ones of the same name, whether every decision point serves them, the difference from Git, the witness of the
    logs, lost records, and revocations in force. What cannot be read is unknown, and counts as not well. The command
    reads as you, with the credentials of your kubeconfig. It changes nothing.

    Without --contexts and --argocd, it asks every context of the kubeconfig. All clusters are asked at once.

    Exits 0 if all is well, 1 if a check of --fail-on is not, and 2 if a cluster could not be asked, or if no cluster
    has a policy in the namespace that you name.

    Examples:
      kubectl bailiwick fleet status --contexts east,west
      kubectl bailiwick fleet status --contexts east,west --against east=rendered/east --against west=rendered/west
      kubectl bailiwick fleet status --argocd --fail-on guards --fail-on losses
      kubectl bailiwick fleet status --contexts east,west -n crm -o json
    """

    namespace: Annotated[
        str | None,
        typer.Option("--namespace", "-n", metavar="NAME", help="The namespace of the policies. Default: all."),
    ]
    context: Annotated[
        str | None,
        typer.Option("--context", metavar="NAME", help="With --argocd: the context of the cluster of Argo CD."),
    ]
    contexts: Annotated[
        list[str] | None,
        typer.Option(
            "--contexts", metavar="NAME,...", help="The contexts of the clusters. Repeatable. Default: all contexts."
        ),
    ] = None
    argocd: Annotated[
        bool,
        typer.Option(
            "--argocd",
            help="The clusters of Argo CD's cluster Secrets, which are read with the current context. Each is asked by"
            " the context that leads to its server.",
        ),
    ] = False
    argocd_namespace: Annotated[
        str, typer.Option("--argocd-namespace", metavar="NAME", help="The namespace of Argo CD.")
    ] = "argocd"
    installation: InstallationOption = INSTALLATION
    against: Annotated[
        list[str] | None,
        typer.Option(
            "--against",
            metavar="[CLUSTER=]PATH",
            help="Compare with these manifests from Git. CLUSTER=: those of one cluster. Repeatable.",
        ),
    ] = None
    timeout: Annotated[
        str, typer.Option("--timeout", metavar="TIME", help="How long a cluster may take to answer.")
    ] = "20s"
    fail_on: Annotated[
        list[FleetFailOn] | None,
        typer.Option("--fail-on", help="Exit with 1 if this check is not well. Repeatable. Default: any."),
    ] = None
    output: Annotated[LogOutput, typer.Option("--output", "-o", help="Output format.")] = LogOutput.TABLE
