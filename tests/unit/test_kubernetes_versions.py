"""Which Kubernetes the test cluster runs: the variable chooses one that has pins, and every other word is refused."""

import re
from pathlib import Path
from typing import ClassVar

import pytest

from localcluster import build, components, pins, versions
from localcluster.clusters import NamedCluster
from localcluster.components import Files, Ports
from localcluster.controlplane import Settings
from localcluster.errors import VersionError
from localcluster.node import needs
from localcluster.node.cluster import NodeCluster
from localcluster.pki import Pair
from localcluster.process import ProcessId
from localcluster.progress import Silent
from localcluster.versions import KUBERNETES, KubernetesVersion

REAL = [version for version in versions.choices() if not version.emulated]
EMULATED = [version for version in versions.choices() if version.emulated]
EARLIER = [version for version in versions.choices() if not version.is_newest]
WORDS = "1.37, 1.36, 1.35, 1.36-emulated, 1.35-emulated"


def word(version: KubernetesVersion) -> str:
    return version.word


def flags() -> list[str]:
    """Return the arguments of an API server."""
    nowhere = Path("nowhere")
    pair = Pair(nowhere, nowhere)
    files = Files(nowhere, nowhere, nowhere, pair, pair, pair, pair, nowhere, nowhere, {})
    return components.apiserver(files, Ports(1, 2, 3))


@pytest.fixture(autouse=True)
def no_choice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(KUBERNETES, raising=False)
    monkeypatch.setenv("BAILIWICK_CACHE", str(tmp_path))


def test_without_a_choice_it_is_the_newest_by_its_own_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    digest = build.control_plane().digest
    assert versions.chosen() == versions.newest()
    assert not any(flag.startswith("--emulated-version") for flag in flags())
    for same in ("", versions.newest().word):
        monkeypatch.setenv(KUBERNETES, same)
        assert versions.chosen() == versions.newest()
        assert build.control_plane().digest == digest


@pytest.mark.parametrize("version", REAL, ids=word)
def test_the_pins_of_a_version_are_of_one_release(version: KubernetesVersion) -> None:
    text = (version.module.folder / "go.mod").read_text(encoding="utf-8")
    replaced = re.findall(r"^\s(\S+) => (\S+) (\S+)$", text, re.MULTILINE)
    assert len(replaced) > 20
    assert {(old == new, of) for old, new, of in replaced} == {(True, version.pinned.replace("v1.", "v0.", 1))}
    sums = (version.module.folder / "go.sum").read_text(encoding="utf-8")
    assert re.findall(r"^k8s\.io/kubernetes (v[\d.]+) h1", sums, re.MULTILINE) == [version.pinned]
    assert version.module.stamps["k8s.io/component-base/version.gitVersion"] == version.pinned


@pytest.mark.parametrize("version", REAL[1:], ids=word)
def test_a_real_version_has_programs_of_its_own_and_no_flag(
    version: KubernetesVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest, usual = build.control_plane(), flags()
    monkeypatch.setenv(KUBERNETES, version.word)
    assert build.control_plane().digest != newest.digest
    assert build.control_plane().binaries == newest.binaries
    assert flags() == usual


@pytest.mark.parametrize("version", EMULATED, ids=word)
def test_an_emulated_version_is_a_flag_of_the_newest_programs(
    version: KubernetesVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest, usual = build.control_plane().digest, flags()
    monkeypatch.setenv(KUBERNETES, version.word)
    assert build.control_plane().digest == digest
    assert [flag for flag in flags() if flag not in usual] == [f"--emulated-version={version.minor}"]


def test_every_folder_of_pins_of_kubernetes_can_be_chosen() -> None:
    folders = {path.name for path in pins.PINS.glob("kubernetes*")}
    assert folders == {version.module.name for version in REAL}
    assert ", ".join(version.word for version in versions.choices()) == WORDS


@pytest.mark.parametrize("other", ["1.34", "1.36.3", "v1.36", "1.37-emulated", "1.36 ", "emulated", "newest"])
def test_a_word_that_is_no_version_is_refused_with_those_that_are(other: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KUBERNETES, other)
    with pytest.raises(VersionError) as refused:
        build.ensure(progress=Silent())
    assert str(refused.value) == f"KUBERNETES={other}: there is no such version here. Choose one of {WORDS}."


@pytest.mark.parametrize("version", EARLIER, ids=word)
def test_a_node_of_an_earlier_version_is_refused_before_anything_is_built(
    version: KubernetesVersion, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(needs, "require", lambda: None)
    monkeypatch.setattr(build, "ensure", lambda *_, **__: pytest.fail("it builds"))
    monkeypatch.setenv(KUBERNETES, version.word)
    with pytest.raises(VersionError, match=rf"KUBERNETES={version.word}: a node is of Kubernetes v1\.37\.2 only"):
        NodeCluster(tmp_path / "cluster")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("created", "now", "advice"),
    [
        ("", "1.36", "was created with Kubernetes 1.37: unset KUBERNETES, or"),
        ("", "1.36-emulated", "was created with Kubernetes 1.37: unset KUBERNETES, or"),
        ("1.36", "", "was created with Kubernetes 1.36: set KUBERNETES=1.36, or"),
        ("1.36", "1.37", "was created with Kubernetes 1.36: set KUBERNETES=1.36, or"),
        ("1.36", "1.35", "was created with Kubernetes 1.36: set KUBERNETES=1.36, or"),
        ("1.36-emulated", "1.36", "was created with Kubernetes 1.36-emulated: set KUBERNETES=1.36-emulated, or"),
    ],
)
def test_data_of_one_version_is_not_started_with_another(
    created: str, now: str, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "ensure", lambda *_, **__: pytest.fail("it builds"))
    named = NamedCluster("kept")
    (named.folder / "etcd").mkdir(parents=True)
    if created:
        (named.folder / "kubernetes-version").write_text(created)
    monkeypatch.setenv(KUBERNETES, now)
    with pytest.raises(VersionError, match=re.escape(f"Cluster 'kept' {advice} remove it with")):
        named.up(Silent())


class PretendedPlane:
    """Leaves what a control plane leaves in its folder."""

    processes: ClassVar[dict[str, ProcessId]] = {}

    def __init__(self, binaries: Path, folder: Path, settings: Settings) -> None:
        del binaries, settings
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def start(self) -> None:
        (self._folder / "etcd").mkdir(exist_ok=True)

    def detach(self) -> None:
        """Nothing runs."""


@pytest.mark.parametrize(("created", "other"), [("", "1.36"), ("1.36", ""), ("1.36-emulated", "1.36")])
def test_a_cluster_stays_on_the_version_that_it_was_created_with(
    created: str, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("localcluster.clusters.ControlPlane", PretendedPlane)
    monkeypatch.setattr(build, "ensure", lambda progress: Path("nowhere"))
    named = NamedCluster("stays")
    monkeypatch.setenv(KUBERNETES, created)
    assert named.up(Silent())
    monkeypatch.setenv(KUBERNETES, other)
    with pytest.raises(VersionError):
        named.up(Silent())
    monkeypatch.setenv(KUBERNETES, created)
    assert named.up(Silent())
    # Without data there is nothing to stay with.
    named.down(Silent())
    monkeypatch.setenv(KUBERNETES, other)
    assert named.up(Silent())
