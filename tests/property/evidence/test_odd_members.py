"""The law of members that no process writes: they change nothing of what is known of the logs beside them.

Whatever value a member of a line in an unwitnessed chain has, and whatever a policy's text is, `audit verify` answers,
and of the honest chains it says what it says without that chain.
"""

import copy
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, example, given, settings, strategies as st

from bailiwick_cli.commands.audit.verification import trusted_book, verify_log
from bailiwick_cli.verbs.auditverbs import VerifyFlags
from bailiwick_evidence.audit.lines import parse_line, whole
from bailiwick_evidence.jsondepth import MOST_DEPTH
from bailiwick_governance.views.verificationview import LogVerification
from support.evidence.installationlogs import write_witnessed_logs
from support.evidence.logs import WITNESS_KEY, ProcessLog, private_key
from support.evidence.shardruns import KUBECTLS

Members = dict[str, Any]
Place = tuple[str | int, ...]

SLOW: Final = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
REGISTRAR: Final = private_key(70).public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
HEAD: Final = "A" * 43
REVIEW: Final[Members] = {
    "step": "s",
    "reviewer": "jane",
    "decision": "Approve",
    "reason": None,
    "time": "2026-12-01T00:00:00Z",
    "counted": "2026-12-01T00:00:00Z",
    "group": None,
    "signature": "s",
}
GRANT: Final[Members] = {
    "name": "a",
    "uid": "u",
    "request": "r",
    "binding": {"digest": "d"},
    "steps": [{"name": "s", "signature": "Key", "count": 1}],
    "reviews": [REVIEW],
}
MENTION: Final[Members] = {
    "name": "n",
    "object": "o",
    "seq": 1,
    "count": 1,
    "sum": None,
    "age": None,
    "added": True,
    "definition": "sha256:x",
}
# Lines of kinds that the honest logs here have none of, or not with all members.
KINDS: Final[Sequence[Members]] = (
    {"kind": "open", "component": "c", "key": "n+1+A", "pod": {"name": "p"}, "identity": "i"},
    {"kind": "open", "previous": {"id": "B" * 22, "seq": 1, "head": HEAD}, "settings": {"development": True}},
    {"kind": "close", "lost": 1},
    {"kind": "hash", "sha256": "0" * 64},
    {"kind": "checkpoint", "note": "n", "pod": "p"},
    {"kind": "ledger", "note": "n"},
    {"kind": "policy", "digest": "sha256:x", "policy": "a/b", "text": "{}"},
    {"kind": "policies", "policies_digest": "sha256:x", "policies": {"a": "sha256:x"}},
    {"kind": "grant", "namespace": "a", "requestDigest": "r", "uses": [1], "counted": ["jane"], **GRANT},
    {"kind": "reviewers", "digest": "d", "parts": 1, "part": 0, "text": "t", "signatures": "s", "signature": "x"},
    {"kind": "evaluation", "endpoint": "a/b", "decision": True, "grant": GRANT, "now": 1.0, "x": "signature"},
    {"kind": "evaluation", "endpoint": "a/b", "decision": True, "now": 1.0, "policies": {}, "history": [MENTION]},
    {"kind": "history", "endpoint": "a/b", "time": "2026-12-01T00:00:00+00:00", "history": [MENTION]},
)


def nested(depth: int) -> object:
    found: object = 1
    for number in range(depth):
        found = [found] if number % 2 else {"a": found}
    return found


DEEP: Final = "@deep@"
DEEPER: Final = "[" * 990 + "]" * 990
EDGES: Final = st.sampled_from(
    [
        *(DEEP, nested(40), nested(63), nested(100), [0] * 3000, 2**63, -(2**63), 2**64, 1e308, "\ud800", "\0"),
        *("9" * 5000, "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "1e999999", "", {}, [], [[]]),
        {"": None},
    ]
)
VALUES: Final = EDGES | st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("honest")
    write_witnessed_logs(made)
    (made / "registrar.pub").write_bytes(REGISTRAR + b"\n")
    return made


@pytest.fixture(scope="module")
def shapes(folder: Path) -> list[Members]:
    """Return a line of each form that the honest logs have, and of the others."""
    found: dict[tuple[str, ...], Members] = {}
    for name in ("ledger.log", "decisions.log"):
        for line in (folder / name).read_bytes().splitlines():
            members = json.loads(line)
            del members["log"]
            found.setdefault((members["kind"], *sorted(members)), members)
    return [*found.values(), *KINDS]


def line_of(members: Members) -> bytes:
    return json.dumps(members, separators=(",", ":")).replace(f'"{DEEP}"', DEEPER).encode() + b"\n"


def places_in(value: object, at: Place = ()) -> Iterator[Place]:
    """Yield where a member of a line is, at any depth."""
    if at and at != ("kind",):
        yield at
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in members:
        yield from places_in(inner, (*at, name))


def with_value(members: Members, at: Place, value: object) -> Members:
    made: Any = copy.deepcopy(members)
    inside = made
    for name in at[:-1]:
        inside = inside[name]
    inside[at[-1]] = value
    found: Members = made
    return found


def verified(folder: Path, lines: Sequence[bytes], *, policies: str | None = None) -> LogVerification:
    """Return what `audit verify` comes to with an unwitnessed chain of these lines beside the honest logs."""
    strange = ProcessLog(99)
    strange.lines += [strange.writer.append(line) for line in lines]
    (folder / "strange.log").write_bytes(b"".join(strange.lines) if lines else b"")
    options = VerifyFlags(
        **KUBECTLS,
        files=[str(folder / name) for name in ("strange.log", "ledger.log", "decisions.log")],
        checkpoints=[str(folder / "checkpoints.notes")],
        witness_key=[str(WITNESS_KEY)],
        registrar_key=[str(folder / "registrar.pub")],
        policies=policies,
    )
    found = verify_log(options, trusted_book(options))[1]
    assert [*found.lines()]
    json.dumps(found.object())
    return found


def of_honest(found: LogVerification) -> list[object]:
    """Return what is known of the honest chains."""
    strange = ProcessLog(99).id
    contradicted = [one for one in found.results.contradicted if not one.place.startswith(strange)]
    return [[one for one in found.reports if one.chain != strange], contradicted]


@pytest.mark.parametrize("policies", [None, "ledger"])
@pytest.mark.parametrize("value", [DEEP, nested(300), 2**64, [[]]], ids=["deepest", "deep", "huge", "lists"])
def test_a_value_in_each_member_of_each_kind_changes_nothing(
    folder: Path, shapes: list[Members], policies: str | None, value: object
) -> None:
    alone = of_honest(verified(folder, [], policies=policies))
    lines = [line_of(with_value(shape, at, value)) for shape in shapes for at in places_in(shape)]
    assert of_honest(verified(folder, lines, policies=policies)) == alone


@given(st.data(), st.sampled_from([None, "ledger"]))
@SLOW
def test_drawn_values_in_members_change_nothing(
    folder: Path, shapes: list[Members], data: st.DataObject, policies: str | None
) -> None:
    lines = []
    for _ in range(data.draw(st.integers(1, 8))):
        members = data.draw(st.sampled_from(shapes))
        at = data.draw(st.sampled_from([*places_in(members)]))
        lines.append(line_of(with_value(members, at, data.draw(VALUES))))
    assert of_honest(verified(folder, lines, policies=policies)) == of_honest(verified(folder, [], policies=policies))


@given(st.text(max_size=20) | VALUES.map(lambda value: json.dumps(value).replace(f'"{DEEP}"', DEEPER)))
@example("not json")
@example("[" * 20_000 + "]" * 20_000)
@example('{"rules":' + "[" * 5_000 + "]" * 5_000 + "}")
@example("{")
@SLOW
def test_a_text_that_is_no_policy_is_an_obstacle(folder: Path, shapes: list[Members], text: str) -> None:
    digest = f"sha256:{hashlib.sha256(text.encode(errors='replace')).hexdigest()}"
    decided = next(one for one in shapes if one["kind"] == "evaluation" and one.get("policies"))
    lines = [
        line_of({"kind": "policy", "digest": digest, "policy": "crm/x", "text": text}),
        line_of({**decided, "policies": dict.fromkeys(decided["policies"], digest), "policy": None}),
    ]
    found = verified(folder, lines, policies="ledger")
    assert of_honest(found) == of_honest(verified(folder, [], policies="ledger"))
    assert not found.results.contradicted
    code = "underivable" if decided["decision"] is False else "unproven"
    assert found.results.counts[f"{code}:engine_version_unknown"] == 1


@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=3))
@example({"a": nested(240)})
@example({"a": ["sha256:x"]})
@SLOW
def test_a_list_of_policies_that_is_none_is_an_obstacle(folder: Path, shapes: list[Members], listed: Members) -> None:
    try:
        digest = f"sha256:{hashlib.sha256(orjson.dumps(dict(sorted(listed.items())))).hexdigest()}"
    except TypeError:
        digest = "sha256:x"
    decided = next(one for one in shapes if one["kind"] == "evaluation" and one.get("policies"))
    record = {**decided, "policies_digest": digest, "policy": None}
    del record["policies"]
    lines = [line_of({"kind": "policies", "policies_digest": digest, "policies": listed}), line_of(record)]
    found = verified(folder, lines, policies="ledger")
    assert of_honest(found) == of_honest(verified(folder, [], policies="ledger"))


@given(st.integers(1, 300), st.binary(max_size=3))
def test_a_line_is_read_if_it_is_no_deeper_than_its_bound(depth: int, text: bytes) -> None:
    inside = json.dumps({"a": nested(depth), "b": "[{" * len(text) * 40}).encode()
    (line,) = [ProcessLog(9).writer.append(inside + b"\n")[:-1]]
    assert (whole(line) is not None) is (depth < MOST_DEPTH)
    assert bool(parse_line(line)) is (depth < MOST_DEPTH)
