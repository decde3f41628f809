"""What the operator makes of the answers of API servers: which keep the guards, and when that is reported."""

from http import HTTPStatus
from typing import Any, Final

import pytest

from bailiwick_api.manifests.keep import KEEP, KEEP_PROBE, keep_binding, keep_refusal
from bailiwick_api.voidgrants import NONE
from bailiwick_kube.responses import ApiResponse
from bailiwick_kube.transport import ApiRequest, UnreachableError
from bailiwick_operator.guard.keep import KeepWatch, api_servers
from bailiwick_operator.guard.prover import UnprovenError
from bailiwick_operator.kube import OperatorClient
from bailiwick_operator.reconcile.guard import KeepState, misses_keep, new_record
from bailiwick_operator.reconcile.transitions import EventDraft
from support.objects import Object
from support.transport import FakeTransport
from unit.operator.cases import INSTALLATION, NOW
from unit.operator.reconcile.test_guard_rules import PROOF

FORBIDDEN: Final = f'validatingadmissionpolicybindings.admissionregistration.k8s.io "{KEEP_PROBE}" is forbidden: '


def refused(words: str) -> ApiResponse:
    return ApiResponse(HTTPStatus.FORBIDDEN, {"message": FORBIDDEN + words})


KEPT: Final = refused(keep_refusal())
ALLOWED: Final = ApiResponse(HTTPStatus.CREATED, {})
OLD: Final = refused(keep_refusal().replace(keep_binding(), "bailiwick-keep.000000000000.static.k8s.io"))


class Servers:
    """API servers by their address, and what each answers to the probe."""

    def __init__(self, **answers: ApiResponse | Exception) -> None:
        self.answers = {f"10.0.0.{number[1:]}:6443": answer for number, answer in answers.items()}
        self.piece: Object | ApiResponse | Exception = {
            "ports": [{"name": "https", "port": 6443}],
            "endpoints": [{"addresses": [server.partition(":")[0]]} for server in self.answers],
        }
        self.recorded = ""
        self.sent: list[ApiRequest] = []
        self.changes: list[tuple[str, str]] = []
        self.told: list[EventDraft] = []

    def watch(self, *, required: bool = False) -> KeepWatch:
        return KeepWatch(
            OperatorClient(FakeTransport(self._answer), lambda: True),
            INSTALLATION,
            lambda server: FakeTransport(lambda request: self._probe(server, request)),
            interval=60,
            required=required,
            changed=lambda now, before: self.changes.append((now, before)),
            tell=self.told.append,
        )

    def _answer(self, request: ApiRequest) -> ApiResponse:
        if request.path.endswith("/endpointslices/kubernetes"):
            if isinstance(self.piece, Exception):
                raise self.piece
            return self.piece if isinstance(self.piece, ApiResponse) else ApiResponse(HTTPStatus.OK, self.piece)
        return ApiResponse(HTTPStatus.OK, {"data": new_record(PROOF, 180, NOW, NONE, self.recorded).data()})

    def _probe(self, server: str, request: ApiRequest) -> ApiResponse:
        self.sent.append(request)
        answer = self.answers[server]
        if isinstance(answer, Exception):
            raise answer
        return answer


async def looked(servers: Servers, *, required: bool = False) -> KeepWatch:
    watch = servers.watch(required=required)
    await watch.look()
    return watch


async def test_each_server_is_asked_by_a_dry_run_alone() -> None:
    servers = Servers(s1=KEPT, s2=KEPT, s3=KEPT)
    watch = await looked(servers)
    assert watch.state == KeepState(3, 0, 0, None)
    assert [dict(request.query or {})["dryRun"] for request in servers.sent] == ["All"] * 3
    assert servers.changes == [("3/3", "")]


@pytest.mark.parametrize(
    ("answer", "counts", "words"),
    [
        (ALLOWED, (1, 1, 0), "it has no bailiwick-keep"),
        (OLD, (1, 1, 0), "its bailiwick-keep is of another version"),
        (refused('User "op" cannot patch resource'), (1, 1, 0), "refused by something else"),
        (refused(keep_refusal().replace(KEEP, "bailiwick-keep")), (1, 1, 0), "refused by something else"),
        (refused(f"{keep_refusal()} and more"), (1, 1, 0), "of another version"),
        (ApiResponse(HTTPStatus.OK, {"message": FORBIDDEN + keep_refusal()}), (1, 1, 0), "it has no bailiwick-keep"),
        (ApiResponse(HTTPStatus.UNPROCESSABLE_ENTITY, KEPT.body), (1, 1, 0), "of another version"),
        (ApiResponse(HTTPStatus.UNAUTHORIZED, {"message": "Unauthorized"}), (1, 0, 1), "Unauthorized"),
        (ApiResponse(HTTPStatus.SERVICE_UNAVAILABLE, {"message": "starting"}), (1, 0, 1), "starting"),
        (UnreachableError("no response within 3 s"), (1, 0, 1), "no response within 3 s"),
    ],
)
async def test_only_the_very_refusal_of_this_version_counts(
    answer: ApiResponse | Exception, counts: tuple[int, int, int], words: str
) -> None:
    state = (await looked(Servers(s1=KEPT, s2=answer))).state
    assert state is not None
    assert (state.kept, state.without, state.silent) == counts
    assert state.text == "1/2"
    assert words in str(state.problem)
    assert "10.0.0.2:6443" in str(state.problem)
    assert "10.0.0.1:6443" not in str(state.problem)


@pytest.mark.parametrize(
    ("piece", "words"),
    [
        (ApiResponse(HTTPStatus.FORBIDDEN, {"message": "cannot get resource"}), "Apply the crds/rbac of this version"),
        (ApiResponse(HTTPStatus.NOT_FOUND, {"message": "not found"}), "cannot be read: not found"),
        ({}, "has 0 addresses"),
        ({"ports": [{"port": 6443}], "endpoints": [{"addresses": ["kube.example.com"]}]}, "cannot be read"),
        ({"ports": [{"port": "x"}], "endpoints": [{"addresses": ["10.0.0.1"]}]}, "cannot be read"),
        ({"ports": [{}], "endpoints": [{"addresses": ["10.0.0.1"]}]}, "cannot be read"),
        ({"ports": [{"port": 1}], "endpoints": [{}]}, "cannot be read"),
        ({"ports": [{"port": port} for port in range(65)], "endpoints": [{"addresses": ["10.0.0.1"]}]}, "1 to 64"),
    ],
)
async def test_without_addresses_no_server_counts(piece: Any, words: str) -> None:  # noqa: ANN401 - any answer
    servers = Servers()
    servers.piece = piece
    watch = await looked(servers, required=True)
    assert watch.state is not None
    assert (watch.state.text, servers.sent) == ("0/0", [])
    assert words in str(watch.state.problem)
    with pytest.raises(UnprovenError):
        await watch.require()


async def test_while_the_api_server_does_not_respond_the_last_result_stays() -> None:
    servers = Servers(s1=KEPT)
    watch = await looked(servers)
    servers.piece = UnreachableError("gone")
    await watch.look()
    assert (watch.state, watch.looks) == (KeepState(1, 0, 0, None), 2)


class TestWhereItIsRequired:
    async def test_the_first_proof_looks_first(self) -> None:
        servers = Servers(s1=KEPT)
        await servers.watch(required=True).require()
        assert len(servers.sent) == 1

    async def test_nothing_is_proven_while_no_look_has_succeeded(self) -> None:
        servers = Servers(s1=KEPT)
        servers.piece = UnreachableError("gone")
        with pytest.raises(UnreachableError, match="not known yet"):
            await servers.watch(required=True).require()

    async def test_a_server_without_it_is_unproven(self) -> None:
        watch = await looked(Servers(s1=KEPT, s2=ALLOWED, s3=UnreachableError("no")), required=True)
        with pytest.raises(UnprovenError, match="2 of 3 addresses of API servers do not keep the guards"):
            await watch.require()

    async def test_a_silent_server_is_unknown_and_proves_nothing_either(self) -> None:
        watch = await looked(Servers(s1=KEPT, s2=UnreachableError("no")), required=True)
        with pytest.raises(UnreachableError, match="1 of 2"):
            await watch.require()

    async def test_nothing_is_required_without_the_flag(self) -> None:
        servers = Servers(s1=ALLOWED)
        await servers.watch().require()
        await (await looked(servers)).require()


class TestTheEvent:
    async def test_is_written_once_until_every_server_keeps_them_again(self) -> None:
        servers = Servers(s1=KEPT, s2=ALLOWED)
        watch = await looked(servers)
        await watch.look()
        assert [(draft.type, draft.reason) for draft in servers.told] == [("Warning", "KeepMissing")]
        servers.answers["10.0.0.2:6443"] = KEPT
        await watch.look()
        servers.answers["10.0.0.1:6443"] = ALLOWED
        await watch.look()
        assert len(servers.told) == 2
        assert servers.changes == [("1/2", ""), ("2/2", "1/2"), ("1/2", "2/2")]

    async def test_each_leader_says_once_how_it_is(self) -> None:
        servers = Servers(s1=KEPT)
        servers.recorded = "1/1"
        watch = await looked(servers)
        await watch.look()
        assert (servers.changes, servers.told) == ([("1/1", "1/1")], [])

    async def test_is_written_by_the_next_leader_too(self) -> None:
        servers = Servers(s1=ALLOWED)
        servers.recorded = "1/1"
        await looked(servers)
        assert [draft.reason for draft in servers.told] == ["KeepMissing"]
        assert servers.changes == [("0/1", "1/1")]

    @pytest.mark.parametrize(
        ("before", "now", "required", "missing"),
        [
            ("", KeepState(0, 3, 0, "none"), False, False),
            ("0/3", KeepState(0, 3, 0, "none"), False, False),
            ("0/3", KeepState(0, 3, 0, "none"), True, True),
            ("", KeepState(1, 2, 0, "two"), False, True),
            ("3/3", KeepState(0, 3, 0, "none"), False, True),
            ("3/3", KeepState(0, 0, 0, "no right"), False, True),
            ("10/10", KeepState(0, 10, 0, "none"), False, True),
            ("2/3", KeepState(3, 0, 0, None), True, False),
        ],
    )
    def test_is_not_written_where_keep_was_never_installed(
        self, before: str, now: KeepState, required: bool, missing: bool
    ) -> None:
        assert misses_keep(before, now, required=required) is missing


def test_every_address_and_port_is_one_server() -> None:
    piece = {
        "ports": [{"name": "https", "port": 6443}, {"port": 6444}],
        "endpoints": [
            {"addresses": ["10.0.0.1"], "conditions": {"ready": False}},
            {"addresses": ["10.0.0.1", "fd00::1"]},
        ],
    }
    assert api_servers(piece) == ("10.0.0.1:6443", "10.0.0.1:6444", "[fd00::1]:6443", "[fd00::1]:6444")
