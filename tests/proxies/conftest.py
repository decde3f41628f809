"""One decision point with the shipped policy, one upstream, and real proxies before it, as their shipped files say."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from localcluster.ports import free_ports
from proxies import envoy
from support.pdp.standalone import Process
from support.proxies.running import RunningProxy, configured
from support.proxies.scene import Scene
from support.proxies.servers import FaultyPoint, Server, faulty


def pytest_collection_finish(session: pytest.Session) -> None:
    # As for a cluster: to take it the first time can be longer than a test may.
    if not session.config.option.collectonly:
        envoy.ensure()


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return Scene(tmp_path_factory.mktemp("proxies"))


@pytest.fixture(scope="session")
def point(scene: Scene) -> Iterator[Process]:
    with (scene.folder / "point.log").open("wb") as log:
        process = scene.point(log)
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


def started_envoy(scene: Scene, folder: Path, upstream_port: int, point_port: int) -> RunningProxy:
    """Return Envoy by the shipped file, between these two."""
    (port,) = free_ports(1)
    text = configured(
        "envoy/envoy.yaml",
        {
            "{address: 0.0.0.0, port_value: 8080}": f"{{address: 127.0.0.1, port_value: {port}}}",
            "{address: crm-api.crm.svc, port_value: 8080}": f"{{address: 127.0.0.1, port_value: {upstream_port}}}",
            "{address: bailiwick-webhook.bailiwick-system.svc, port_value: 443}": (
                f"{{address: 127.0.0.1, port_value: {point_port}}}"
            ),
            "/etc/envoy/client/tls.crt": str(scene.proxy.certificate),
            "/etc/envoy/client/tls.key": str(scene.proxy.key),
            "/etc/envoy/bailiwick/ca.crt": str(scene.authority.bundle),
        },
    )
    (folder / "envoy.yaml").write_text(text, encoding="utf-8")
    command = (envoy.ensure(), "-c", folder / "envoy.yaml", "--use-dynamic-base-id", "--concurrency", "1")
    return RunningProxy((*command, "--log-level", "warning"), port, folder / "envoy.log")


@pytest.fixture(scope="session")
def real_envoy(
    scene: Scene, point: Process, _upstream: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningProxy]:
    with started_envoy(scene, tmp_path_factory.mktemp("envoy"), _upstream.port, point.port) as running:
        yield running


@pytest.fixture(scope="session")
def faulty_envoy(
    scene: Scene, faulty_point: FaultyPoint, _upstream: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningProxy]:
    """Envoy before a decision point that misbehaves."""
    with started_envoy(scene, tmp_path_factory.mktemp("envoy"), _upstream.port, faulty_point.port) as running:
        yield running
