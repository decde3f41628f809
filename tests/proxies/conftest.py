"""One decision point with the shipped policy, one upstream, and real proxies before it, as their shipped files say."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from localcluster import build
from proxies import envoy
from support.pdp.standalone import Process
from support.proxies import faultygrpc
from support.proxies.faultygrpc import FaultyGrpcPoint
from support.proxies.kinds import BY_HTTP, PROXIES, Starts, envoy_grpc
from support.proxies.proxyprocess import RunningProxy
from support.proxies.scene import Scene
from support.proxies.servers import FaultyPoint, Server, faulty


def pytest_collection_finish(session: pytest.Session) -> None:
    # As for a cluster: to take it the first time can be longer than a test may. Pytest calls this for every run that
    # has come by this folder, also when all that is in it was deselected.
    ours = any(Path(__file__).parent in item.path.parents for item in session.items)
    if ours and not session.config.option.collectonly:
        envoy.ensure()
        build.ensure(build.caddy())


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return Scene(tmp_path_factory.mktemp("proxies"))


@pytest.fixture(scope="session")
def point(scene: Scene) -> Iterator[Process]:
    with (scene.folder / "point.log").open("wb") as log:
        process = scene.point(log, grpc=True)
        yield process
        process.stop()


@pytest.fixture(scope="session")
def _upstream() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture
def upstream(_upstream: Server) -> Server:
    """The upstream, which nothing has reached yet."""
    _upstream.asked.clear()
    return _upstream


@pytest.fixture(scope="session")
def faulty_point(scene: Scene) -> Iterator[FaultyPoint]:
    with faulty(*scene.serving) as point:
        yield point


@pytest.fixture(scope="session", params=list(PROXIES))
def before(request: pytest.FixtureRequest) -> Starts:
    """How each kind of proxy is started, before these two ports."""
    return PROXIES[request.param]


@pytest.fixture(scope="session", params=list(BY_HTTP))
def before_http(request: pytest.FixtureRequest) -> Starts:
    """How each kind of proxy is started that asks by HTTP."""
    return BY_HTTP[request.param]


@pytest.fixture(scope="session")
def proxy(
    before: Starts, scene: Scene, point: Process, _upstream: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningProxy]:
    """Each proxy in turn, before the real decision point."""
    port = point.grpc_port if before is envoy_grpc else point.port
    with before(scene, tmp_path_factory.mktemp("proxy"), _upstream.port, port) as running:
        yield running


@pytest.fixture(scope="session")
def faulty_proxy(
    before_http: Starts,
    scene: Scene,
    faulty_point: FaultyPoint,
    _upstream: Server,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningProxy]:
    """Each proxy in turn, before a decision point that misbehaves."""
    with before_http(scene, tmp_path_factory.mktemp("faulty"), _upstream.port, faulty_point.port) as running:
        yield running


@pytest.fixture(scope="session")
def real_envoy(
    scene: Scene, point: Process, _upstream: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningProxy]:
    with PROXIES["envoy"](scene, tmp_path_factory.mktemp("envoy"), _upstream.port, point.port) as running:
        yield running


@pytest.fixture(scope="session")
def grpc_envoy(
    scene: Scene, point: Process, _upstream: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningProxy]:
    with envoy_grpc(scene, tmp_path_factory.mktemp("envoy-grpc"), _upstream.port, point.grpc_port) as running:
        yield running


@pytest.fixture(scope="session")
def faulty_grpc_point(scene: Scene) -> Iterator[FaultyGrpcPoint]:
    with faultygrpc.faulty(*scene.serving) as point:
        yield point


@pytest.fixture(scope="session")
def faulty_grpc_envoy(
    scene: Scene, faulty_grpc_point: FaultyGrpcPoint, _upstream: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningProxy]:
    with envoy_grpc(scene, tmp_path_factory.mktemp("faulty"), _upstream.port, faulty_grpc_point.port) as running:
        yield running
