"""`kubectl bailiwick`, and `bailiwick`, which is the same without kubectl: the commands and their help.

Holds: `--help` imports no more than typer; each command imports what it needs when it runs.
"""

import os
import sys
from typing import Final

import typer

from bailiwick_cli.flags import (
    askflags,
    commandflags,
    consoleflags,
    diffflags,
    policyflags,
    replayflags,
    suggestflags,
    usageflags,
)
from bailiwick_cli.verbs import consoleverb, logverbs
from bailiwick_cli.verbs.auditgroup import audit
from bailiwick_cli.verbs.notifygroup import notify
from bailiwick_cli.verbs.registry import before_command, command

# ruff: noqa: PLC0415 - what a command needs is imported by it, so that nobody waits for it who only wants help

_PROGRAM: Final = "kubectl-bailiwick"
_COMPLETE: Final = "_KUBECTL_BAILIWICK_COMPLETE"
_STANDALONE: Final = "bailiwick"
_COMPLETE_STANDALONE: Final = "_BAILIWICK_COMPLETE"

app = typer.Typer(
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
before_command(
    app,
    "Request approvals, review them, and see what policies decide.\n\n"
    "Exit codes: 0 allowed, approved or intact, 1 denied, declined, changed or wider, 2 usage error or failure, 3"
    " approval required or pending, 4 wait timed out.",
)


@command(app, "list", commandflags.List)
def list_(options: commandflags.List) -> int:
    """List approval grants and their phases.

    Examples:
      kubectl bailiwick list -n crm
      kubectl bailiwick list --to-review -A
      kubectl bailiwick list --active -o wide --watch
    """
    from bailiwick_cli.commands import list as list_command

    return list_command.run(options)


@command(app, "show", commandflags.ShowFlags)
def show(options: commandflags.ShowFlags) -> int:
    """Show an approval grant in full.

    Shows the call, the requester, the steps, the reviews so far, and what the grant allows. The requester's own words
    stand apart at the end.

    Examples:
      kubectl bailiwick show agr-k3v9 -n crm
      kubectl bailiwick show agr-k3v9 -o yaml
    """
    from bailiwick_cli.commands import show

    return show.run(options)


@command(app, "approve", commandflags.ReviewFlags)
def approve(options: commandflags.ReviewFlags) -> int:
    """Show one approval request, then approve it.

    At a terminal, the command asks you to confirm. Without one, set --yes, and set --binding to the first hex digits
    of the binding that you were shown. This prevents you from approving another request of the same name.

    Examples:
      kubectl bailiwick approve agr-k3v9 --reason "seen with the customer"
      kubectl bailiwick approve agr-k3v9 --reason INC-4412 --step owner --group crm-owners
      kubectl bailiwick approve agr-k3v9 --reason INC-4412 --yes --binding 9f3ab02c
    """
    from bailiwick_cli.commands import review

    return review.run(options, "Approve")


@command(app, "deny", commandflags.ReviewFlags)
def deny(options: commandflags.ReviewFlags) -> int:
    """Show one approval request, then deny it.

    A denial is final.

    Examples:
      kubectl bailiwick deny agr-k3v9 --reason "not during the audit"
    """
    from bailiwick_cli.commands import review

    return review.run(options, "Deny")


@command(app, "revoke", commandflags.RevokeFlags)
def revoke(options: commandflags.RevokeFlags) -> int:
    """Revoke an approval grant. This is final.

    The next call that needs the grant is denied. A request that is still pending is withdrawn.

    Examples:
      kubectl bailiwick revoke agr-k3v9 --reason "incident closed"
    """
    from bailiwick_cli.commands import revoke

    return revoke.run(options)


@command(app, "request", commandflags.RequestFlags)
def request(options: commandflags.RequestFlags) -> int:
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
    from bailiwick_cli.commands import request

    return request.run(options)


@command(app, "wait", commandflags.WaitFlags)
def wait(options: commandflags.WaitFlags) -> int:
    """Wait until a grant is approved, or until it ends.

    Exits 0 when the condition is met, 1 when it can no longer be met, and 4 on timeout.

    Examples:
      kubectl bailiwick wait agr-k3v9 --timeout 30m && ./export.sh
      kubectl bailiwick wait agr-k3v9 --for ended
    """
    from bailiwick_cli.commands import wait

    return wait.run(options)


command(app, "console", consoleflags.ConsoleFlags)(consoleverb.console)
command(app, "serve-console", consoleflags.ServeConsoleFlags)(consoleverb.serve_console)


@command(app, "check", askflags.CheckFlags)
def check(options: askflags.CheckFlags) -> int:
    r"""Show what the policies decide for a call, and why.

    The command uses the same engine as the cluster. It evaluates the call as if an enforcer of the endpoint had asked
    and the subject were authenticated. The workload and the claims of the subject are unknown here, so a rule that
    needs them does not allow the call.

    Examples:
      kubectl bailiwick check --subject sa:agents/crm-agent customers.export customer/42 -n crm
      kubectl bailiwick check --subject sa:ops/secret-rotator secrets.read secret/db/main -n vault \
          --property env=prod --arg version=3 --call-context intent=rotation
      kubectl bailiwick check --subject sa:agents/crm-agent customers.list customer/7 -n crm -f policies.yaml
    """
    from bailiwick_cli.commands import check

    return check.run(options)


@command(app, "who-can", askflags.WhoCanFlags)
def who_can(options: askflags.WhoCanFlags) -> int:
    r"""Show who may do something: by which rule, given which conditions, and with whose approval.

    Nobody is left out: a Deny that takes an Allow away is counted, and what depends on a condition says so. In a
    cluster the command also shows who could change the answer, approve, or act as a service account that it names.
    Exits 0 if somebody can, also with an approval, 1 if nobody can, and 2 if the command could not answer.

    Examples:
      kubectl bailiwick who-can customers.export --on customer/42 -n crm
      kubectl bailiwick who-can customers.export --on customer/42 -f examples/crm/policy.yaml
      kubectl bailiwick who-can secrets.read --on secret/db/main --property env=prod -f examples/secrets/policy.yaml
    """
    from bailiwick_cli.commands import who_can

    return who_can.run(options)


@command(app, "what-can", askflags.WhatCanFlags)
def what_can(options: askflags.WhatCanFlags) -> int:
    """Show what somebody may do: actions and resources, given which conditions, and with whose approval.

    Groups count only where you name them. Exits 0 if there is something, also with an approval, 1 if there is nothing,
    and 2 if the command could not answer.

    Examples:
      kubectl bailiwick what-can sa:agents/crm-agent -n crm
      kubectl bailiwick what-can sa:agents/crm-agent -f examples/crm/policy.yaml
      kubectl bailiwick what-can user:corp/carol --member-of support -n crm
    """
    from bailiwick_cli.commands import what_can

    return what_can.run(options)


@command(app, "explain", askflags.ExplainFlags)
def explain(options: askflags.ExplainFlags) -> int:
    r"""Explain a decision: of a record in the decision log, or of a call as `check` takes it.

    Shows the verdict, the rule that decided, and of each rule that came near the first thing that was missing, with the
    values that its conditions read. What is sealed in the record stays sealed. Of a record that its own policies do not
    reproduce nothing is explained. Of a record the command exits 0 if it is explained, 1 if it is not reproduced, and 2
    if it is not there or its policies are not; of a call it exits as `check` does.

    Examples:
      kubectl bailiwick explain 01JD3Z8Q6W decisions.log ledger.log
      kubectl bailiwick explain 01JD3Z8Q6W decisions.log --policies policies/
      kubectl bailiwick explain customers.delete customer/42 --subject sa:agents/crm-agent -f examples/crm/policy.yaml
    """
    from bailiwick_cli.commands import explain

    return explain.run(options)


@command(app, "test", policyflags.SuiteFlags)
def test(options: policyflags.SuiteFlags) -> int:
    r"""Test policies: what each call must come to, by the engine that serves them. Only --live asks a cluster.

    A test file lists subjects, resources and calls, and expects Allow, Approval or Deny. A call that the file lists and
    for which it expects nothing must be denied. Exits 0 if all tests pass, 1 if one fails, and 2 if one could not be
    run: a policy or a test file has an error.

    Examples:
      kubectl bailiwick test examples/
      kubectl bailiwick test examples/crm/tests/policy_test.yaml --coverage
      kubectl bailiwick test examples/crm -o junit > report.xml
      helm template chart | kubectl bailiwick test tests/ -f -
      kubectl bailiwick test tests/ --live -n crm
    """
    from bailiwick_cli.commands import test

    return test.run(options)


@command(app, "validate", policyflags.ValidateFlags)
def validate(options: policyflags.ValidateFlags) -> int:
    """Tell what is wrong with policies and data before you apply them. Only --server asks a cluster.

    Errors are what the cluster would refuse. Warnings are what it would accept, and what is likely not what you meant.
    With --server the API server is asked too, by a dry run that changes nothing. Exits 0 if there is neither, 1 if
    there is one, and 2 if a file cannot be read, or the server does not say.

    Examples:
      kubectl bailiwick validate examples/crm
      kubectl bailiwick validate examples/crm/policy.yaml -o json
      kubectl bailiwick validate examples/crm --server -o sarif > policies.sarif
      kustomize build . | kubectl bailiwick validate -
    """
    from bailiwick_cli.commands import validate

    return validate.run(options)


@command(app, "init", policyflags.InitFlags)
def init(options: policyflags.InitFlags) -> int:
    r"""Write a first policy and its test into a folder. Needs no cluster, and overwrites no file.

    At a terminal, the command asks for what no flag gives. Without one, set --namespace, --endpoint, --enforcer,
    --subject, --resource, and --allow or --approve; --approve needs --reviewers.

    Examples:
      kubectl bailiwick init policies/crm
      kubectl bailiwick init policies/crm -n crm --endpoint crm-api --enforcer sa:crm/crm-api \
          --subject sa:agents/crm-agent --resource customer --allow customers.list --approve customers.export \
          --reviewers crm-owners
    """
    from bailiwick_cli.commands import init

    return init.run(options)


@command(app, "schema", policyflags.SchemaFlags)
def schema(options: policyflags.SchemaFlags) -> int:
    """Print the JSON Schema of a kind, for an editor that completes and checks YAML. Needs no cluster.

    Examples:
      kubectl bailiwick schema EndpointPolicy > endpointpolicy.schema.json
    """
    from bailiwick_cli.commands import schema

    return schema.run(options)


@command(app, "diff", diffflags.DiffFlags)
def diff(options: diffflags.DiffFlags) -> int:
    r"""Show which calls a change of policies lets further, and which less far.

    The command compares all calls at once, by the engine. Only --live asks a cluster. It never says that a change is
    safe because it found nothing: what it cannot compare may widen. Exits 0 if nothing widens, 1 if a change is one of
    --fail-on, and 2 if the policies cannot be read.

    Examples:
      kubectl bailiwick diff policies-before policies
      kubectl bailiwick diff policies --base origin/main
      kubectl bailiwick diff policies --live -n crm
      kubectl bailiwick diff policies --against ceiling.yaml --fail-on wider
      helm template chart | kubectl bailiwick diff policies.yaml - -o markdown
    """
    from bailiwick_cli.commands import diff

    return diff.run(options)


command(app, "replay", replayflags.ReplayFlags)(logverbs.replay)
command(app, "unused", usageflags.UnusedFlags)(logverbs.unused)
command(app, "suggest", suggestflags.SuggestFlags)(logverbs.suggest)
# Behind the others, so that the commands stand in their order.
app.add_typer(audit, name="audit", help="Verify the decision log, prove a record, and read the operator's ledger.")
app.add_typer(notify, name="notify", help="Try out the targets of notifications.")


def main() -> int:
    """Run as kubectl's plugin. Ends with `SystemExit`, as every typer program does."""
    # The shell completes the program; people call the plugin.
    return _run(_PROGRAM, "kubectl bailiwick", _COMPLETE)


def standalone() -> int:
    """Run the same as `bailiwick`, for machines without kubectl. Ends with `SystemExit` likewise."""
    return _run(_STANDALONE, _STANDALONE, _COMPLETE_STANDALONE)


def _run(program: str, called: str, complete: str) -> int:
    by_shell = complete in os.environ or {"--install-completion", "--show-completion"} & set(sys.argv)
    app(prog_name=program if by_shell else called, complete_var=complete)
    return 0
