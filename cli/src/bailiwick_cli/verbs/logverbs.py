"""The commands that look at policies by a log of decisions, and their help. Standing: under `main`, which adds them.

Holds: as `main`.
"""

from bailiwick_cli.flags import replayflags, suggestflags, usageflags

# ruff: noqa: PLC0415 - what a command needs is imported by it, so that nobody waits for it who only wants help


def replay(options: replayflags.ReplayFlags) -> int:
    r"""Show what the decisions of a log would have come to under other policies. Needs no cluster.

    Each recorded call is decided again, by the engine: first by the policies that decided it, then by the candidate. A
    record that its own policies do not reproduce is no evidence. How much of the log counts stands first. Exits 0 if
    no decision is of --fail-on, 1 if one is, and 2 if nothing could be replayed.

    Examples:
      kubectl bailiwick replay decisions.log* ledger.log --candidate policies/crm
      kubectl bailiwick replay decisions.log ledger.log --candidate crm-agent.yaml --overlay --fail-on 'allow->deny'
      kubectl bailiwick replay decisions.log --policies policies-before --candidate policies --since 7d -o markdown
    """
    from bailiwick_cli.commands import replay

    return replay.run(options)


def unused(options: usageflags.UnusedFlags) -> int:
    r"""Show which rules let which subjects through, and which did not for a while. Needs no cluster.

    A use is a call that a rule allowed, or that an approval let through. A rule that was not there for all of the
    window, and every rule of a log that is not whole, is not yet known. Exits 0 if nothing is unused, 1 if something
    is, and 2 if the command could not answer.

    Examples:
      kubectl bailiwick unused decisions.log* ledger.log -f policies
      kubectl bailiwick unused decisions.log ledger.log -f policies --state uses.json --window 30d -o json
    """
    from bailiwick_cli.commands import unused

    return unused.run(options)


def suggest(options: suggestflags.SuggestFlags) -> int:
    r"""Suggest how to narrow policies to what a log shows that they are used for. Needs no cluster.

    Suggests shorter lists of actions, resources and subjects, and bounds on numbers, each with the uses that speak for
    it. What is shown was tried: `diff` says only narrower, and `replay` of the log turns no decision. Nothing is
    applied. Uses of the last day of the log do not count. What is not yet known (see `unused`) stays as it is.

    Exits 0 if there is nothing to suggest, 1 if there is, and 2 if the command could not answer.

    Examples:
      kubectl bailiwick suggest decisions.log* ledger.log -f policies
      kubectl bailiwick suggest decisions.log ledger.log -f policies --since 30d --unused remove --write narrower
      kubectl bailiwick suggest decisions.log ledger.log -f policies --approvers crm-owners -o patch
    """
    from bailiwick_cli.commands import suggest

    return suggest.run(options)
