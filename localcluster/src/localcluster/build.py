"""The binaries, built once for each state of the pins and kept in the user's cache.

Standing: `ensure` is what everybody calls, and it returns a folder in which all binaries are whole: they
come under a temporary name and by one rename. One process builds at a time, the others wait for it.
"""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from localcluster import pins, toolchain, versions
from localcluster.cache import builds_folder, locked
from localcluster.errors import BuildError
from localcluster.pins import Module
from localcluster.process import tail
from localcluster.progress import Progress, Step, Terminal

_FLAGS: Final = ("-trimpath", "-buildvcs=false")
_POLL_SECONDS: Final = 0.3


class Recipe(Protocol):
    """Something that can be built."""

    @property
    def digest(self) -> str:
        """What the result depends on, as a name of a folder."""

    @property
    def binaries(self) -> tuple[str, ...]:
        """The files that are there once it is built."""

    @property
    def announcement(self) -> str:
        """What to tell somebody who is about to wait."""

    def build(self, folder: Path, log: Path, progress: Progress) -> None:
        """Put the binaries into this folder."""


@dataclass(frozen=True, slots=True)
class GoRecipe:
    """Programs of pinned Go modules."""

    modules: tuple[Module, ...]
    usual: str = field(kw_only=True)
    # Further flags of `go list` and `go build`, such as tags.
    flags: tuple[str, ...] = field(default=(), kw_only=True)

    @property
    def digest(self) -> str:
        """The hash of pins, flags and machine."""
        return pins.digest(self.modules, (*_FLAGS, *self.flags))

    @property
    def binaries(self) -> tuple[str, ...]:
        """The programs of all modules."""
        return tuple(name for module in self.modules for name in module.programs)

    @property
    def announcement(self) -> str:
        """What is built, and how long it usually takes."""
        return f"Building {', '.join(self.binaries)} from pinned sources, once: {self.usual}."

    def build(self, folder: Path, log: Path, progress: Progress) -> None:
        """Build one after the other; what they share is compiled once."""
        go = toolchain.find(max(module.go_version() for module in self.modules), progress)
        progress.say(f"With {go}; the full output is in {log}.")
        workshop = _Workshop(go.path, log, progress, self.flags)
        for module in self.modules:
            for name, package in module.programs.items():
                workshop.build(module, package, folder / name)


@dataclass(frozen=True, slots=True)
class WithFiles:
    """A recipe whose binaries need files of a module's sources: `files` is the name of each copy to its path there."""

    recipe: GoRecipe
    module: Module
    source: str
    files: dict[str, str]

    @property
    def digest(self) -> str:
        """That of the binaries, and which files; the pins say what is in them."""
        return pins.digest((self.module,), (self.recipe.digest, self.source, *self.files.values()))

    @property
    def binaries(self) -> tuple[str, ...]:
        """The binaries, and the files beside them."""
        return (*self.recipe.binaries, *self.files)

    @property
    def announcement(self) -> str:
        """What to tell somebody who is about to wait."""
        return self.recipe.announcement

    def build(self, folder: Path, log: Path, progress: Progress) -> None:
        """Build the binaries, and put the files beside them."""
        self.recipe.build(folder, log, progress)
        go = toolchain.find(self.module.go_version(), progress)
        sources = _Workshop(go.path, log, progress).sources(self.module, self.source)
        for name, path in self.files.items():
            shutil.copyfile(sources / path, folder / name)


def control_plane() -> Recipe:
    """Return the recipe of etcd, the API server and the controller manager, of the version that is chosen."""
    usual = "usually 8 to 9 minutes on 2 cores, less on more; seconds where Go's build cache has it already"
    return GoRecipe((pins.etcd(), versions.chosen().module), usual=usual)


def kind() -> Recipe:
    """Return the recipe of kind."""
    return GoRecipe((pins.kind(),), usual="usually half a minute")


def helm() -> Recipe:
    """Return the recipe of Helm 3."""
    return GoRecipe((pins.helm(),), usual="usually a minute")


def helm4() -> Recipe:
    """Return the recipe of Helm 4."""
    return GoRecipe((pins.helm4(),), usual="usually two minutes")


def argocd() -> Recipe:
    """Return the recipe of Argo CD and of the manifests by which it is installed."""
    module = pins.argocd()
    recipe = GoRecipe((module,), usual="usually 4 minutes on 2 cores")
    return WithFiles(recipe, module, pins.ARGOCD, {"install.yaml": "manifests/install.yaml"})


def caddy() -> Recipe:
    """Return the recipe of Caddy."""
    return GoRecipe((pins.caddy(),), usual="usually 4 minutes on 2 cores")


def notary() -> Recipe:
    """Return the recipe of what verifies logs of decisions by the libraries of others."""
    return GoRecipe((pins.notary(),), usual="usually seconds")


def litewitness() -> Recipe:
    """Return the recipe of a witness of logs that is not ours."""
    return GoRecipe((pins.litewitness(),), usual="usually a minute")


def netpolicies() -> Recipe:
    """Return the recipe of what enforces NetworkPolicies and is not ours, and of what asks its evaluator."""
    return GoRecipe((pins.netpolicies(),), usual="usually 2 minutes")


def registry() -> Recipe:
    """Return the recipe of a registry of images and charts."""
    return GoRecipe((pins.registry(),), usual="usually 3 minutes on 2 cores")


def gofakes3() -> Recipe:
    """Return the recipe of an S3 server that is not ours."""
    return GoRecipe((pins.gofakes3(),), usual="usually half a minute")


def otelcol() -> Recipe:
    """Return the recipe of an OpenTelemetry Collector that is not ours."""
    return GoRecipe((pins.otelcol(),), usual="usually 2 to 4 minutes on 2 cores")


def tessera() -> Recipe:
    """Return the recipe of what writes and verifies logs of tiles, and is not ours."""
    return GoRecipe((pins.tessera(),), usual="usually half a minute")


def cosign() -> Recipe:
    """Return the recipe of cosign."""
    return GoRecipe((pins.cosign(),), usual="usually 5 minutes on 2 cores")


def krew() -> Recipe:
    """Return the recipe of krew."""
    return GoRecipe((pins.krew(),), usual="usually a minute")


def actionlint() -> Recipe:
    """Return the recipe of actionlint."""
    return GoRecipe((pins.actionlint(),), usual="usually half a minute")


def folder_of(recipe: Recipe) -> Path:
    """Where the binaries of a recipe are, or will be."""
    return builds_folder() / recipe.digest / "bin"


def is_built(recipe: Recipe) -> bool:
    """Whether they are there."""
    return all((folder_of(recipe) / name).is_file() for name in recipe.binaries)


def ensure(recipe: Recipe | None = None, progress: Progress | None = None) -> Path:
    """Return the folder of the binaries (of the control plane, if nothing else is asked); build them if need be."""
    recipe, progress = recipe or control_plane(), progress or Terminal()
    folder = folder_of(recipe)
    if is_built(recipe):
        return folder
    waiting = f"Another process is building {', '.join(recipe.binaries)}: waiting for it."
    with locked(folder.parent / "lock", lambda: progress.say(waiting)):
        # Whoever had the lock before us has most likely just built it.
        if not is_built(recipe):
            progress.say(recipe.announcement)
            _build_into(folder, recipe, progress)
    return folder


def _build_into(folder: Path, recipe: Recipe, progress: Progress) -> None:
    # Under the lock, a folder of this name is what a killed build left.
    for left in folder.parent.glob(".building-*"):
        shutil.rmtree(left)
    temporary = Path(tempfile.mkdtemp(prefix=".building-", dir=folder.parent))
    try:
        recipe.build(temporary, folder.parent / "build.log", progress)
        temporary.chmod(0o755)
        shutil.rmtree(folder, ignore_errors=True)
        temporary.replace(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class _Workshop:
    """What each step of a Go build needs."""

    go: Path
    log: Path
    progress: Progress
    flags: tuple[str, ...] = ()

    def build(self, module: Module, package: str, target: Path) -> None:
        with self.progress.step(f"{target.name}: fetching sources") as step:
            fetched = _Counter(step, "{fetched} modules fetched")
            # How many packages there are at most; those that are in Go's cache are not compiled again.
            total = self._run(module, fetched, "list", "-deps", *self.flags, package).count("\n")
        with self.progress.step(f"{target.name}: compiling") as step:
            compiled = _Counter(step, f"{{compiled}} packages of at most {total}")
            flags = (*_FLAGS, *self.flags, "-v", "-ldflags", module.linker_flags(), "-o", str(target))
            self._run(module, compiled, "build", *flags, package)

    def sources(self, module: Module, source: str) -> Path:
        """Return the folder of the sources of a Go module, which a build has fetched."""
        with self.progress.step(f"{source}: sources") as step:
            counter = _Counter(step, "{fetched} modules fetched")
            return Path(self._run(module, counter, "list", "-m", "-f", "{{.Dir}}", source).strip())

    def _run(self, module: Module, counter: "_Counter", *arguments: str) -> str:
        """Run Go in the folder of the pins; returns what it printed to standard output."""
        with self.log.open("ab") as errors, tempfile.TemporaryFile() as output, self.log.open() as reader:
            reader.seek(0, 2)
            handle = subprocess.Popen(  # noqa: S603 - the Go that we found, with our own arguments
                [self.go, *arguments], cwd=module.folder, env=toolchain.environment(), stdout=output, stderr=errors
            )
            try:
                _follow(handle, lambda: counter.lines(reader.read().splitlines()))
            except BaseException:
                handle.terminate()
                handle.wait()
                raise
            if handle.returncode != 0:
                msg = (
                    f"`go {arguments[0]}` failed with code {handle.returncode} in {module.folder}. The end of "
                    f"{self.log}:\n{tail(self.log)}\nIf a download failed, run it again: finished work is kept."
                )
                raise BuildError(msg)
            output.seek(0)
            return output.read().decode()


class _Counter:
    """Makes numbers of what Go says on standard error."""

    def __init__(self, step: Step, words: str) -> None:
        self._step, self._words = step, words
        self._compiled = self._fetched = 0

    def lines(self, lines: list[str]) -> None:
        self._fetched += sum(line.startswith("go: downloading ") for line in lines)
        # `-v` names each package on a line of its own when its compilation begins.
        self._compiled += sum(" " not in line for line in lines)
        self._step.update(self._words.format(compiled=self._compiled, fetched=self._fetched))


def _follow(handle: subprocess.Popen[bytes], look: Callable[[], None]) -> None:
    while handle.poll() is None:
        look()
        time.sleep(_POLL_SECONDS)
    look()
