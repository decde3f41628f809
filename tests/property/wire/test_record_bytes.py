"""What a request writes to the record, whoever sends it: no more than its decisions are worth, however it repeats."""

import asyncio
import json
from typing import Final

from hypothesis import given, settings as hypothesis, strategies as st

from bailiwick_webhook.http.authzen.messages import MAX_NAME
from contract.asking_alone import AGENT, PEP, STRANGER, asking, body, stored
from support.objects import Object, rule
from support.pdp.alone import Alone

# What is around the names in a record, of an endpoint with one policy.
AROUND: Final = 2_000
# Type and id of the subject, name of the action, type and id of the resource, and the intent.
NAMES: Final = 6
# A control character of one byte is escaped.
MOST: Final = AROUND + NAMES * 6 * MAX_NAME

SIZES: Final = st.sampled_from([1, 200, MAX_NAME - 1, MAX_NAME, MAX_NAME + 1, 5_000])
CHARACTERS: Final = st.sampled_from(["x", "\x01", "é", "\U0001f600"])
CALLERS: Final = st.sampled_from([PEP, STRANGER, AGENT])


@st.composite
def calls(draw: st.DrawFn, caller: str) -> Object:
    """An evaluation with some names that are long. A stranger asks about itself, which is the most that it may."""

    def name(usual: str) -> object:
        # Written out by `whole`, so that what is drawn stays short.
        return draw(st.one_of(st.just(usual), st.tuples(CHARACTERS, SIZES)))

    said = body(caller if draw(st.booleans()) else AGENT)
    said["action"] = {"name": name("customers.list")}
    said["resource"] = {"type": name("customer"), "id": name("42")}
    if draw(st.booleans()):
        said["context"]["intent"] = name("support")
    if caller != PEP and draw(st.booleans()):
        del said["context"]["evidence"]
    return said


def whole(said: object) -> object:
    """Return what was drawn with its names written out."""
    match said:
        case (str(character), int(size)):
            return character * size
        case dict():
            return {member: whole(held) for member, held in said.items()}
        case list():
            return [whole(one) for one in said]
    return said


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, str, Object]:
    """Who sends what to which path."""
    caller = draw(CALLERS)
    path = draw(st.sampled_from(["evaluation", "evaluations", "search/resource", "search/action", "search/subject"]))
    said = draw(calls(caller))
    if path == "evaluations":
        count = draw(st.sampled_from([1, 2, 100]))
        said["evaluations"] = [{} if draw(st.booleans()) else draw(calls(caller)) for _ in range(min(count, 3))]
        said["evaluations"] += [{}] * (count - len(said["evaluations"]))
        semantic = draw(st.sampled_from(["execute_all", "deny_on_first_deny", "permit_on_first_permit"]))
        said["options"] = {"evaluations_semantic": semantic}
    return caller, path, said


@hypothesis(max_examples=150)
@given(requests(), st.booleans())
def test_a_request_writes_no_more_than_its_decisions_are_worth(
    request: tuple[str, str, Object],
    asserted: bool,
) -> None:
    asyncio.run(_held(*request, asserted=asserted))


async def _held(caller: str, path: str, said: Object, *, asserted: bool) -> None:
    settings: Object = {"enforcers": [{"namespace": "crm", "name": "crm-api"}]}
    if asserted:
        settings["identity"] = {"verification": "Asserted"}
    sent = whole(said)
    alone = Alone([stored(rule(), endpointSettings=settings)])
    async with asking(alone) as pdp:
        status = (await pdp.post(path, sent, caller)).status
    sizes = [len(line) for line in alone.records.lines]
    assert status in {200, 400, 403}
    assert len(sizes) <= len(said.get("evaluations", [None]))
    assert all(size <= MOST for size in sizes)
    if status == 400:
        assert not sizes
    if status == 403 and caller == STRANGER:
        # It is sent once, and recorded once.
        assert len(sizes) <= 1
        assert sum(sizes) <= AROUND + len(json.dumps(sent))
