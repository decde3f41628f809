"""Texts that hide, move or imitate what a reader decides by, as strategies of hypothesis."""

import json
from dataclasses import dataclass
from typing import Any, Final

from hypothesis import strategies

from bailiwick_engine.approval.display import MAX_NAME, MAX_VALUE, visible
from support.objects import Object
from unit.console.cases import waiting
from unit.governance.cases import OWNERS, step

_LOOKALIKES: Final = (
    "Approved by carol",
    "args.amount",
    "Binding",
    "Resource: customer/1",
    "Approve customers.list on customer/1 by carol",
    "\u2026",
    "not shown",
    "<dt>args.amount</dt><dd>5</dd>",
    '<b style="position:fixed;inset:0">',
    "*{display:none}",
    "{{ 7 * 7 }}",
    "\\u0020",
    '""',
    "\\",
)
_GLYPHS: Final = (
    *("\ufdfd", "\u2e3b", "\U0001242b", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f1e9\U0001f1ea", "\ua9c5"),
    *("\u05e9\u05dc\u05d5\u05dd 5", "\u0661\u0662 \u0645\u0631\u062d\u0628\u0627", "\u65e5\u672c\u8a9e"),
    *("p\u0430ypal", "\u0e17\u0e35\u0e48", "\u1e0d\u0307", "\u0301\u0301"),
)
_UNSEEN: Final = (
    "\u202e",
    "\u2066",
    "\u200b",
    "\u200d",
    "\ufeff",
    "\x00",
    "\x1b[2J",
    "\n",
    "\r",
    "\t",
    "\u2028",
    "\xa0",
)
_PIECES: Final = strategies.one_of(
    strategies.sampled_from((*_LOOKALIKES, *_GLYPHS, *_UNSEEN)),
    strategies.builds(str.__mul__, strategies.sampled_from("wi_-.M\u0416"), strategies.integers(1, 400)),
    strategies.builds(str.__mul__, strategies.just(" "), strategies.integers(1, 120)),
    strategies.builds(str.__mul__, strategies.sampled_from(("\u0301", "\u0489", "\u20dd")), strategies.integers(1, 60)),
    strategies.text(strategies.characters(exclude_categories=["Cs"]), max_size=30),
)


def texts(most: int, least: int = 0) -> strategies.SearchStrategy[str]:
    """Draw texts of at most so many characters once they are escaped."""
    joined = strategies.lists(_PIECES, min_size=min(least, 1), max_size=5).map("".join)
    return joined.map(lambda text: _fitted(text, most)).filter(lambda text: len(text) >= least)


def _fitted(text: str, most: int) -> str:
    while len(visible(text)) > most:
        text = text[: len(text) * most // len(visible(text))]
    return text


_VALUES: Final = strategies.one_of(
    texts(MAX_VALUE),
    strategies.recursive(
        strategies.one_of(strategies.booleans(), strategies.integers(), strategies.none(), texts(60)),
        lambda inner: strategies.one_of(
            strategies.lists(inner, max_size=4), strategies.dictionaries(texts(60), inner, max_size=4)
        ),
        max_leaves=12,
    ).map(lambda value: _fitted(json.dumps(value, ensure_ascii=False), MAX_VALUE)),
)


@dataclass(frozen=True, repr=False)
class HostileGrant:
    """A grant that waits, and its arguments by the name of their row. Too long to be printed."""

    grant: Object
    arguments: dict[str, str]


@strategies.composite
def hostile_grants(draw: strategies.DrawFn, most: int = 6) -> HostileGrant:
    """Draw a grant with up to so many arguments."""
    names = texts(MAX_NAME - len("args."), 1)
    arguments = draw(strategies.dictionaries(names, _VALUES, min_size=1, max_size=most))
    shown = {f"args.{name}": value for name, value in arguments.items()}
    request: dict[str, Any] = {
        "display": [{"name": f"args.{visible(name)}", "value": visible(value)} for name, value in arguments.items()],
        "subject": {"type": draw(texts(63, 1)), "id": draw(texts(253, 1)), "uid": draw(texts(64, 1))},
        "action": {"name": draw(texts(128, 1))},
        "resource": {
            "type": draw(texts(63, 1)),
            "id": draw(texts(253, 1)),
            "properties": draw(strategies.dictionaries(texts(63, 1), texts(253), min_size=1, max_size=3)),
        },
        "intent": draw(texts(128, 1)),
        "actors": [{"issuer": draw(texts(253, 1)), "id": draw(texts(253, 1)), "uid": draw(texts(64, 1))}],
        "reason": draw(texts(1024, 1)),
        "steps": [step({**OWNERS, "name": f"{draw(texts(100, 1))}", "groups": ["crm-owners", draw(texts(253, 1))]})],
        "excludedReviewers": [draw(texts(253, 1))],
    }
    return HostileGrant(waiting(**request), shown)


def told_of(grant: Object) -> dict[str, str]:
    """Return every other text of the request that a reviewer decides by, each under what it is."""
    request = grant["spec"]["request"]
    (actor,), resource = request["actors"], request["resource"]
    told = {
        "type of the subject": request["subject"]["type"],
        "subject": request["subject"]["id"],
        "action": request["action"]["name"],
        "type of the resource": resource["type"],
        "resource": resource["id"],
        "intent": request["intent"],
        "issuer of the actor": actor["issuer"],
        "actor": actor["id"],
        "reason": request["reason"],
        "step": request["steps"][0]["name"],
        "excluded reviewer": request["excludedReviewers"][0],
    }
    for number, (name, value) in enumerate(resource["properties"].items()):
        told |= {f"property {number}": name, f"value of property {number}": value}
    return told
