"""How suggestions are printed: the evidence with the patches behind it, as a table or Markdown; JSON; commands; files.

Standing: over `report`. Holds: every text of others is escaped before people see it; a shell takes it for nothing but
text; no file is written over.
"""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import yaml

from bailiwick_api import times
from bailiwick_api.kinds.meta import API_VERSION, GROUP
from bailiwick_engine.approval.display import visible
from bailiwick_engine.keys import label
from bailiwick_governance.display import Line
from bailiwick_governance.errors import UserError
from bailiwick_governance.markdown import plain, table
from bailiwick_governance.suggestion.evidence import RuleSeen
from bailiwick_governance.suggestion.policybook import Object, PolicyName
from bailiwick_governance.suggestion.proposals import Proposal, patch
from bailiwick_governance.suggestion.report import SuggestionReport
from bailiwick_governance.suggestion.trial import group_by_policy

HEADERS: Final = ("POLICY", "RULE", "PART", "NOW", "SUGGESTED", "USES", "BY", "FIRST", "LAST")
_MOST_BY: Final = 3
_AMBIGUOUS: Final = re.compile(r"[-+.]?[0-9]|[ynYN]\Z")


def rows(report: SuggestionReport) -> Iterator[Line]:
    """Yield the rows of the table."""
    for one in report.proposals:
        seen = one.seen
        texts = (
            *(str(one.policy), one.rule, one.part.value, one.now, one.then, str(seen.uses), _users_text(seen)),
            *("never" if moment is None else times.epoch_stamp(moment) for moment in (seen.first, seen.last)),
        )
        yield [(visible(text), "") for text in texts]


def patches(report: SuggestionReport) -> Iterator[str]:
    """Yield the patch of each policy under its name, as a line of JSON for each operation."""
    for name, some in group_by_policy(report.proposals).items():
        yield f"\n{visible(str(name))}:\n"
        lines = [f"  {json.dumps(one)}" for one in patch(some)]
        yield "[\n" + ",\n".join(lines) + "\n]\n"


def markdown(report: SuggestionReport) -> str:
    """Return a table of Markdown, and behind it the patches."""
    lines = [f"**{report.headline}**", ""]
    if cells := [[text for text, _ in row] for row in rows(report)]:
        lines += table([header.lower() for header in HEADERS], cells)
    for name, some in group_by_policy(report.proposals).items():
        operations = ",\n".join(f"  {json.dumps(one)}" for one in patch(some))
        lines += ["", f"{plain(visible(str(name)))}:", "", "```json", f"[\n{operations}\n]", "```"]
    lines += [
        f"\nLeft out: {plain(visible(f'{one.proposal.policy}/{one.proposal.rule} {one.proposal.part}'))}"
        f" → {plain(visible(one.proposal.then))}, since {plain(visible(one.why))}"
        for one in report.left_out
    ]
    return "\n".join(lines) + "\n"


def commands(report: SuggestionReport) -> Iterator[str]:
    """Yield a command for each policy by which a person applies its patch."""
    for name, some in group_by_policy(report.proposals).items():
        body = shlex.quote(json.dumps(list(patch(some))))
        named = f"{shlex.quote(name.name)} --namespace {shlex.quote(name.namespace)}"
        yield f"kubectl patch endpointpolicies.{GROUP} {named} --type json --patch {body}\n"


def document(report: SuggestionReport) -> str:
    """Return all of it as JSON, in ASCII."""
    body = {
        "apiVersion": "cli.bailiwick.dev/v1alpha1",
        "kind": "Suggestions",
        "from": times.epoch_stamp(report.window.begin),
        "to": times.epoch_stamp(report.window.settled),
        "missing": list(report.missing),
        "replayed": report.replayed,
        "suggestions": [_object(one) for one in report.proposals],
        "patches": [
            {"namespace": name.namespace, "policy": name.name, "operations": list(patch(some))}
            for name, some in group_by_policy(report.proposals).items()
        ],
        "leftOut": [
            {**_place(one.proposal), "suggested": one.proposal.then, "why": one.why} for one in report.left_out
        ],
        "notYetKnown": list(report.unknown),
        "unused": list(report.idle),
    }
    return json.dumps(body, indent=2) + "\n"


def write(folder: str, policies: Mapping[PolicyName, Object]) -> None:
    """Write policies, each into a file of its own. Raises `UserError`, also where there is such a file already."""
    into = Path(folder)
    try:
        into.mkdir(parents=True, exist_ok=True)
        for name, spec in policies.items():
            body = {
                "apiVersion": API_VERSION,
                "kind": "EndpointPolicy",
                "metadata": {"namespace": name.namespace, "name": name.name},
                "spec": spec,
            }
            text = yaml.dump(body, Dumper=_PlainDumper, sort_keys=False, allow_unicode=False)
            with (into / f"{name.namespace}.{name.name}.yaml").open("x", encoding="ascii") as file:
                file.write(text)
    except FileExistsError as error:
        raise UserError(f"--write: {error.filename} exists already: name an empty folder") from error
    except OSError as error:
        raise UserError(f"--write: {error.filename} cannot be written: {error.strerror or error}") from error


class _PlainDumper(yaml.SafeDumper):
    """Quotes each string that some reader of YAML takes for a number or a truth, though this one does not."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        style = '"' if _AMBIGUOUS.match(text) else None
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_PlainDumper.add_representer(str, _PlainDumper.represent_text)


def _users_text(seen: RuleSeen) -> str:
    named = [label(key) for key, _ in sorted(seen.by.items(), key=lambda one: (-one[1], one[0]))]
    more = f" and {len(named) - _MOST_BY} more" if len(named) > _MOST_BY else ""
    return f"{', '.join(named[:_MOST_BY])}{more}" or "nobody"


def _object(proposal: Proposal) -> Object:
    seen = proposal.seen
    return {
        **_place(proposal),
        "now": proposal.now,
        "suggested": proposal.then,
        "evidence": {
            "uses": seen.uses,
            "by": {label(key): count for key, count in sorted(seen.by.items())},
            "first": None if seen.first is None else times.epoch_stamp(seen.first),
            "last": None if seen.last is None else times.epoch_stamp(seen.last),
            "actions": list(seen.actions.names),
            "resources": [
                {"type": one.kind, "ids": list(one.ids.names), "uses": one.ids.count} for one in seen.entries
            ],
            "largest": {
                ".".join(path): one.largest for path, one in seen.largest.items() if one.count and not one.unknown
            },
        },
    }


def _place(proposal: Proposal) -> dict[str, str]:
    name = proposal.policy
    return {"namespace": name.namespace, "policy": name.name, "rule": proposal.rule, "part": proposal.part.value}
