"""The verbs of `audit`, on the decision log: what each takes, and its help. Standing: under `table`.

Holds: this is on the way of `--help`, so it imports nothing but typer.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final

import typer

from bailiwick_cli.options import (
    LOG_HELP,
    ClusterNameOption,
    DocumentOutput,
    Flags,
    LogOutput,
    ModifiedSinceOption,
    PasskeyOriginOption,
    ReviewersInstallationOption,
)
from bailiwick_cli.verbs.shardflags import ShardFlags

_FILES: Final = typer.Argument(metavar="FILE...", help=LOG_HELP)


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


class VerifyFailure(StrEnum):
    """What else a log can fail on."""

    UNPROVEN = "unproven"


@dataclass(frozen=True, kw_only=True)
class EvidenceFlags(Flags):
    """What a log is verified by: of every verb that says whether it is intact."""

    files: Annotated[list[str], _FILES]
    checkpoints: Annotated[list[str] | None, _CHECKPOINTS] = None
    witness_key: Annotated[
        list[str] | None,
        typer.Option(
            "--witness-key",
            metavar="[CLUSTER=]KEY|FILE",
            help="The public key of the witness that you trust, or a file of them. CLUSTER=: it counts for this cluster"
            " alone; then name the cluster of each. Repeatable.",
        ),
    ] = None
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
    fail_on: Annotated[
        list[VerifyFailure] | None,
        typer.Option(
            "--fail-on",
            help="Also exit with 1 on a call that is on record as allowed and cannot be derived. Needs --policies.",
        ),
    ] = None
    registrar_key: Annotated[
        list[str] | None,
        typer.Option(
            "--registrar-key",
            metavar="FILE",
            help="Verify signed reviews by the files of reviewers' keys that these registrars signed, which the ledger"
            " of the operator in the log files holds. A file of public keys, one .pub line each; repeatable.",
        ),
    ] = None
    registrar_quorum: Annotated[
        int | None,
        typer.Option(
            "--registrar-quorum",
            metavar="N",
            min=1,
            help="How many of the registrars must have signed, as in the cluster. Required with several keys.",
        ),
    ] = None
    reviewers_installation: ReviewersInstallationOption = None
    passkey_origin: PasskeyOriginOption = None
    leaves: Annotated[list[str] | None, _LEAVES] = None
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="TIME", help="Do not ask for logs that ended before: a time in RFC 3339, or such as 24h."
        ),
    ] = None
    modified_since: ModifiedSinceOption = None


@dataclass(frozen=True, kw_only=True)
class VerifyFlags(EvidenceFlags, ShardFlags):
    r"""Verify that the decision log is intact.

    Says of each chain whether it is intact, and what was removed or changed. Files may be rotated, cut anywhere,
    compressed, and given in any order. The command never says that the log is untouched: it says up to when nothing
    was removed or changed. Exits 0 if nothing was, 1 if something was, and 2 if the command could not answer.

    Examples:
      kubectl bailiwick audit verify decisions.log* --checkpoints cluster
      kubectl bailiwick audit verify decisions.log ledger.log --witness-key witness.vkey --policies ledger \
          --fail-on unproven
      zcat archive/*.gz | kubectl bailiwick audit verify - --checkpoints checkpoints.yaml \
          --witness-key witness.vkey -o json
      kubectl bailiwick audit verify s3://bailiwick-records/2026 --witness-key witness.vkey
      kubectl bailiwick audit verify s3://bailiwick-records/2026 --witness-key witness.vkey \
          --shards 8 --shard 0 > shard-0.json
      kubectl bailiwick audit verify east.log west.log --witness-key east=east.vkey --witness-key west=west.vkey \
          --cluster-log clusters --cluster-log-key log.vkey --cluster-log-witness outside.vkey
    """

    cluster_log: Annotated[
        str | None,
        typer.Option(
            "--cluster-log",
            metavar="PLACE",
            help="A log of all clusters' checkpoints, in the form of C2SP tlog-tiles: a folder, or below"
            " s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX. Needs --cluster-log-key, and"
            " CLUSTER= before each --witness-key.",
        ),
    ] = None
    cluster_log_key: Annotated[
        str | None,
        typer.Option(
            "--cluster-log-key", metavar="KEY|FILE", help="The public key that signs the checkpoints of this log."
        ),
    ] = None
    cluster_log_witness: Annotated[
        list[str] | None,
        typer.Option(
            "--cluster-log-witness",
            metavar="KEY|FILE",
            help="The public key of a witness that cosigns this log. Repeatable.",
        ),
    ] = None
    cluster_log_quorum: Annotated[
        int | None,
        typer.Option(
            "--cluster-log-quorum",
            metavar="N",
            min=1,
            help="How many of these witnesses must have cosigned. Default: 1 if a key of one is given.",
        ),
    ] = None
    cluster_log_checkpoint: Annotated[
        list[str] | None,
        typer.Option(
            "--cluster-log-checkpoint",
            metavar="FILE",
            help="An earlier checkpoint of this log that you kept: the log must continue it. Repeatable.",
        ),
    ] = None
    cluster_log_age: Annotated[
        str | None,
        typer.Option(
            "--cluster-log-age",
            metavar="TIME",
            help="How old the newest checkpoint of each cluster, and of this log, may be. Default: 26h.",
        ),
    ] = None
    output: Annotated[LogOutput, typer.Option("--output", "-o", help="Output format.")] = LogOutput.TABLE


class MergeOutput(StrEnum):
    """How a sum of shards is printed: as the command that was divided prints it."""

    TABLE = "table"
    JSON = "json"
    JUNIT = "junit"
    MARKDOWN = "markdown"


@dataclass(frozen=True, kw_only=True)
class MergeFlags(Flags):
    """Add up the shards of a divided command.

    Prints what one process would have printed of the whole log, and exits with the code of the divided command: `audit
    verify`, `replay` or `unused`. Exits 2 if a shard is missing, there twice, cut, or of another log, command, option
    or version. A file may also be the log of a pod: what the command said on stderr is passed over.

    Examples:
      kubectl bailiwick audit merge shard-*.json
      kubectl bailiwick audit merge shard-*.json -o json
    """

    files: Annotated[list[str], typer.Argument(metavar="SHARD...", help="What each shard printed. - is stdin.")]
    output: Annotated[MergeOutput, typer.Option("--output", "-o", help="Output format.")] = MergeOutput.TABLE


class AuditReportOutput(StrEnum):
    """How the report for an auditor is printed."""

    HTML = "html"
    JSON = "json"
    MARKDOWN = "markdown"


@dataclass(frozen=True, kw_only=True)
class AuditReportFlags(EvidenceFlags):
    r"""Write one page about a period, for an auditor.

    Says who did what by which approval, who reviewed, what was denied, what was lost and what is not known. The page
    begins with what `verify` says of the whole log, and the exit code is that of `verify`: 0 if nothing was removed or
    changed, 1 if something was, and 2, without a page, if the command could not answer. The page needs no network and
    no script: print it to PDF with a browser.

    Examples:
      kubectl bailiwick audit report decisions.log ledger.log --witness-key witness.vkey \
          --from 2026-03-01 --to 2026-04-01 > march.html
      kubectl bailiwick audit report s3://bailiwick-records/2026 --witness-key witness.vkey --from 720h --to 0h \
          --cluster-name production-east -o markdown
    """

    begin: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="TIME",
            help="Where the period begins: a time in RFC 3339, a day, or how long ago, such as 720h.",
        ),
    ]
    end: Annotated[
        str, typer.Option("--to", metavar="TIME", help="Where the period ends. This moment is not part of it.")
    ]
    cluster_name: ClusterNameOption = None
    top: Annotated[
        int,
        typer.Option("--top", metavar="N", min=1, max=1000, help="How many rows a table has. The rest is counted."),
    ] = 50
    output: Annotated[AuditReportOutput, typer.Option("--output", "-o", help="Output format.")] = AuditReportOutput.HTML


@dataclass(frozen=True, kw_only=True)
class CheckpointFlags(Flags):
    """Print the newest checkpoint of each log, to keep elsewhere.

    Keep the checkpoints where no one in the cluster can write. They are signed notes, which --checkpoints of the other
    commands reads again. With them you can tell later that lines were removed or changed which the witness saw until
    now, whatever happens to the cluster and its witness.

    Examples:
      kubectl bailiwick audit checkpoint > "checkpoints-$(date -I)"
      kubectl bailiwick audit checkpoint ledger.log --witness-key witness.vkey > checkpoints.notes
      kubectl bailiwick audit checkpoint --context east --witness-key east.vkey --since 2d --entries entries
    """

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
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="TIME",
            help="Leave out logs that a witness cosigned last before: a time in RFC 3339, or such as 2d.",
        ),
    ] = None
    entries: Annotated[
        str | None,
        typer.Option(
            "--entries",
            metavar="FOLDER",
            help="Write each checkpoint to a file in this folder, as an entry of a log of all clusters.",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class LeavesFlags(Flags):
    """Print the leaf hash of each line, to keep without the line.

    A leaf says nothing of what stood in the line. With it, `verify --leaves` tells a line that you removed from one
    that somebody else did, and `prove --leaves` still proves the lines that are left.

    Examples:
      kubectl bailiwick audit leaves decisions-2025.log > leaves-2025
    """

    files: Annotated[list[str], _FILES]


@dataclass(frozen=True, kw_only=True)
class ProveFlags(Flags):
    r"""Print a proof that one record is in the log.

    The proof is for somebody who does not have the log: a file of C2SP's tlog-proof. Hand it over with the record and
    the witness's public key.

    Examples:
      kubectl bailiwick audit prove 01JD3Z8Q6W decisions.log* --checkpoints checkpoints.yaml \
          --witness-key witness.vkey --record record.json > record.tlog-proof
    """

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
class CheckProofFlags(Flags):
    """Check a proof that a record was in the log.

    The proof holds for the moment when the witness cosigned the log. Needs neither the log nor the cluster. Exits 0 if
    it is proven, 1 if not, and 2 if there is no proof to read.

    Examples:
      kubectl bailiwick audit check-proof record.tlog-proof record.json --witness-key witness.vkey
    """

    proof: Annotated[str, typer.Argument(metavar="PROOF")]
    record: Annotated[str, typer.Argument(metavar="RECORD-FILE")]
    witness_key: Annotated[list[str] | None, _WITNESS] = None


@dataclass(frozen=True, kw_only=True)
class CheckValueFlags(Flags):
    r"""Check a value against the HMAC that a record keeps of it.

    You need the key that the decision point sealed it with. Neither the key nor a value is printed. Exits 0 if each
    value is the sealed one, 1 if one is another, and 2 if the command could not answer.

    Examples:
      kubectl bailiwick audit check-value 01JD3Z8Q6W decisions.log --hmac-key record.key \
          --value context.iban=DE89370400440532013000
      kubectl bailiwick audit check-value 01JD3Z8Q6W decisions.log --hmac-key record.key \
          --value context.args="$(cat arguments.json)"
    """

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
    """Print a policy by its digest, from the operator's ledger.

    A record names the digest of each policy that was in force. Give at least its first 8 digits.

    Examples:
      kubectl bailiwick audit policy sha256:9f3ab02c ledger.log
      kubectl bailiwick audit policy sha256:9f3ab02c ledger.log -o json | jq .spec.rules
    """

    digest: Annotated[str, typer.Argument(metavar="DIGEST")]
    files: Annotated[list[str], _FILES]
    output: Annotated[DocumentOutput, _DOCUMENT] = DocumentOutput.YAML


@dataclass(frozen=True, kw_only=True)
class EndedGrantFlags(Flags):
    """Print how a grant ended, from the operator's ledger.

    Examples:
      kubectl bailiwick audit grant agr-k3v9 ledger.log -n crm
      kubectl bailiwick audit grant crm/agr-k3v9 ledger.log -o json | jq -r .phase
    """

    name: Annotated[str, typer.Argument(metavar="NAME")]
    files: Annotated[list[str], _FILES]
    output: Annotated[DocumentOutput, _DOCUMENT] = DocumentOutput.YAML
