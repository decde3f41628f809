"""The flags of verbs whose work can be divided: among how many processes, and which of them this is.

Standing: under the verbs on logs. Holds: this is on the way of `--help`, so it imports nothing but typer.
"""

from dataclasses import dataclass
from typing import Annotated

import typer

from bailiwick_cli.options import Flags


@dataclass(frozen=True, kw_only=True)
class ShardFlags(Flags):
    """Of the commands that can be divided among processes (`shards` reads them)."""

    shards: Annotated[
        int | None,
        typer.Option(
            "--shards",
            metavar="N",
            min=1,
            max=1_000,
            help="Divide the work by chains among N processes. Each reads all of the log and prints a shard, and `audit"
            " merge` adds the shards up.",
        ),
    ] = None
    shard: Annotated[
        int | None,
        typer.Option(
            "--shard", metavar="I", min=0, help="Which of them this process is: from 0 to N-1, as a Job counts."
        ),
    ] = None
    as_job: Annotated[
        str | None,
        typer.Option(
            "--as-job",
            metavar="NAME",
            help="Print the manifest of a Job of this name, whose pods are the shards, for `kubectl create -f -`.",
        ),
    ] = None
    image: Annotated[
        str | None, typer.Option("--image", metavar="IMAGE", help="With --as-job: the image of the command line.")
    ] = None
    service_account: Annotated[
        str | None,
        typer.Option("--service-account", metavar="NAME", help="With --as-job: whose role at the store the pods have."),
    ] = None
    env_from: Annotated[
        str | None,
        typer.Option(
            "--env-from", metavar="SECRET", help="With --as-job: a Secret whose entries are the pods' environment."
        ),
    ] = None
