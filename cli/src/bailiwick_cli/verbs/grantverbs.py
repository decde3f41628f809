"""The verbs on approval grants: what each takes, and its help. Standing: under `table`.

Holds: this is on the way of `--help`, so it imports nothing but typer.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final

import typer

from bailiwick_cli.grantnames import beginning
from bailiwick_cli.options import INSTALLATION, Flags, InstallationOption, Output


class WaitCondition(StrEnum):
    """What `wait` waits for."""

    APPROVED = "approved"
    ENDED = "ended"


def _complete_grant(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of a grant, for a shell; kubectl asks `complete` itself."""
    given = {**(ctx.obj or {}), **{name: value for name, value in ctx.params.items() if value}}
    return beginning(given, incomplete)


_GRANT: Final = typer.Argument(metavar="NAME", autocompletion=_complete_grant)
_REASON: Final = typer.Option("--reason", metavar="TEXT", help="The reason, for the record.")


@dataclass(frozen=True, kw_only=True)
class ListFlags(Flags):
    """List approval grants and their phases.

    Examples:
      kubectl bailiwick list -n crm
      kubectl bailiwick list --to-review -A
      kubectl bailiwick list --active -o wide --watch
    """

    mine: Annotated[bool, typer.Option("--mine", help="Show only grants that you requested or that apply to you.")] = (
        False
    )
    to_review: Annotated[bool, typer.Option("--to-review", help="Show only grants that you can review.")] = False
    active: Annotated[bool, typer.Option("--active", help="Show only grants that can be used now.")] = False
    all_namespaces: Annotated[bool, typer.Option("--all-namespaces", "-A", help="List across all namespaces.")] = False
    watch: Annotated[bool, typer.Option("--watch", "-w", help="After listing, print a line for each change.")] = False
    output: Annotated[Output, typer.Option("--output", "-o", help="Output format.")] = Output.TABLE
    no_headers: Annotated[bool, typer.Option("--no-headers", help="Omit the header line.")] = False


@dataclass(frozen=True, kw_only=True)
class ShowFlags(Flags):
    """Show an approval grant in full.

    Shows the call, the requester, the steps, the reviews so far, and what the grant allows. The requester's own words
    stand apart at the end.

    Examples:
      kubectl bailiwick show agr-k3v9 -n crm
      kubectl bailiwick show agr-k3v9 -o yaml
    """

    name: Annotated[str, _GRANT]
    output: Annotated[Output, typer.Option("--output", "-o", help="Output format.")] = Output.TABLE


@dataclass(frozen=True, kw_only=True)
class ReviewFlags(Flags):
    """What a review takes, an approval or a denial."""

    names: Annotated[list[str], _GRANT]
    reason: Annotated[
        str | None,
        typer.Option("--reason", metavar="TEXT", help="The reason, for the record. An approval needs one."),
    ] = None
    step: Annotated[
        str | None,
        typer.Option("--step", metavar="NAME", help="The step to review. Required if you can review several."),
    ] = None
    group: Annotated[
        str | None, typer.Option("--group", metavar="NAME", help="The group of the step to review for.")
    ] = None
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation. Requires --binding.")] = False
    binding: Annotated[
        str | None,
        typer.Option(
            "--binding", metavar="HEX", help="The first hex digits, at least 8, of the binding that you were shown."
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class ApproveFlags(ReviewFlags):
    """Show one approval request, then approve it.

    At a terminal, the command asks you for a reason and to confirm. Without one, set --reason and --yes, and set
    --binding to the first hex digits of the binding that you were shown. This prevents you from approving another
    request of the same name.

    Examples:
      kubectl bailiwick approve agr-k3v9 -n crm
      kubectl bailiwick approve agr-k3v9 --reason "seen with the customer"
      kubectl bailiwick approve agr-k3v9 --reason INC-4412 --step owner --group crm-owners
      kubectl bailiwick approve agr-k3v9 --reason INC-4412 --yes --binding 9f3ab02c
      kubectl bailiwick approve agr-k3v9 --reason INC-4412 --key ~/.ssh/id_ed25519_sk
    """

    key: Annotated[
        str | None,
        typer.Option(
            "--key",
            metavar="FILE",
            help="For a step with a signature: your SSH key, or its public key if ssh-agent holds it.",
        ),
    ] = None
    signature: Annotated[
        str | None,
        typer.Option("--signature", metavar="FILE", help="The signature of what `statement` printed. - is stdin."),
    ] = None
    installation: InstallationOption = INSTALLATION


@dataclass(frozen=True, kw_only=True)
class StatementFlags(Flags):
    """Print what an approval signs, to sign it elsewhere.

    Prints the exact bytes, without a line break at the end. Sign them with `ssh-keygen -Y sign`, in the namespace
    review@bailiwick.dev. Give the signature to `approve --signature`, with the same step, group and reason.

    Examples:
      kubectl bailiwick statement agr-k3v9 --step owner --reason INC-4412 > statement
      kubectl bailiwick approve agr-k3v9 --step owner --reason INC-4412 --signature statement.sig
    """

    name: Annotated[str, _GRANT]
    step: Annotated[
        str | None,
        typer.Option("--step", metavar="NAME", help="The step to approve. Required if you can review several."),
    ] = None
    group: Annotated[
        str | None, typer.Option("--group", metavar="NAME", help="The group of the step to review for.")
    ] = None
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="The reason, as `approve` gets it.")] = ""


@dataclass(frozen=True, kw_only=True)
class DenyFlags(ReviewFlags):
    """Show one approval request, then deny it.

    A denial is final.

    Examples:
      kubectl bailiwick deny agr-k3v9 --reason "not during the audit"
    """


@dataclass(frozen=True, kw_only=True)
class RevokeFlags(Flags):
    """Revoke an approval grant. This is final.

    The next call that needs the grant is denied. A request that is still pending is withdrawn.

    Examples:
      kubectl bailiwick revoke agr-k3v9 --reason "incident closed"
    """

    names: Annotated[list[str], _GRANT]
    reason: Annotated[str, _REASON]


@dataclass(frozen=True, kw_only=True)
class TakeBackFlags(Flags):
    """Take back a subject's tokens, grants and reviews.

    Every decision point denies its earlier tokens within a second (identity_revoked). Its grants end, and so do grants
    that hold an Approve of its. New tokens count, unless you set --hold. You need only the right to create
    subjectrevocations (role bailiwick-take-back), which cannot give a subject back.

    The API server knows nothing of it: remove the subject's roles there, or delete its pods.

    SUBJECT is sa:NAMESPACE/NAME for a service account; ISSUER:SUB for a person of an issuer in the issuers file, by the
    claim sub or by the name that policies use; or user:USERNAME by the API server's name of a person, which also stops
    a reviewer.

    Examples:
      kubectl bailiwick take-back sa:agents/crm-agent --hold --reason "INC-7: runs what it was not asked for"
      kubectl bailiwick take-back corp:99beb27c --reason "laptop stolen"
      kubectl bailiwick take-back user:oidc:carol --reason "left the team" --for 720h
      kubectl get subjectrevocations
    """

    subject: Annotated[str, typer.Argument(metavar="SUBJECT")]
    reason: Annotated[str, _REASON]
    hold: Annotated[bool, typer.Option("--hold", help="Refuse new tokens too, until it ends.")] = False
    lasting: Annotated[
        str | None,
        typer.Option("--for", metavar="TIME", help="How long it lasts. Default: 24h, or 720h with --hold."),
    ] = None
    output: Annotated[Output, typer.Option("--output", "-o", help="Output format.")] = Output.TABLE


@dataclass(frozen=True, kw_only=True)
class RequestFlags(Flags):
    r"""Request an approval in advance.

    The grant covers a scope: subject, action, resource, and the properties that you name. Only rules with
    `binding: Scope` accept such a grant. It needs every review that its rules require. You need the verb request on
    the policies of these rules.

    Examples:
      kubectl bailiwick request secrets.read 'secret/db/*' -n vault --endpoint vault-api \
          --subject sa:ops/secret-rotator --reason "INC-7 database down"
      kubectl bailiwick request secrets.read secret/db/main -n vault --endpoint vault-api \
          --subject sa:ops/secret-rotator --reason INC-7 --uses 5 --window 30m --wait 10m
    """

    action: Annotated[str, typer.Argument(metavar="ACTION")]
    resource: Annotated[str, typer.Argument(metavar="TYPE/ID", help="The id may end in * after one of . : /")]
    endpoint: Annotated[str, typer.Option("--endpoint", metavar="NAME", help="The endpoint of the calls.")]
    subject: Annotated[str, typer.Option("--subject", metavar="sa:NAMESPACE/NAME", help="The subject of the calls.")]
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="The reason. Reviewers see it.")]
    rule: Annotated[
        list[str] | None,
        typer.Option("--rule", metavar="POLICY/RULE", help="Default: the rules that apply to these calls."),
    ] = None
    properties: Annotated[
        list[str] | None, typer.Option("--property", metavar="NAME=VALUE", help="A property of the resource.")
    ] = None
    intent: Annotated[
        str | None, typer.Option("--intent", metavar="NAME", help="The declared intent of the calls.")
    ] = None
    window: Annotated[
        str | None,
        typer.Option("--window", metavar="TIME", help="How long the grant can be used. Default: as the rule says."),
    ] = None
    uses: Annotated[
        int | None, typer.Option("--uses", metavar="N", min=1, help="How many uses. Default: as the rule says.")
    ] = None
    pending: Annotated[
        str, typer.Option("--pending", metavar="TIME", help="How long the request waits for reviews, at most 24h.")
    ] = "1h"
    wait: Annotated[
        str | None, typer.Option("--wait", metavar="TIME", help="Wait for the approval, at most this long.")
    ] = None
    output: Annotated[Output, typer.Option("--output", "-o", help="Output format.")] = Output.NAME


@dataclass(frozen=True, kw_only=True)
class WaitFlags(Flags):
    """Wait until a grant is approved, or until it ends.

    Exits 0 when the condition is met, 1 when it can no longer be met, and 4 on timeout.

    Examples:
      kubectl bailiwick wait agr-k3v9 --timeout 30m && ./export.sh
      kubectl bailiwick wait agr-k3v9 --for ended
    """

    name: Annotated[str, _GRANT]
    until: Annotated[WaitCondition, typer.Option("--for", help="The condition to wait for.")] = WaitCondition.APPROVED
    timeout: Annotated[str, typer.Option("--timeout", metavar="TIME", help="How long to wait.")] = "10m"
