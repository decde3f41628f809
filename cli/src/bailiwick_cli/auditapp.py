"""The commands of `kubectl bailiwick audit` and their help. Standing: under `main`, which puts them below its own.

Holds: `--help` imports no more than typer; each command imports what it needs when it runs.
"""

import typer

from bailiwick_cli import auditflags
from bailiwick_cli.registry import command

# ruff: noqa: PLC0415 - what a command needs is imported by it, so that nobody waits for it who only wants help

audit = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, no_args_is_help=True)


@command(audit, "verify", auditflags.VerifyFlags)
def verify(options: auditflags.VerifyFlags) -> int:
    r"""Verify the decision log: tell of each chain whether it is intact, and what was removed or changed.

    Files may be rotated, cut anywhere, compressed, and given in any order. The command never says that nobody
    tampered: it says up to when nothing was removed or changed. Exits 0 if nothing was, 1 if something was, and 2 if
    it could not be told.

    Examples:
      kubectl bailiwick audit verify decisions.log* --checkpoints cluster
      kubectl bailiwick audit verify decisions.log ledger.log --witness-key witness.vkey --policies ledger
      zcat archive/*.gz | kubectl bailiwick audit verify - --checkpoints checkpoints.yaml \
          --witness-key witness.vkey -o json
    """
    from bailiwick_cli.commands.audit import verify

    return verify.run(options)


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


@command(audit, "policy", auditflags.PolicyTextFlags)
def policy(options: auditflags.PolicyTextFlags) -> int:
    """Print the policy that has a digest, from the operator's ledger.

    A record names the digest of each policy that was in force. Give at least its first 8 digits.

    Examples:
      kubectl bailiwick audit policy sha256:9f3ab02c ledger.log
    """
    from bailiwick_cli.commands.audit import ledger

    return ledger.policy(options)


@command(audit, "grant", auditflags.EndedGrantFlags)
def grant(options: auditflags.EndedGrantFlags) -> int:
    """Print how a grant ended, from the operator's ledger.

    Examples:
      kubectl bailiwick audit grant agr-k3v9 ledger.log -n crm
    """
    from bailiwick_cli.commands.audit import ledger

    return ledger.grant(options)
