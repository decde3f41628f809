"""A cluster of containers by kind, for those who have a container engine.

Standing: another way to a cluster; the tests then find it by KUBECONFIG. The engine is asked for first,
before anything is built. Its kubeconfig lies in a file of its own: the user's ~/.kube/config stays as it is.
"""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from localcluster import build
from localcluster.cache import clusters_folder
from localcluster.errors import EngineError
from localcluster.progress import Progress

CONFIG: Final = Path(__file__).resolve().parent / "kind.yaml"
_ENGINES: Final = ("docker", "podman", "nerdctl")
_ANSWER_SECONDS: Final = 30
_READY: Final = "180s"


def engine() -> str:
    """Return the name of a container engine that answers; `EngineError` says what each of them said."""
    said: list[str] = []
    for name in _ENGINES:
        path = shutil.which(name)
        if path is None:
            said.append(f"  {name}: not installed")
            continue
        try:
            answer = subprocess.run(  # noqa: S603 - one of three known programs
                [path, "info"], capture_output=True, text=True, check=False, timeout=_ANSWER_SECONDS
            )
        except subprocess.TimeoutExpired:
            said.append(f"  {name}: no answer to `{name} info` within {_ANSWER_SECONDS} s")
            continue
        if answer.returncode == 0:
            return name
        words = (answer.stderr or answer.stdout).strip().splitlines()
        said.append(f"  {name}: {words[-1] if words else f'`{name} info` failed'}")
    reasons = "\n".join(said)
    msg = (
        f"kind needs a container engine, but none answers here:\n{reasons}\n"
        "Start one of them, or use the cluster that needs none: `python -m localcluster up`."
    )
    raise EngineError(msg)


def up(name: str, progress: Progress) -> tuple[Path, bool]:
    """Create the cluster; returns its kubeconfig, and False where the cluster was there already."""
    found = engine()
    program = build.ensure(build.kind(), progress) / "kind"
    kubeconfig = _kubeconfig(name)
    kubeconfig.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if name in _run(program, found, "get", "clusters").split():
        _run(program, found, "export", "kubeconfig", "--name", name, "--kubeconfig", str(kubeconfig))
        return kubeconfig, False
    with progress.step(f"Creating kind cluster {name!r} with {found}"):
        options = ("--name", name, "--config", str(CONFIG), "--kubeconfig", str(kubeconfig), "--wait", _READY)
        _run(program, found, "create", "cluster", *options)
    return kubeconfig, True


def down(name: str, progress: Progress) -> None:
    """Delete the cluster; nothing happens where there is none."""
    found = engine()
    program = build.ensure(build.kind(), progress) / "kind"
    kubeconfig = _kubeconfig(name)
    _run(program, found, "delete", "cluster", "--name", name, "--kubeconfig", str(kubeconfig))
    kubeconfig.unlink(missing_ok=True)


def _kubeconfig(name: str) -> Path:
    return clusters_folder().with_name("kind") / f"{name}.kubeconfig"


def _run(program: Path, engine_name: str, *arguments: str) -> str:
    environment = {**os.environ, "KIND_EXPERIMENTAL_PROVIDER": engine_name}
    answer = subprocess.run(  # noqa: S603 - the kind that we built
        [program, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    if answer.returncode != 0:
        msg = f"`kind {' '.join(arguments)}` failed: {answer.stderr.strip()[-2000:]}"
        raise EngineError(msg)
    return answer.stdout
