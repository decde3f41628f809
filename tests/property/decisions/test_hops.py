"""Taking away what a hop of a chain stands on never widens, whichever hop, and whatever the policies say.

Holds: a hop that is left out of a chain altogether is another matter: who signs the chain says who acts, and fewer
actors may do more. `test_delegation` says that one more never widens.
"""

import copy

from hypothesis import assume, given, strategies as st
from msgspec.structs import replace

from bailiwick_engine.call import Call, Party
from property.decisions.test_delegation import SUBJECTS, WIDTH, Object, calls, policies, verdict_of, width


def names_of(party: Party) -> set[str]:
    """Return the subjects that mean this party, whatever it calls from."""
    account = party.id.rpartition(":")[2]
    own = {account, f"{account}-approved"} if party.type == "serviceAccount" else {party.id}
    return {name for name in SUBJECTS if name in own or name in party.groups}


def without(spec: Object, effect: str, party: Party) -> Object:
    """Return the policy with rules of this effect not speaking of a party; nobody is left as a subject nobody has."""
    out = copy.deepcopy(spec)
    out["subjects"].append({"name": "nobody", "serviceAccount": {"namespace": "agents", "name": "nobody"}})
    for rule in out["rules"]:
        if rule["effect"] == effect:
            rule["subjects"] = [name for name in rule["subjects"] if name not in names_of(party)] or ["nobody"]
    return out


@given(policies(), calls, st.data())
def test_taking_away_what_allows_one_hop_never_widens(spec: Object, call: Call, data: st.DataObject) -> None:
    assume(call.actors)
    hop = data.draw(st.sampled_from(call.actors))
    found = width(verdict_of(without(spec, "Allow", hop), call))
    assert WIDTH[found] <= WIDTH[width(verdict_of(spec, call))]
    # Only a gate can still stand before it: that it is allowed, nobody says any more.
    assert found != "allow"


@given(policies(), calls)
def test_taking_away_an_entry_of_the_ceiling_or_the_whole_delegation_never_widens(spec: Object, call: Call) -> None:
    assume(call.actors and "delegation" in spec["endpointSettings"])
    before = WIDTH[width(verdict_of(spec, call))]
    narrower, without_any = copy.deepcopy(spec), copy.deepcopy(spec)
    ceiling = narrower["endpointSettings"]["delegation"]["ceiling"]
    if len(ceiling) > 1:
        ceiling.pop()
        assert WIDTH[width(verdict_of(narrower, call))] <= before
    del without_any["endpointSettings"]["delegation"]
    assert width(verdict_of(without_any, call)) == "deny"


@given(policies(), calls, st.data())
def test_a_workload_that_is_taken_away_from_one_hop_never_widens(spec: Object, call: Call, data: st.DataObject) -> None:
    assume(call.actors)
    number = data.draw(st.integers(0, len(call.actors) - 1))
    unknown = replace(call.actors[number], workload=None)
    fewer = replace(call, actors=(*call.actors[:number], unknown, *call.actors[number + 1 :]))
    good = call.actors[number].workload
    assume(good is not None)
    assert WIDTH[width(verdict_of(spec, fewer))] <= WIDTH[width(verdict_of(spec, call))]
