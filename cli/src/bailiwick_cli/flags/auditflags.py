"""The arguments of the commands of `audit`, one dataclass each. Standing: as `commandflags`, beside which it stands.

Holds: this is on the way of `--help`, so it imports nothing but typer.
"""

from dataclasses import dataclass
from typing import Annotated, Final

import typer

from bailiwick_cli.options import DocumentOutput, Flags, LogOutput

_FILES: Final = typer.Argument(metavar="FILE...", help="Log files, plain or compressed with gzip. - is stdin.")
_CHECKPOINTS: Final = typer.Option(
    "--checkpoints",
    metavar="FILE|cluster",
    help="Where the witness's checkpoints are: a file of notes or of ConfigMaps, or the cluster. Repeatable."
    " Checkpoints in the log files themselves are always used.",
)
_DOCUMENT: Final = typer.Option("--output", "-o", help="Output format.")
_LEAVES: Final = typer.Option(
    "--leaves",
    metavar="FILE",
    help="What `audit leaves` printed of lines that may be removed by now. Repeatable.",
)
_ITEM: Final = typer.Option("--item", metavar="N", help="The item of a batch, from 0.")
_WITNESS: Final = typer.Option(
    "--witness-key",
    metavar="KEY|FILE",
    help="The public key of the witness that you trust, or a file of them. Repeatable.",
)


@dataclass(frozen=True, kw_only=True)
class VerifyFlags(Flags):
    """Of `audit verify`."""

    files: Annotated[list[str], _FILES]
    checkpoints: Annotated[list[str] | None, _CHECKPOINTS] = None
    witness_key: Annotated[list[str] | None, _WITNESS] = None
    witness_quorum: Annotated[
        int,
        typer.Option(
            "--witness-quorum", metavar="N", min=1, help="How many of the witnesses whose keys are given must agree."
        ),
    ] = 1
    policies: Annotated[
        str | None,
        typer.Option(
            "--policies",
            metavar="FILE|ledger",
            help="Derive every decision again, by the policies of a file or folder, or by those that the ledger of the"
            " operator in the log files holds.",
        ),
    ] = None
    leaves: Annotated[list[str] | None, _LEAVES] = None
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="TIME", help="Do not ask for logs that ended before: a time in RFC 3339, or such as 24h."
        ),
    ] = None
    output: Annotated[LogOutput, typer.Option("--output", "-o", help="Output format.")] = LogOutput.TABLE


@dataclass(frozen=True, kw_only=True)
class ProveFlags(Flags):
    """Of `audit prove`."""

    evaluation_id: Annotated[str, typer.Argument(metavar="EVALUATION_ID")]
    files: Annotated[list[str], _FILES]
    checkpoints: Annotated[list[str] | None, _CHECKPOINTS] = None
    witness_key: Annotated[list[str] | None, _WITNESS] = None
    leaves: Annotated[list[str] | None, _LEAVES] = None
    item: Annotated[int | None, _ITEM] = None
    record: Annotated[
        str | None, typer.Option("--record", metavar="FILE", help="Also write the record to this file.")
    ] = None


@dataclass(frozen=True, kw_only=True)
class LeavesFlags(Flags):
    """Of `audit leaves`."""

    files: Annotated[list[str], _FILES]


@dataclass(frozen=True, kw_only=True)
class CheckpointFlags(Flags):
    """Of `audit checkpoint`."""

    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="FILE", help="Log files with the operator's ledger, whose checkpoints are used."),
    ] = None
    checkpoints: Annotated[
        list[str] | None,
        typer.Option(
            "--checkpoints",
            metavar="FILE|cluster",
            help="Where the witness's checkpoints are: a file of notes or of ConfigMaps, or the cluster. Repeatable."
            " Default without FILE: cluster.",
        ),
    ] = None
    witness_key: Annotated[list[str] | None, _WITNESS] = None


@dataclass(frozen=True, kw_only=True)
class CheckProofFlags(Flags):
    """Of `audit check-proof`."""

    proof: Annotated[str, typer.Argument(metavar="PROOF")]
    record: Annotated[str, typer.Argument(metavar="RECORD-FILE")]
    witness_key: Annotated[list[str] | None, _WITNESS] = None


@dataclass(frozen=True, kw_only=True)
class CheckValueFlags(Flags):
    """Of `audit check-value`."""

    evaluation_id: Annotated[str, typer.Argument(metavar="EVALUATION_ID")]
    files: Annotated[list[str], _FILES]
    hmac_key: Annotated[
        str,
        typer.Option(
            "--hmac-key", metavar="FILE", help="The key of the seals: the decision point's --record-hmac-key-file."
        ),
    ]
    value: Annotated[
        list[str],
        typer.Option(
            "--value",
            metavar="NAME=VALUE",
            help="An attribute as the record names it, and its value: JSON, or a text. Repeatable.",
        ),
    ]
    item: Annotated[int | None, _ITEM] = None
    output: Annotated[LogOutput, typer.Option("--output", "-o", help="Output format.")] = LogOutput.TABLE


@dataclass(frozen=True, kw_only=True)
class PolicyTextFlags(Flags):
    """Of `audit policy`."""

    digest: Annotated[str, typer.Argument(metavar="DIGEST")]
    files: Annotated[list[str], _FILES]
    output: Annotated[DocumentOutput, _DOCUMENT] = DocumentOutput.YAML


@dataclass(frozen=True, kw_only=True)
class EndedGrantFlags(Flags):
    """Of `audit grant`."""

    name: Annotated[str, typer.Argument(metavar="NAME")]
    files: Annotated[list[str], _FILES]
    output: Annotated[DocumentOutput, _DOCUMENT] = DocumentOutput.YAML


AUDIT: Final[dict[str, type[Flags]]] = {
    "verify": VerifyFlags,
    "checkpoint": CheckpointFlags,
    "leaves": LeavesFlags,
    "prove": ProveFlags,
    "check-proof": CheckProofFlags,
    "check-value": CheckValueFlags,
    "policy": PolicyTextFlags,
    "grant": EndedGrantFlags,
}
"""The commands of `audit`."""
