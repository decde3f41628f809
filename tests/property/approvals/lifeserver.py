"""An API server for grants in memory, and calls to it that a test answers one by one, in any order.

Standing: under `test_grant_life`. Holds: what a real API server promises and no more: a write at another
resourceVersion is a conflict, an object made anew under an old name has another uid, what is gone is a 404, and a write
that changes nothing makes no version. Every change is checked against the laws of a grant's life when it is written.
Not `guarded`: writes of the status are held to the resourceVersion alone, and one that names none is taken, so that
what holds then holds by our own code.
"""

import copy
import math
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from bailiwick_api.kinds.approvalgrant import TERMINAL_PHASES
from bailiwick_api.serverclock import MAX_SKEW
from bailiwick_engine.approval.grants import parse
from bailiwick_kube.responses import ApiResponse
from bailiwick_operator.reconcile.approvalgrant import OWNED
from bailiwick_webhook.approvals.consumer import IDEMPOTENT_FOR
from support.objects import Object
from unit.engine.cases import NOW, at

# Which phase may follow which; a grant that the operator has not seen yet has none.
NEXT: Final[Mapping[str | None, frozenset[str]]] = {
    None: frozenset({"Pending", "Active", "Denied", "Expired", "Withdrawn"}),
    "Pending": frozenset({"Active", "Denied", "Expired", "Withdrawn"}),
    "Active": frozenset({"Consumed", "Lapsed", "Revoked"}),
}


@dataclass(frozen=True, slots=True)
class Use:
    """A use that the API server took: of which grant, for which evaluation, and when that read the grant."""

    grant_uid: str
    evaluation_id: str
    request_id: str | None
    read_at: float


@dataclass
class Op:
    """A call on its way: awaited by the code under test, answered by the machine."""

    kind: str
    name: str = ""
    body: Object = field(default_factory=dict)

    def __await__(self) -> Generator["Op", Any, Any]:
        """Wait for the machine's answer."""
        return (yield self)


class Wire:
    """Stands for a decision point's `Cluster` and for its records."""

    waits = False

    async def read_grant(self, namespace: str, name: str) -> ApiResponse:
        return await self._answer(Op("GET", name))

    async def write_grant_status(self, grant: Object) -> ApiResponse:
        return await self._answer(Op("PUT", grant["metadata"]["name"], copy.deepcopy(grant)))

    async def list_grants(self, namespace: str, selector: str) -> list[Object]:
        found: list[Object] = await Op("LIST")
        return found

    async def create_grant(self, manifest: Object) -> ApiResponse:
        return await self._answer(Op("POST", manifest["metadata"]["name"], copy.deepcopy(manifest)))

    async def write(self, line: bytes, *, must: bool = True) -> None:
        await Op("RECORD")

    def take(self, line: bytes) -> bool:
        return True

    async def _answer(self, op: Op) -> ApiResponse:
        answer: ApiResponse = await op
        return answer


@dataclass
class Server:
    """The stored grants by name, every version there ever was, and the uses that were taken."""

    guarded: bool
    now: float = NOW
    stored: dict[str, Object] = field(default_factory=dict)
    log: list[tuple[str, Object]] = field(default_factory=list)
    uses: list[Use] = field(default_factory=list)
    reviewed: dict[tuple[str, str], float] = field(default_factory=dict)
    """When each review came, by the grant's uid and the reviewer."""
    made: int = 0

    def read(self, name: str) -> ApiResponse:
        found = self.stored.get(name)
        return self._answer(404, {}) if found is None else self._answer(200, found)

    def create(self, manifest: Object) -> ApiResponse:
        name = manifest["metadata"]["name"]
        if name in self.stored:
            return self._answer(409, {"message": "already exists"})
        assert not manifest["spec"]["reviews"]
        self.made += 1
        metadata = {"uid": f"uid-{self.made}", "generation": 1, "creationTimestamp": at(self.now - NOW)}
        born = {key: value for key, value in manifest.items() if key != "status"}
        self._commit("ADDED", {**born, "metadata": {**manifest["metadata"], **metadata}})
        return self.read(name)

    def put_status(self, grant: Object, use: Use) -> ApiResponse:
        """As the decision point."""
        refused = self._stale(grant)
        if refused is not None:
            return refused
        stored = self.stored[grant["metadata"]["name"]]
        status, was = grant["status"], stored.get("status") or {}
        if self.guarded and not _adds_one_use(stored, status, was):
            return self._answer(422, {"message": "refused by the guard"})
        assert was.get("phase") == "Active", f"used while {was.get('phase')}"
        assert "revocation" not in stored["spec"], "used after its revocation"
        parsed = parse(stored)
        assert parsed is not None
        assert parsed.status.not_after_time is not None
        approved = sum(review["decision"] == "Approve" for review in stored["spec"]["reviews"])
        assert approved >= stored["spec"]["request"]["steps"][0]["count"], "used without its approvals"
        came = [self.reviewed[parsed.uid, judged.reviewer] for judged in parsed.status.counted or ()]
        deadline = parsed.request.pending_until_time.timestamp()
        assert max(came) <= deadline + MAX_SKEW, "used by a review that came after the deadline"
        assert use.read_at < parsed.status.not_after_time.timestamp(), "used when it was over"
        same = [taken for taken in self.uses if (taken.grant_uid, taken.request_id) == (use.grant_uid, use.request_id)]
        assert use.request_id is None or all(use.read_at - taken.read_at > IDEMPOTENT_FOR for taken in same), (
            "one request took two uses"
        )
        assert all(taken.evaluation_id != use.evaluation_id for taken in self.uses), "one call took two uses"
        self.uses.append(use)
        self._commit("MODIFIED", {**stored, "status": status})
        return self.read(grant["metadata"]["name"])

    def apply_status(self, judged: Object, status: Object) -> ApiResponse:
        """As the operator, with the version that it judged."""
        refused = self._stale(judged)
        if refused is not None:
            return refused
        stored = self.stored[judged["metadata"]["name"]]
        kept = {key: value for key, value in (stored.get("status") or {}).items() if key not in OWNED}
        self._commit("MODIFIED", {**stored, "status": {**kept, **status}})
        return self.read(judged["metadata"]["name"])

    def review(self, name: str, entry: Object) -> None:
        """As a person, under the review guard."""
        stored = self.stored[name]
        known = {review["reviewer"] for review in stored["spec"]["reviews"]}
        if phase(stored) not in {None, "Pending"} or "revocation" in stored["spec"] or entry["reviewer"] in known:
            return
        self.reviewed[stored["metadata"]["uid"], entry["reviewer"]] = self.now
        self._spec(stored, reviews=[*stored["spec"]["reviews"], entry])

    def revoke(self, name: str, by: str) -> None:
        """As a person, at any time."""
        stored = self.stored[name]
        if "revocation" not in stored["spec"]:
            self._spec(stored, revocation={"by": by})

    def touch(self, name: str) -> None:
        """As somebody who writes a label."""
        stored = self.stored[name]
        count = int(stored["metadata"].get("labels", {}).get("n", "0")) + 1
        self._commit("MODIFIED", {**stored, "metadata": {**stored["metadata"], "labels": {"n": f"{count}"}}})

    def delete(self, name: str) -> None:
        gone = self.stored.pop(name)
        self.log.append(("DELETED", gone))

    def _spec(self, stored: Object, **fields: object) -> None:
        metadata = {**stored["metadata"], "generation": stored["metadata"]["generation"] + 1}
        self._commit("MODIFIED", {**stored, "metadata": metadata, "spec": {**stored["spec"], **fields}})

    def _stale(self, sent: Object) -> ApiResponse | None:
        stored = self.stored.get(sent["metadata"]["name"])
        if stored is None:
            return self._answer(404, {})
        version = sent["metadata"].get("resourceVersion")
        if sent["metadata"].get("uid") != stored["metadata"]["uid"] or (
            version != stored["metadata"]["resourceVersion"] and (self.guarded or version)
        ):
            return self._answer(409, {"message": "the object has been modified"})
        return None

    def _commit(self, kind: str, new: Object) -> None:
        name = new["metadata"]["name"]
        old = self.stored.get(name)
        if new == old:
            return
        if old is not None:
            assert_lawful(old, new)
        stamped = {**new["metadata"], "resourceVersion": f"{len(self.log) + 1}"}
        self.stored[name] = copy.deepcopy({**new, "metadata": stamped})
        self.log.append((kind, self.stored[name]))

    def _answer(self, status: int, body: Object) -> ApiResponse:
        # The header has whole seconds.
        return ApiResponse(status, copy.deepcopy(body), math.floor(self.now))


def phase(stored: Object) -> str | None:
    """Return the phase that is stored."""
    found: str | None = (stored.get("status") or {}).get("phase")
    return found


def assert_lawful(old: Object, new: Object) -> None:
    """Assert that one version of a grant may follow another."""
    before, after = phase(old), phase(new)
    assert before == after or (before not in TERMINAL_PHASES and after in NEXT[before]), f"{before} to {after}"
    assert new["spec"]["request"] == old["spec"]["request"]
    assert new["spec"]["reviews"][: len(old["spec"]["reviews"])] == old["spec"]["reviews"], "reviews shrink"
    assert "revocation" not in old["spec"] or new["spec"]["revocation"] == old["spec"]["revocation"]
    denied = any(review["decision"] == "Deny" for review in old["spec"]["reviews"])
    assert not denied or after != "Active", "activated against a denial"
    was, now = old.get("status") or {}, new.get("status") or {}
    assert now.get("uses", 0) - was.get("uses", 0) in {0, 1}
    records = was.get("useRecords", [])
    assert now.get("useRecords", [])[: len(records)] == records, "use records change"
    assert len({record["key"] for record in now.get("useRecords", [])}) == now.get("uses", 0), "a use without a record"
    assert now.get("uses", 0) <= new["spec"]["request"]["maxUses"], "the grant has no uses left"
    for once in ("approvedTime", "notAfterTime"):
        assert once not in was or now[once] == was[once]


def _adds_one_use(stored: Object, status: Object, was: Object) -> bool:
    """As the status guard and the schema have it."""
    theirs = {key: value for key, value in status.items() if key not in {"uses", "useRecords"}}
    records = was.get("useRecords", [])
    return (
        theirs == {key: value for key, value in was.items() if key not in {"uses", "useRecords"}}
        and status["uses"] == was.get("uses", 0) + 1 == len(status["useRecords"])
        and status["uses"] <= stored["spec"]["request"]["maxUses"]
        and len({record["key"] for record in status["useRecords"]}) == len(status["useRecords"])
        and all(record in status["useRecords"] for record in records)
        and was.get("phase") == "Active"
        and "revocation" not in stored["spec"]
    )
