"""Which rules speak of a call, held against a look at each name of each rule, byte by byte.

Holds: the reference knows only bytes: it folds no letters, decodes no percent signs and composes no accents, and what
lists nothing reaches nothing. Names are drawn near each other, so that a star meets what it must not reach.
"""

import copy
from typing import Any, Final

from hypothesis import assume, example, given, settings, strategies as st
from msgspec.structs import replace

from bailiwick_engine.call import Action, Call, Party, Resource
from bailiwick_engine.compile.policies import compile_object
from bailiwick_engine.decision.verdict import Outcome
from bailiwick_engine.names import NameSet
from bailiwick_engine.policy.model import BrokenPolicy, CompiledPolicy
from bailiwick_engine.policy.snapshot import Snapshot
from unit.engine.cases import CALL, stored, verdict_of

Object = dict[str, Any]

EXAMPLES: Final = 4 * settings().max_examples
# Letters that some fold, compose, decode or normalise into each other.
PARTS: Final = (
    "a",
    "A",
    "b",
    "ab",
    "\u00e9",
    "e\u0301",
    "K",
    "\u212a",
    "s",
    "\u017f",
    "%61",
    "%2F",
    "..",
    "\u200b",
    "1",
    "01",
)
SEPARATORS: Final = (".", ":", "/")
NUMBERS: Final = ("1", "01", "1.0", "a/1", "a/", "a", "ab/1", "A/1", "\u0661")
KINDS: Final = ("t", "T", "tt")
ACCOUNTS: Final = ("one", "One", "one1")
PEOPLE: Final = ("carol", "Carol", "carol\u200b")

parts: Final = st.sampled_from(PARTS)


@st.composite
def names(draw: st.DrawFn) -> str:
    """Draw a name as a caller may send it."""
    out = draw(parts)
    for _ in range(draw(st.integers(0, 2))):
        out += draw(st.sampled_from((*SEPARATORS, ""))) + draw(st.sampled_from((*PARTS, "")))
    return out


@st.composite
def patterns(draw: st.DrawFn) -> str:
    """Draw a name as a policy may list it."""
    if draw(st.integers(0, 9)) == 0:
        return "*"
    name = draw(names())
    return name + draw(st.sampled_from(SEPARATORS)) + "*" if draw(st.booleans()) else name


@st.composite
def near(draw: st.DrawFn, listed: list[str]) -> str:
    """Draw a name that is one of the listed, or next to it."""
    base = draw(st.sampled_from(listed))
    if base.endswith("*"):
        base = base[:-1] + draw(st.sampled_from(("a", "a", "1", "")))
    change = draw(st.integers(0, 15))
    if change == 0:
        return draw(names())
    if change == 1:
        return base[:-1] or "a"
    if change == 2:
        return base.swapcase() or "a"
    return (base or "a") + draw(st.sampled_from(("", "", "", "a", "/", ".a", "*", "\u0301", " ")))


def subjects() -> list[Object]:
    accounts = [
        {"name": f"account-{n}", "serviceAccount": {"namespace": "agents", "name": a}} for n, a in enumerate(ACCOUNTS)
    ]
    people = [{"name": f"person-{n}", "user": {"issuer": "corp", "name": p}} for n, p in enumerate(PEOPLE)]
    groups = [
        {"name": "group-0", "group": {"issuer": "corp", "name": "g"}},
        {"name": "group-1", "group": {"issuer": "other", "name": "g"}},
    ]
    return [*accounts, *people, *groups]


SUBJECTS: Final = {one["name"]: one for one in subjects()}


@st.composite
def rules(draw: st.DrawFn, name: str) -> Object:
    resource: Object = {
        "type": draw(st.sampled_from(KINDS)),
        "ids": draw(st.lists(st.sampled_from(("*", "a/*", *NUMBERS)), min_size=1, max_size=2, unique=True)),
    }
    if draw(st.integers(0, 3)) == 0:
        resource["properties"] = {"env": draw(st.sampled_from((["prod"], ["prod", "Prod"], [""])))}
    return {
        "name": name,
        "effect": draw(st.sampled_from(("Allow", "Allow", "Allow", "Deny"))),
        "subjects": draw(st.lists(st.sampled_from(sorted(SUBJECTS)), min_size=1, max_size=4, unique=True)),
        "actions": draw(st.lists(patterns(), min_size=1, max_size=3, unique=True)),
        "resources": [resource],
    }


def account(name: str) -> Party:
    return Party("serviceAccount", f"system:serviceaccount:agents:{name}", f"{name}-uid")


def person(name: str, issuer: str = "corp", groups: tuple[str, ...] = ()) -> Party:
    return Party("user", name, f"{issuer}#{name}", issuer=issuer, groups=groups, username=name)


@st.composite
def parties(draw: st.DrawFn, listed: str) -> Party:
    """Draw somebody whom an entry of the subjects means, or somebody like that."""
    subject = SUBJECTS[listed]
    if draw(st.integers(0, 3)) == 0:
        stranger = st.builds(
            person,
            st.sampled_from(PEOPLE),
            st.sampled_from(("corp", "other")),
            st.sampled_from(((), ("g",), ("G", "g\u200b"))),
        )
        return draw(st.builds(account, st.sampled_from(ACCOUNTS)) | stranger)
    if "serviceAccount" in subject:
        return account(subject["serviceAccount"]["name"])
    if "user" in subject:
        return person(subject["user"]["name"], subject["user"]["issuer"])
    return person("dave", subject["group"]["issuer"], ("other", subject["group"]["name"]))


ENVIRONMENTS: Final = ({"env": "prod"}, {"env": "Prod"}, {"env": ["prod"]}, {"env": None}, {"Env": "prod"}, None)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Object], Call]:
    made = [draw(rules(f"r{number}")) for number in range(draw(st.integers(1, 4)))]
    rule = draw(st.sampled_from(made))
    entry = rule["resources"][0]
    # Each of its parts usually fits that rule: where all were drawn freely, hardly a call would be allowed.
    usual = draw(st.lists(st.integers(0, 3), min_size=4, max_size=4))
    call = replace(
        CALL,
        subject=draw(parties(draw(st.sampled_from(rule["subjects"])))),
        action=Action(draw(near(rule["actions"]))),
        resource=Resource(
            entry["type"] if usual[0] else draw(st.sampled_from(KINDS)),
            draw(near(entry["ids"])) if usual[1] else draw(st.sampled_from((*NUMBERS, "*"))),
            {"env": "prod"} if usual[2] else draw(st.sampled_from(ENVIRONMENTS)),
        ),
    )
    return made, call


# ------------------------------------------------------------------ the reference


def reached(pattern: str, name: str) -> bool:
    listed, asked = pattern.encode(), name.encode()
    if listed == b"*":
        return True
    if listed[-2:] in {b".*", b":*", b"/*"}:
        return asked[: len(listed) - 1] == listed[:-1] and len(asked) >= len(listed)
    return listed == asked


def spoken_of(listed: str, party: Party) -> bool:
    subject = SUBJECTS[listed]
    if "serviceAccount" in subject:
        account = subject["serviceAccount"]
        return (party.type, party.id) == (
            "serviceAccount",
            f"system:serviceaccount:{account['namespace']}:{account['name']}",
        )
    if party.type != "user":
        return False
    if "user" in subject:
        return (party.issuer, party.id) == (subject["user"]["issuer"], subject["user"]["name"])
    return party.issuer == subject["group"]["issuer"] and subject["group"]["name"] in party.groups


def speaks(rule: Object, call: Call) -> bool:
    assert isinstance(call.subject, Party)
    (entry,) = rule["resources"]
    if not any(spoken_of(name, call.subject) for name in rule["subjects"]):
        return False
    if not any(reached(pattern, call.action.name) for pattern in rule["actions"]):
        return False
    if entry["type"] != call.resource.type or not any(reached(pattern, call.resource.id) for pattern in entry["ids"]):
        return False
    said = (call.resource.properties or {}).get("env")
    if "properties" not in entry:
        return True
    # What is not said in words is unknown, and that never widens.
    return said in entry["properties"]["env"] if isinstance(said, str) else rule["effect"] == "Deny"


def policy_of(made: list[Object]) -> CompiledPolicy | BrokenPolicy:
    settings_ = {
        "enforcers": [{"namespace": "crm", "name": "crm-api"}],
        "identity": {"issuers": ["cluster", "corp", "other"]},
    }
    return compile_object(stored("p", *copy.deepcopy(made), subjects=subjects(), endpointSettings=settings_))


@settings(max_examples=EXAMPLES)
@given(worlds())
def test_a_call_is_allowed_exactly_where_an_allow_and_no_deny_reaches_it_byte_for_byte(
    world: tuple[list[Object], Call],
) -> None:
    made, call = world
    effects = {rule["effect"] for rule in made if speaks(rule, call)}
    compiled = policy_of(made)
    assert isinstance(compiled, CompiledPolicy)
    found = verdict_of(Snapshot.of([compiled]), call).outcome
    assert (found is Outcome.ALLOW) is (effects == {"Allow"})


@settings(max_examples=EXAMPLES)
@given(worlds(), st.data())
def test_rules_in_several_policies_reach_what_they_reach_in_one(
    world: tuple[list[Object], Call], data: st.DataObject
) -> None:
    made, call = world
    one = verdict_of(Snapshot.of([policy_of(made)]), call).outcome
    apart = [
        stored(f"p{number}", rule, subjects=subjects()) for number, rule in enumerate(data.draw(st.permutations(made)))
    ]
    unrelated = [{**copy.deepcopy(made[0]), "name": "unrelated", "actions": ["nobody-asks"]}]
    several = Snapshot.of([policy_of(unrelated), *map(compile_object, apart)])
    assert verdict_of(several, call).outcome is one


@settings(max_examples=EXAMPLES)
@given(st.lists(patterns(), max_size=4), st.data())
def test_a_list_of_names_reaches_what_one_of_them_does_and_nothing_where_it_is_empty(
    listed: list[str], data: st.DataObject
) -> None:
    name = data.draw(near(listed) if listed else names())
    assert (name in NameSet.of(listed)) is any(reached(pattern, name) for pattern in listed)


EMPTIED: Final = (("subjects",), ("actions",), ("resources",), ("resources", 0, "ids"), ("resources", 0, "properties"))


@given(worlds(), st.sampled_from(EMPTIED), st.data())
@example(
    (
        [
            {
                "name": "r0",
                "effect": "Allow",
                "subjects": ["account-0"],
                "actions": ["*"],
                "resources": [{"type": "t", "ids": ["*"]}],
            }
        ],
        CALL,
    ),
    ("actions",),
    None,
)
def test_a_rule_that_lists_nothing_lets_nobody_through(
    world: tuple[list[Object], Call], path: tuple[str | int, ...], data: st.DataObject | None
) -> None:
    made, call = world
    number = 0 if data is None else data.draw(st.integers(0, len(made) - 1))
    emptied = copy.deepcopy(made)
    place: Any = emptied[number]
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = {} if path[-1] == "properties" else []
    compiled = policy_of(emptied)
    assert isinstance(compiled, BrokenPolicy)
    assume(isinstance(call.subject, Party))
    # Nobody that any rule of the policy names; and others were let through by none of it before.
    assert verdict_of(Snapshot.of([compiled]), call).outcome is not Outcome.ALLOW
