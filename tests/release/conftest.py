"""A release of the commit that is checked out, made once, and a registry that it is pushed to.

Holds: the release comes from a clone, so it is made of what is committed; its key is thrown away afterwards. With
RELEASE_IMAGES, a folder that `make release-images` has filled, it has images. RELEASE_FOLDER and RELEASE_KEY name one
that was made of this commit before, and the private key that it was signed by.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from localcluster import build
from localcluster.node.recipes import Programs
from localcluster.progress import Silent
from release.registry import Registry
from releasemaker import assembly, signatures, source
from releasemaker.assembly import ReleaseSettings

_FOLDER: Final = Path(__file__).parent
ROOT: Final = _FOLDER.parents[1]
_RECIPES: Final = (build.cosign, build.registry, build.krew, build.helm, build.actionlint, build.control_plane)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # The first test of a run waits until the release is made.
    for item in items:
        if _FOLDER in item.path.parents:
            item.add_marker(pytest.mark.timeout(1800))


def pytest_collection_finish(session: pytest.Session) -> None:
    # A first build takes minutes, and the time of a test is limited.
    ours = any(_FOLDER in item.path.parents for item in session.items)
    if ours and not session.config.option.collectonly:
        for recipe in _RECIPES:
            build.ensure(recipe())
        if os.environ.get("RELEASE_IMAGES"):
            Programs.ensure()


@dataclass(frozen=True, slots=True)
class MadeRelease:
    """A release, the public key that it is verified by, and cosign."""

    folder: Path
    public_key: Path
    cosign: Path
    summary: dict[str, Any]

    @property
    def version(self) -> str:
        """Its version."""
        return str(self.summary["version"])

    def file(self, pattern: str) -> Path:
        """Return the one file whose name fits."""
        (found,) = self.folder.glob(pattern)
        return found


def clone(folder: Path) -> Path:
    """Return a checkout of its own of the commit that is checked out."""
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", ROOT, folder], check=True, capture_output=True)
    return folder


def new_key(folder: Path) -> Path:
    """Write a private key in PKCS#8."""
    key = ec.generate_private_key(ec.SECP256R1())
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = folder / "release.pem"
    path.write_bytes(key.private_bytes(*form))
    return path


def settings(version: str, key: Path | None = None) -> ReleaseSettings:
    """Return those of the tests."""
    images = os.environ.get("RELEASE_IMAGES")
    folder = Path(images).absolute() if images else None
    return ReleaseSettings(version, "registry.example/bailiwick", "https://downloads.example", key, folder)


def version_of(checkout: Path) -> str:
    """Return the version that a checkout states."""
    (found,) = set(source.stated_versions(checkout).values())
    return found


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The private key of the release."""
    made_before = os.environ.get("RELEASE_KEY")
    return Path(made_before) if made_before else new_key(tmp_path_factory.mktemp("key"))


@pytest.fixture(scope="session")
def release(key: Path, tmp_path_factory: pytest.TempPathFactory) -> MadeRelease:
    """Return the release."""
    folder = tmp_path_factory.mktemp("release")
    if made_before := os.environ.get("RELEASE_FOLDER"):
        shutil.copytree(made_before, folder / "dist")
        summary = assembly.summarize(folder / "dist")
    else:
        checkout = clone(folder / "checkout")
        summary = assembly.assemble(checkout, folder / "dist", settings(version_of(checkout), key), Silent())
    cosign = build.ensure(build.cosign()) / "cosign"
    # Not the one beside the files: whoever forges a release ships a key with it.
    with signatures.signer(cosign, key) as signer:
        public_key = signer.public_key(folder / "trusted.pub")
    return MadeRelease(folder / "dist", public_key, cosign, summary)


@pytest.fixture(scope="session")
def images(release: MadeRelease) -> dict[str, str]:
    """The digests of the release's images, by name."""
    found = dict(release.summary["images"])
    if not found:
        pytest.skip("the release has no images: RELEASE_IMAGES names none")
    return found


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """An empty registry on loopback, over TLS."""
    with Registry(build.ensure(build.registry()) / "registry", tmp_path_factory.mktemp("registry")) as registry:
        yield registry
