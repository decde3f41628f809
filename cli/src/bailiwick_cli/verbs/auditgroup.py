"""`kubectl bailiwick audit`: the commands on the decision log, and their help. Standing: under `main`.

Holds: as `main`.
"""

import typer

from bailiwick_cli.flags import auditflags
from bailiwick_cli.verbs.registry import command

# ruff: noqa: PLC0415 - what a command needs is imported by it, so that nobody waits for it who only wants help

audit = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, no_args_is_help=True)


@command(audit, "verify", auditflags.VerifyFlags)
def verify(options: auditflags.VerifyFlags) -> int:
    r"""Verify the decision log: tell of each chain whether it is intact, and what was removed or changed.

    Files may be rotated, cut anywhere, compressed, and given in any order. The command never says that nobody
    tampered: it says up to when nothing was removed or changed. Exits 0 if nothing was, 1 if something was, and 2 if
    the command could not answer.

    Examples:
      kubectl bailiwick audit verify decisions.log* --checkpoints cluster
      kubectl bailiwick audit verify decisions.log ledger.log --witness-key witness.vkey --policies ledger
      zcat archive/*.gz | kubectl bailiwick audit verify - --checkpoints checkpoints.yaml \
          --witness-key witness.vkey -o json
    """
    from bailiwick_cli.commands.audit import verify

    return verify.run(options)


@command(audit, "checkpoint", auditflags.CheckpointFlags)
def checkpoint(options: auditflags.CheckpointFlags) -> int:
    """Print the newest checkpoint of each log, to keep it where nobody of the cluster can write.

    They are signed notes, which --checkpoints of the other commands reads again. With them you can tell later that
    lines were removed or changed which the witness saw until now, whatever happens to the cluster and its witness.

    Examples:
      kubectl bailiwick audit checkpoint > "checkpoints-$(date -I)"
      kubectl bailiwick audit checkpoint ledger.log --witness-key witness.vkey > checkpoints.notes
    """
    from bailiwick_cli.commands.audit import checkpoint

    return checkpoint.run(options)


@command(audit, "leaves", auditflags.LeavesFlags)
def leaves(options: auditflags.LeavesFlags) -> int:
    """Print the leaf hash of each line, to keep it when you remove the line.

    A leaf says nothing of what stood in the line. With it, `verify --leaves` tells a line that you removed from one
    that somebody else did, and `prove --leaves` still proves the lines that are left.

    Examples:
      kubectl bailiwick audit leaves decisions-2025.log > leaves-2025
    """
    from bailiwick_cli.commands.audit import leaves

    return leaves.run(options)


@command(audit, "prove", auditflags.ProveFlags)
def prove(options: auditflags.ProveFlags) -> int:
    r"""Print a proof that one record is in the log, for somebody who does not have the log.

    The proof is a file of C2SP's tlog-proof. Hand it over with the record and the witness's public key.

    Examples:
      kubectl bailiwick audit prove 01JD3Z8Q6W decisions.log* --checkpoints checkpoints.yaml \
          --witness-key witness.vkey --record record.json > record.tlog-proof
    """
    from bailiwick_cli.commands.audit import prove

    return prove.run(options)


@command(audit, "check-proof", auditflags.CheckProofFlags)
def check_proof(options: auditflags.CheckProofFlags) -> int:
    """Check a proof that a record was in the log when the witness cosigned it.

    Needs neither the log nor the cluster. Exits 0 if it is proven, 1 if not, and 2 if there is no proof to read.

    Examples:
      kubectl bailiwick audit check-proof record.tlog-proof record.json --witness-key witness.vkey
    """
    from bailiwick_cli.commands.audit import check_proof

    return check_proof.run(options)


@command(audit, "check-value", auditflags.CheckValueFlags)
def check_value(options: auditflags.CheckValueFlags) -> int:
    r"""Check whether the value that a record keeps only as an HMAC is one that you have.

    You need the key that the decision point sealed it with. Neither the key nor a value is printed. Exits 0 if each
    value is the sealed one, 1 if one is another, and 2 if the command could not answer.

    Examples:
      kubectl bailiwick audit check-value 01JD3Z8Q6W decisions.log --hmac-key record.key \
          --value context.iban=DE89370400440532013000
      kubectl bailiwick audit check-value 01JD3Z8Q6W decisions.log --hmac-key record.key \
          --value context.args="$(cat arguments.json)"
    """
    from bailiwick_cli.commands.audit import check_value

    return check_value.run(options)


@command(audit, "policy", auditflags.PolicyTextFlags)
def policy(options: auditflags.PolicyTextFlags) -> int:
    """Print the policy that has a digest, from the operator's ledger.

    A record names the digest of each policy that was in force. Give at least its first 8 digits.

    Examples:
      kubectl bailiwick audit policy sha256:9f3ab02c ledger.log
      kubectl bailiwick audit policy sha256:9f3ab02c ledger.log -o json | jq .spec.rules
    """
    from bailiwick_cli.commands.audit import ledger

    return ledger.policy(options)


@command(audit, "grant", auditflags.EndedGrantFlags)
def grant(options: auditflags.EndedGrantFlags) -> int:
    """Print how a grant ended, from the operator's ledger.

    Examples:
      kubectl bailiwick audit grant agr-k3v9 ledger.log -n crm
      kubectl bailiwick audit grant crm/agr-k3v9 ledger.log -o json | jq -r .phase
    """
    from bailiwick_cli.commands.audit import ledger

    return ledger.grant(options)
