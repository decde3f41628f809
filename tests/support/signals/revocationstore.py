"""The API server as far as revocations are stored there, and a receiver over it: for crashes and for many orders.

Holds: a write that the real definition would refuse fails the test. That the real one refuses the same is seen in
tests/cluster/operator/test_signals.py.
"""

import copy
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from bailiwick_api.issuers import IssuerConfig
from bailiwick_api.kinds.subjectrevocation import SubjectRevocationSpec
from bailiwick_api.serverclock import ServerClock
from bailiwick_kube.paths import revocations_path
from bailiwick_kube.responses import ApiResponse
from bailiwick_kube.transport import ApiRequest
from bailiwick_operator.kube import GRANTS_PATH, OperatorClient
from bailiwick_operator.loop.clock import Clock
from bailiwick_operator.loop.grantsurvey import GrantSurvey
from support.objects import Object
from support.transport import FakeTransport

ROOT: Final = revocations_path()


class RevocationServer:
    """`before` is called before, and `after` after each write: they may raise. `status` refuses every write.

    `grants`: those that are listed.
    """

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.grants: list[Object] = []
        self.writes = 0
        self.before: Callable[[], None] = lambda: None
        self.after: Callable[[], None] = lambda: None
        self.status: int | None = None
        self.kube = OperatorClient(FakeTransport(self._answer), lambda: True)
        self.survey = GrantSurvey(self.kube, None, lambda: 1000.0)
        self._version = 10

    def specs(self) -> list[SubjectRevocationSpec]:
        """Return what is stored, checked by the model."""
        return [SubjectRevocationSpec.model_validate(body["spec"]) for body in self.objects.values()]

    def spec(self) -> SubjectRevocationSpec:
        """Return the only one."""
        (found,) = self.specs()
        return found

    def put(self, name: str, spec: Object) -> None:
        """Store an object as somebody else does."""
        self._version += 1
        metadata = {"name": name, "uid": f"uid-{self._version}", "resourceVersion": str(self._version)}
        self.objects[name] = {"metadata": metadata, "spec": copy.deepcopy(spec)}

    def _answer(self, request: ApiRequest) -> ApiResponse:
        if request.path == GRANTS_PATH:
            return _response(200, {"metadata": {"resourceVersion": str(self._version)}, "items": self.grants})
        name = request.path.removeprefix(ROOT).strip("/")
        present = self.objects.get(name)
        if request.method == "GET":
            if not name:
                items = [*self.objects.values()]
                return _response(200, {"metadata": {"resourceVersion": str(self._version)}, "items": items})
            return _response(404, {}) if present is None else _response(200, present)
        self.before()
        if self.status is not None:
            return _response(self.status, {"message": f"refused: {self.status}"})
        answer = self._write(request, name, present)
        self.after()
        return answer

    def _write(self, request: ApiRequest, name: str, present: Object | None) -> ApiResponse:
        body: Any = request.body
        if request.method == "POST":
            name = body["metadata"]["name"]
            if name in self.objects:
                return _response(409, {"message": "already exists"})
            self._check(body["spec"], None)
        elif present is None:
            return _response(404, {"message": "not found"})
        else:
            wanted = body["preconditions"] if request.method == "DELETE" else body["metadata"]
            if wanted["resourceVersion"] != present["metadata"]["resourceVersion"]:
                return _response(409, {"message": "modified"})
            if request.method == "DELETE":
                del self.objects[name]
                return _response(200, {})
            self._check(body["spec"], present["spec"])
        self.writes += 1
        self.put(name, body["spec"])
        return _response(200, self.objects[name])

    def _check(self, new: Object, old: Object | None) -> None:
        after = SubjectRevocationSpec.model_validate(new)
        assert after.cause.kind == "Signal"
        assert after.cause.event
        if old is None:
            return
        before = SubjectRevocationSpec.model_validate(old)
        assert (after.issuer, after.match) == (before.issuer, before.match)
        assert after.issued_before >= before.issued_before
        assert after.until >= before.until
        assert after.as_of >= before.as_of
        assert after.hold == before.hold or after.as_of > before.as_of
        later = after.as_of > before.as_of or after.issued_before > before.issued_before
        assert after.cause == before.cause or later


def _response(status: int, body: Object) -> ApiResponse:
    return ApiResponse(status, copy.deepcopy(body))


def clock_at(seconds: float) -> tuple[Clock, list[float]]:
    """Return a clock that is trusted and shows this time, and what moves it: its first member is the time."""
    time, monotonic = [seconds], [1000.0]
    server = ServerClock(lambda: time[0], lambda: monotonic[0] + time[0] - seconds)
    server.record_answer(seconds, server.monotonic())
    return Clock(server), time


def moment(seconds: float) -> datetime:
    """Return a time given in seconds since the epoch."""
    return datetime.fromtimestamp(seconds, UTC)


def config_of(entry: Object) -> IssuerConfig:
    """Return an entry of the issuers file."""
    return IssuerConfig.model_validate(entry)
