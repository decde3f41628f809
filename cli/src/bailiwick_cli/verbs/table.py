"""The table of all verbs: where the flags and the help of each stand, and where it runs.

Standing: under `main` and `complete`. Holds: a group of verbs is imported when one of them is asked for, and what a
verb needs is imported when it runs, so that a command is not slowed down by the others.
"""

import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, fields
from typing import Any, Final, get_args, get_type_hints

from typer.models import OptionInfo

from bailiwick_cli.options import OPTIONAL, Flags


class VerbTable(Mapping[str, type[Flags]]):
    """The flags of verbs, by name, in the order in which help lists them. `rows` say in which module a class is."""

    def __init__(self, rows: Mapping[str, str]) -> None:
        self._rows = rows

    def __getitem__(self, name: str) -> type[Flags]:
        module, _, flags = self._rows[name].partition(".")
        found: type[Flags] = getattr(importlib.import_module(f"bailiwick_cli.verbs.{module}"), flags)
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._rows

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


COMMANDS: Final = VerbTable(
    {
        "list": "grantverbs.ListFlags",
        "show": "grantverbs.ShowFlags",
        "approve": "grantverbs.ApproveFlags",
        "deny": "grantverbs.DenyFlags",
        "statement": "grantverbs.StatementFlags",
        "revoke": "grantverbs.RevokeFlags",
        "take-back": "grantverbs.TakeBackFlags",
        "request": "grantverbs.RequestFlags",
        "wait": "grantverbs.WaitFlags",
        "console": "consoleverbs.ConsoleFlags",
        "serve-console": "consoleverbs.ServeConsoleFlags",
        "check": "askverbs.CheckFlags",
        "who-can": "askverbs.WhoCanFlags",
        "what-can": "askverbs.WhatCanFlags",
        "explain": "askverbs.ExplainFlags",
        "test": "policyverbs.SuiteFlags",
        "validate": "policyverbs.ValidateFlags",
        "init": "policyverbs.InitFlags",
        "schema": "policyverbs.SchemaFlags",
        "diff": "policyverbs.DiffFlags",
        "replay": "logverbs.ReplayFlags",
        "unused": "logverbs.UnusedFlags",
        "suggest": "logverbs.SuggestFlags",
        "ship": "logverbs.ShipFlags",
        "coverage": "coverageverbs.CoverageFlags",
    }
)
GROUPS: Final = {
    "audit": VerbTable(
        {
            "verify": "auditverbs.VerifyFlags",
            "merge": "auditverbs.MergeFlags",
            "report": "auditverbs.AuditReportFlags",
            "checkpoint": "auditverbs.CheckpointFlags",
            "leaves": "auditverbs.LeavesFlags",
            "prove": "auditverbs.ProveFlags",
            "check-proof": "auditverbs.CheckProofFlags",
            "check-value": "auditverbs.CheckValueFlags",
            "policy": "auditverbs.PolicyTextFlags",
            "grant": "auditverbs.EndedGrantFlags",
        }
    ),
    "fleet": VerbTable({"status": "fleetverbs.FleetStatusFlags"}),
    "history": VerbTable({"show": "historyverbs.HistoryShowFlags"}),
    "notify": VerbTable({"test": "notifyverbs.NotifyTestFlags"}),
    "reviewers": VerbTable(
        {
            "request": "reviewerverbs.ReviewersRequestFlags",
            "add": "reviewerverbs.ReviewersAddFlags",
            "remove": "reviewerverbs.ReviewersRemoveFlags",
            "sign": "reviewerverbs.ReviewersSignFlags",
            "check": "reviewerverbs.ReviewersCheckFlags",
        }
    ),
}
"""The verbs of two words, by their first."""
# Every other verb is `run` in the module of its name.
_ELSEWHERE: Final = {
    "approve": ("review", "approve"),
    "deny": ("review", "deny"),
    "serve-console": ("console", "serve"),
    "audit policy": ("audit.ledger", "policy"),
    "audit grant": ("audit.ledger", "grant"),
    "notify test": ("notify", "run"),
    "reviewers request": ("reviewers", "request"),
    "reviewers add": ("reviewers", "add"),
    "reviewers remove": ("reviewers", "remove"),
    "reviewers sign": ("reviewers", "sign"),
    "reviewers check": ("reviewers", "check"),
}


def run_of(verb: str) -> Callable[[Any], int]:
    """Import the function that runs a verb (`audit verify`), and return it; it takes the verb's flags."""
    module, function = _ELSEWHERE.get(verb, (verb.replace(" ", ".").replace("-", "_"), "run"))
    found: Callable[[Any], int] = getattr(importlib.import_module(f"bailiwick_cli.commands.{module}"), function)
    return found


def option_types(options: type[Flags]) -> dict[str, Any]:
    """Return each spelling of each option (not of arguments) with the type of its value; bool: it takes none."""
    found: dict[str, Any] = {}
    for parameter in parameters(options):
        kind, info = get_args(parameter.annotation)
        if isinstance(info, OptionInfo):
            # As typer keeps them: what was given first stands in the place of a default.
            found |= dict.fromkeys((str(info.default), *(info.param_decls or ())), kind)
    return found


def parameters(options: type[Flags]) -> list[inspect.Parameter]:
    """Return a parameter for each field, kubectl's own last."""
    hints = get_type_hints(options, include_extras=True)
    own = [one for one in fields(options) if one.name not in OPTIONAL]
    kubectls = [one for one in fields(options) if one.name in OPTIONAL]
    return [
        inspect.Parameter(one.name, inspect.Parameter.KEYWORD_ONLY, default=_default(one), annotation=hints[one.name])
        for one in (*own, *kubectls)
    ]


def _default(field: Field[Any]) -> Any:  # noqa: ANN401 - of any field
    if field.name in OPTIONAL:
        return None
    return inspect.Parameter.empty if field.default is MISSING else field.default
