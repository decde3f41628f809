"""Bailiwick's images, built from its Dockerfiles without a container engine.

Standing: needs buildah and debootstrap, and a checkout; of the node it knows nothing. What is built lies in the user's
cache under the hash of all that it is made from, so it is built once. The base is a Debian that debootstrap makes: the
Dockerfiles take whatever base they are told. How this machine reaches its package registry goes into a build as a
secret, and so into no layer.
"""

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from localcluster.cache import cache_folder, locked
from localcluster.errors import BuildError
from localcluster.node import debian, needs
from localcluster.process import tail
from localcluster.progress import Progress

ROOT: Final = Path(__file__).resolve().parents[4]
# What is installed; the gateway that may stand before an MCP server; the command line, for jobs.
NAMES: Final = ("webhook", "operator")
ALL: Final = (*NAMES, "mcp-gateway", "cli")
# Of those that are not named after their folder.
_FOLDERS: Final = {"mcp-gateway": "sdk"}
# A tag that names no version: what is in a checkout is none.
TAG: Final = "dev"

# Raise it when the way of building changes in a manner that the inputs do not show.
_RECIPE_VERSION: Final = 3
_BASE: Final = "localhost/bailiwick-base"
# pip's settings that say where packages come from, and by whose word.
_PIP_SETTINGS: Final = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout")
_CA_INSIDE: Final = "/run/secrets/ca"
_PIP_CONF_INSIDE: Final = "/etc/pip.conf"
_PIP_CACHE_INSIDE: Final = "/var/cache/pip"
_KEPT: Final = 6
_LEFT_OUT: Final = ("__pycache__",)


@dataclass(frozen=True, slots=True)
class Image:
    """An image as pods name it, and the archive that holds it."""

    reference: str
    archive: Path

    @property
    def digest(self) -> str:
        """The digest of its manifest: what a node that has loaded it reports as its identity."""
        with tarfile.open(self.archive) as archive:
            index = archive.extractfile("index.json")
            if index is None:
                raise BuildError(f"{self.archive} is not an OCI archive: delete the file and build again.")
            return str(json.load(index)["manifests"][0]["digest"])


def ensure(progress: Progress, names: tuple[str, ...] = NAMES) -> list[Image]:
    """Return these images of this checkout; build them if need be. Raises `NodeNeedsError`, `BuildError`."""
    images = [_image(name) for name in names]
    if all(image.archive.is_file() for image in images):
        return images
    needs.require((*needs.NODE, *needs.IMAGES), what="Building images")
    folder = _folder()
    with locked(folder / "lock", lambda: progress.say("Another process is building images: waiting for it.")):
        workshop = _Workshop(folder, progress)
        for name, image in zip(names, images, strict=True):
            # Whoever had the lock before us may just have built it.
            if not image.archive.is_file():
                workshop.build(name, image)
    return images


def build_folder(progress: Progress, context: Path, image: Image) -> None:
    """Build the image of a folder that has a Dockerfile, one that knows nothing of this machine: a reader's own.

    It is told the base, and finds pip's settings where pip looks for them. Raises `NodeNeedsError`, `BuildError`.
    """
    needs.require((*needs.NODE, *needs.IMAGES), what="Building images")
    folder = _folder()
    with locked(folder / "lock", lambda: progress.say("Another process is building images: waiting for it.")):
        _Workshop(folder, progress).build_folder(context, image)


def build_released(progress: Progress, checkout: Path, name: str, archive: Path, version: str, created: int) -> Image:
    """Build an image of a checkout as a release has it: of a version, every file at one time, in seconds since 1970.

    Raises `NodeNeedsError`, `BuildError`.
    """
    needs.require((*needs.NODE, *needs.IMAGES), what="Building images")
    folder, image = _folder(), Image(f"localhost/bailiwick-{name}:{version}", archive)
    with locked(folder / "lock", lambda: progress.say("Another process is building images: waiting for it.")):
        _Workshop(folder, progress).build_released(
            name, image, checkout, ("--build-arg", f"VERSION={version}"), created
        )
    return image


def packages(progress: Progress, architecture: str, base: str) -> Path:
    """Return the folder of the packages that a base is made of, for another architecture, as Debian calls that.

    `base` is the digest of the layer: Debian may have other versions later. Raises `NodeNeedsError`, `BuildError`.
    """
    folder = _folder()
    found = folder / f"packages-{architecture}-{base.removeprefix('sha256:')[:16]}"
    if not found.is_dir():
        needs.require((*needs.NODE, *needs.IMAGES), what="Getting packages")
        with locked(folder / "lock", lambda: progress.say("Another process is building images: waiting for it.")):
            _Workshop(folder, progress).get_packages(architecture, found)
    return found


def reference(name: str) -> str:
    """Return what pods call an image."""
    return f"localhost/bailiwick-{name}:{TAG}"


def _folder() -> Path:
    return cache_folder() / "images"


def _image(name: str) -> Image:
    return Image(reference(name), _folder() / f"{name}-{_digest(name)}.tar")


def _dockerfile(name: str, checkout: Path = ROOT) -> Path:
    return checkout / _FOLDERS.get(name, name) / "Dockerfile"


def _digest(name: str) -> str:
    """Return the hash of all that an image is made from, short enough for a file name."""
    digest = hashlib.sha256(json.dumps([_RECIPE_VERSION, _base_digest()]).encode())
    for path in sorted(_inputs(name)):
        digest.update(f"{path.relative_to(ROOT)}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _inputs(name: str) -> Iterator[Path]:
    """Yield the files of the checkout that the Dockerfile of an image takes, and itself."""
    dockerfile = _dockerfile(name)
    yield dockerfile
    yield ROOT / ".dockerignore"
    for line in dockerfile.read_text(encoding="utf-8").splitlines():
        words = line.split()
        if words[:1] == ["COPY"] and not words[1].startswith("--from"):
            for source in words[1:-1]:
                path = ROOT / source
                found = path.rglob("*") if path.is_dir() else [path]
                yield from (each for each in found if each.is_file() and not set(each.parts) & set(_LEFT_OUT))


def _base_digest() -> str:
    parts = [_RECIPE_VERSION, debian.SUITE, debian.PACKAGES, platform.machine()]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


class _Workshop:
    """A store of buildah's own, in the cache; the images of this machine are not touched."""

    def __init__(self, folder: Path, progress: Progress) -> None:
        self._folder = folder
        self._progress = progress
        self._log = folder / "build.log"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def build(self, name: str, image: Image) -> None:
        base = self._base()
        with self._progress.step(f"Building the image of the {name}"), _secrets(self._folder) as secrets:
            ignored = ("--ignorefile", ROOT / ".dockerignore")
            self._archive(image, base, *secrets, *ignored, "--file", _dockerfile(name), ROOT)
        # Those of a few checkouts or branches side by side.
        found = sorted(self._folder.glob(f"{name}-*.tar"), key=lambda path: path.stat().st_mtime, reverse=True)
        for older in found[_KEPT:]:
            older.unlink()
        self._progress.say(f"{image.reference}: {image.archive.stat().st_size / 1e6:.0f} MB with its base, compressed.")

    def build_released(self, name: str, image: Image, checkout: Path, arguments: tuple[str, ...], created: int) -> None:
        base = self._base()
        with self._progress.step(f"Building {image.reference}"), _secrets(self._folder) as secrets:
            told = ("--ignorefile", checkout / ".dockerignore", "--file", _dockerfile(name, checkout))
            self._archive(image, base, *secrets, *arguments, "--timestamp", str(created), *told, checkout)

    def build_folder(self, context: Path, image: Image) -> None:
        base = self._base()
        with self._progress.step(f"Building {image.reference}"), _secrets(self._folder, mounted=True) as mounts:
            self._archive(image, base, *mounts, context)

    def get_packages(self, architecture: str, found: Path) -> None:
        if found.is_dir():
            return
        with (
            self._progress.step(f"Getting Debian's packages for {architecture} with debootstrap"),
            tempfile.TemporaryDirectory(prefix=".packages-", dir=self._folder) as temporary,
        ):
            mirror = os.environ.get("BAILIWICK_DEBIAN_MIRROR")
            debootstrap = str(needs.find("debootstrap"))
            self._run(debian.packages_command(debootstrap, Path(temporary), architecture, mirror))
            # Those of an earlier base are of no use.
            for earlier in self._folder.glob(f"packages-{architecture}-*"):
                shutil.rmtree(earlier)
            Path(temporary, debian.ARCHIVES).replace(found)

    def _archive(self, image: Image, base: str, *arguments: str | Path) -> None:
        temporary = image.archive.with_name(f".{image.archive.name}")
        usual = ("--isolation", "chroot", "--pull-never", "--build-arg", f"BASE={base}")
        try:
            self._buildah("bud", *usual, "--tag", image.reference, *arguments)
            temporary.unlink(missing_ok=True)
            self._buildah("push", image.reference, f"oci-archive:{temporary}:{image.reference}")
        finally:
            # The archive is what is kept; the store keeps the base alone.
            self._buildah("rm", "--all")
            self._buildah("rmi", "--force", image.reference, may_fail=True)
            self._buildah("rmi", "--prune", may_fail=True)
        temporary.replace(image.archive)

    def _base(self) -> str:
        """Return the name of the base in the store, after making it if need be."""
        tag = f"{_BASE}:{_base_digest()}"
        if self._buildah("images", "--quiet", tag, may_fail=True).strip():
            return tag
        with (
            self._progress.step("Creating the base image with debootstrap"),
            tempfile.TemporaryDirectory(prefix=".base-", dir=self._folder) as temporary,
        ):
            tree = Path(temporary, "tree")
            mirror = os.environ.get("BAILIWICK_DEBIAN_MIRROR")
            self._run(debian.command(str(needs.find("debootstrap")), tree, mirror))
            debian.settle(tree)
            container = self._buildah("from", "scratch").strip()
            self._buildah("add", "--quiet", container, str(tree), "/")
            self._buildah("commit", "--quiet", "--rm", "--timestamp", str(debian.CREATED), container, tag)
        return tag

    def _buildah(self, *arguments: str | Path, may_fail: bool = False) -> str:
        store = ("--root", self._folder / "store", "--runroot", self._folder / "run")
        command = [needs.find("buildah") or "buildah", "--storage-driver", "overlay", *store, *arguments]
        return self._run([str(part) for part in command], may_fail=may_fail)

    def _run(self, command: list[str], *, may_fail: bool = False) -> str:
        with self._log.open("ab") as log:
            offset = log.tell()
            answer = subprocess.run(  # noqa: S603 - programs of this system, with our own arguments
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, check=False
            )
            log.write(answer.stdout)
        if answer.returncode != 0 and not may_fail:
            what = f"`{Path(command[0]).name} {' '.join(command[1:])}`"
            raise BuildError(f"{what} failed. The end of {self._log}:\n{tail(self._log, 15, offset)}")
        return answer.stdout.decode()


@contextmanager
def _secrets(folder: Path, *, mounted: bool = False) -> Iterator[list[str]]:
    """Make what a build is told of this machine's registry: pip's settings, its authorities, and a cache for wheels.

    A Dockerfile of ours asks for them as secrets. Into one that does not ask they are mounted.
    """
    settings = _pip_settings()
    authorities = settings.pop("cert", None)
    lines = ["[global]", f"cache-dir = {_PIP_CACHE_INSIDE}", *(f"{name} = {value}" for name, value in settings.items())]
    cache = folder / "pip"
    cache.mkdir(exist_ok=True)
    options = ["--volume", f"{cache}:{_PIP_CACHE_INSIDE}:rw"]
    with tempfile.TemporaryDirectory(prefix=".secrets-", dir=folder) as temporary:
        if authorities:
            lines.append(f"cert = {_CA_INSIDE}")
            options += _told("ca", authorities, _CA_INSIDE, mounted=mounted)
        file = Path(temporary, "pip.conf")
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        yield [*options, *_told("pip", file, _PIP_CONF_INSIDE, mounted=mounted)]


def _told(name: str, file: str | Path, inside: str, *, mounted: bool) -> tuple[str, str]:
    return ("--volume", f"{file}:{inside}:ro") if mounted else ("--secret", f"id={name},src={file}")


def _pip_settings() -> dict[str, str]:
    """Return what pip of this environment would use: its files and its variables."""
    answer = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    )
    found = {}
    for line in answer.stdout.splitlines():
        name, _, value = line.partition("=")
        # `global.cert`, `install.index-url`, `:env:.timeout`: variables come last, and win.
        setting = name.rpartition(".")[2].removeprefix("default-")
        if setting in (*_PIP_SETTINGS, "cert"):
            found[setting] = value.strip("'\"").replace("\\n", "\n    ")
    return found
