"""The verbs on files of policies: what each takes, and its help. Standing: under `table`.

Holds: this is on the way of `--help`, so it imports nothing but typer.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import typer

from bailiwick_cli.options import Flags


class SuiteOutput(StrEnum):
    """How the result of tests is printed."""

    TABLE = "table"
    JSON = "json"
    JUNIT = "junit"


class FindingOutput(StrEnum):
    """How what is wrong with policies is printed."""

    TABLE = "table"
    JSON = "json"
    SARIF = "sarif"


class DiffOutput(StrEnum):
    """How differences are printed."""

    TABLE = "table"
    JSON = "json"
    SARIF = "sarif"
    MARKDOWN = "markdown"


class FailOn(StrEnum):
    """Which classes of differences exit with 1."""

    WIDER = "wider"
    CHANGED = "changed"
    ANY = "any"


@dataclass(frozen=True, kw_only=True)
class SuiteFlags(Flags):
    """Run the tests of policies.

    The engine that serves policies decides each call of a test. Only --live asks a cluster. A test file lists subjects,
    resources and calls, and expects Allow, Approval or Deny. A call that the file lists and for which it expects
    nothing must be denied. Exits 0 if all tests pass, 1 if one fails, and 2 if one could not be run: a policy or a test
    file has an error.

    Examples:
      kubectl bailiwick test examples/
      kubectl bailiwick test examples/crm/tests/policy_test.yaml --coverage
      kubectl bailiwick test examples/crm -o junit > report.xml
      helm template chart | kubectl bailiwick test tests/ -f -
      kubectl bailiwick test tests/ --live -n crm
    """

    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="Test files, or folders with files named *_test.yaml.")
    ]
    file: Annotated[
        list[str] | None,
        typer.Option(
            "--filename",
            "-f",
            metavar="FILE",
            help="Test these policies instead of those that the test files name. - is stdin.",
        ),
    ] = None
    live: Annotated[
        bool,
        typer.Option("--live", help="Test the policies of the namespace in the cluster instead, as they are in force."),
    ] = False
    filter: Annotated[
        str | None,
        typer.Option("--filter", metavar="TEXT", help="Run only tests whose name contains this, or matches it with *."),
    ] = None
    coverage: Annotated[
        bool, typer.Option("--coverage", help="Also show the rules, conditions and actions that no test covers.")
    ] = False
    shuffle: Annotated[
        int,
        typer.Option(
            "--shuffle", metavar="N", min=0, help="Run N more times, with policies, rules and tests in another order."
        ),
    ] = 0
    output: Annotated[SuiteOutput, typer.Option("--output", "-o", help="Output format.")] = SuiteOutput.TABLE


@dataclass(frozen=True, kw_only=True)
class ValidateFlags(Flags):
    """Check policies and data before you apply them.

    Errors are what the cluster would refuse. Warnings are what it would accept, and what is likely not what you meant.
    Only --server asks a cluster: a dry run at the API server, which changes nothing. Exits 0 if there is neither, 1 if
    there is one, and 2 if a file cannot be read, or the server does not say.

    Examples:
      kubectl bailiwick validate examples/crm
      kubectl bailiwick validate examples/crm/policy.yaml -o json
      kubectl bailiwick validate examples/crm --server -o sarif > policies.sarif
      kustomize build . | kubectl bailiwick validate -
    """

    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="Files and folders of policies and data. - is stdin.")
    ]
    server: Annotated[
        bool,
        typer.Option(
            "--server", help="Also ask the API server, by a dry run: what admission there refuses is an error too."
        ),
    ] = False
    output: Annotated[FindingOutput, typer.Option("--output", "-o", help="Output format.")] = FindingOutput.TABLE


@dataclass(frozen=True, kw_only=True)
class InitFlags(Flags):
    r"""Write a first policy and its test into a folder.

    Needs no cluster, and overwrites no file. At a terminal, the command asks for what no flag gives. Without one, set
    --namespace, --endpoint, --enforcer, --subject, --resource, and --allow or --approve; --approve needs
    --reviewers.

    Examples:
      kubectl bailiwick init policies/crm
      kubectl bailiwick init policies/crm -n crm --endpoint crm-api --enforcer sa:crm/crm-api \
          --subject sa:agents/crm-agent --resource customer --allow customers.list --approve customers.export \
          --reviewers crm-owners
    """

    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="Where to write. It is created if it is not there.")]
    endpoint: Annotated[str | None, typer.Option("--endpoint", metavar="NAME", help="The endpoint of the calls.")] = (
        None
    )
    enforcer: Annotated[
        str | None,
        typer.Option("--enforcer", metavar="sa:NAMESPACE/NAME", help="The account that requests decisions."),
    ] = None
    subject: Annotated[
        str | None, typer.Option("--subject", metavar="sa:NAMESPACE/NAME", help="The subject of the calls.")
    ] = None
    resource: Annotated[str | None, typer.Option("--resource", metavar="TYPE", help="The type of the resources.")] = (
        None
    )
    allow: Annotated[
        list[str] | None, typer.Option("--allow", metavar="ACTION", help="An action to allow. Repeatable.")
    ] = None
    approve: Annotated[
        list[str] | None,
        typer.Option("--approve", metavar="ACTION", help="An action that needs an approval. Repeatable."),
    ] = None
    reviewers: Annotated[
        str | None, typer.Option("--reviewers", metavar="GROUP", help="The group whose people approve.")
    ] = None


@dataclass(frozen=True, kw_only=True)
class SchemaFlags(Flags):
    """Print the JSON Schema of a kind, for your editor.

    An editor completes and checks YAML by it. Needs no cluster.

    Examples:
      kubectl bailiwick schema EndpointPolicy > endpointpolicy.schema.json
    """

    kind: Annotated[
        str, typer.Argument(metavar="KIND", help="EndpointPolicy, EndpointData, ApprovalGrant or PolicyTest.")
    ]


@dataclass(frozen=True, kw_only=True)
class DiffFlags(Flags):
    """Show which calls a change of policies widens or narrows.

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

    files: Annotated[
        list[str],
        typer.Argument(
            metavar="[BASE] HEAD",
            help="Files or folders of policies. - is stdin. With --base, --live or --against, no BASE.",
        ),
    ]
    base: Annotated[
        str | None,
        typer.Option("--base", metavar="REV", help="Compare with the same files at this Git revision."),
    ] = None
    live: Annotated[bool, typer.Option("--live", help="Compare with the policies of the namespace in the cluster.")] = (
        False
    )
    against: Annotated[
        str | None,
        typer.Option(
            "--against", metavar="FILE", help="Compare with a ceiling: policies that no other ones may go beyond."
        ),
    ] = None
    fail_on: Annotated[
        FailOn,
        typer.Option("--fail-on", help="Which changes exit with 1. wider: also what may widen."),
    ] = FailOn.WIDER
    output: Annotated[DiffOutput, typer.Option("--output", "-o", help="Output format.")] = DiffOutput.TABLE
