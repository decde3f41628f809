"""The first process of a node: makes its file system its own, then runs the node's programs and keeps them running.

Standing: run by `enter` as `python -m localcluster.node.init FOLDER`, as process 1 of its namespaces; imports only the
standard library. When it ends the kernel ends everything in the node and undoes every mount, so it cleans nothing up.
What the node's programs write outside the cluster's folder goes to memory and is gone with it.
"""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from localcluster.node import cgroups

# The folder of the cluster, as the node's programs know it: short, because paths of sockets are limited.
INSIDE: Final = Path("/run/cluster")
PLAN: Final = "plan.json"
# Folders of this machine that the node's programs write to: they see what is there, and write to memory.
_COVERED: Final = ("/etc", "/opt", "/var/lib", "/var/log")
# Settings of the whole machine's kernel that kubelet wants in its own way, and does not start where it may not write.
_SETTINGS: Final = (
    *("kernel/panic", "kernel/panic_on_oops", "kernel/keys/root_maxbytes", "kernel/keys/root_maxkeys"),
    *("vm/overcommit_memory", "vm/panic_on_oom"),
)
_POLL_SECONDS: Final = 0.05
_RESTART_SECONDS: Final = 1.0


@dataclass(slots=True)
class _Program:
    """A program that is kept running."""

    name: str
    command: list[str]
    environment: dict[str, str]
    log: Path
    handle: subprocess.Popen[bytes] | None = None
    ended: float = field(default=float("-inf"))

    def run(self) -> None:
        with self.log.open("ab") as output:
            self.handle = subprocess.Popen(  # noqa: S603 - what the plan says, which our own code writes
                self.command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=self.environment
            )


def main(folder: Path) -> None:
    """Run until a SIGTERM, or a SIGKILL, from outside."""
    signal.signal(signal.SIGTERM, lambda _number, _frame: os._exit(0))
    _mounts(folder)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1", encoding="ascii")
    (INSIDE / "node" / "ready").touch()
    plan = INSIDE / "node" / PLAN
    while not plan.exists():
        time.sleep(_POLL_SECONDS)
    programs = [
        _Program(entry["name"], entry["command"], entry["environment"], INSIDE / "logs" / f"{entry['name']}.log")
        for entry in json.loads(plan.read_text(encoding="utf-8"))
    ]
    while True:
        _reap(programs)
        for program in programs:
            if program.handle is None and time.monotonic() - program.ended >= _RESTART_SECONDS:
                program.run()
        time.sleep(_POLL_SECONDS)


def _reap(programs: list[_Program]) -> None:
    """Take leave of ended children: our own, and those whose parents are gone, which are left to process 1."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        for program in programs:
            if program.handle is not None and program.handle.pid == pid:
                program.handle.returncode = os.waitstatus_to_exitcode(status)
                print(f"{program.name} exited with code {program.handle.returncode}: restarting it", flush=True)
                program.handle, program.ended = None, time.monotonic()


def _mounts(folder: Path) -> None:
    """Give the node a file system of its own. Everything is private to it already: `unshare` sees to that."""
    run = folder / "node" / "run"
    run.mkdir(parents=True, exist_ok=True)
    _mount("-t", "tmpfs", "-o", "mode=0755", "tmpfs", str(run))
    (run / INSIDE.name).mkdir()
    _mount("--bind", str(folder), str(run / INSIDE.name))
    _mount("--move", str(run), "/run")
    for covered in _COVERED:
        _cover(Path(covered))
    for setting in _SETTINGS:
        _cover_setting(Path("/proc/sys", setting))
    # The interfaces and control groups that are seen here are those of the node.
    _mount("-t", "sysfs", "sysfs", "/sys")
    if cgroups_v1 := _controllers():
        _mount("-t", "tmpfs", "-o", "mode=0755", "tmpfs", str(cgroups.ROOT))
        for controllers in cgroups_v1:
            _mount_hierarchy(controllers)
    else:
        _mount("-t", "cgroup2", "cgroup2", str(cgroups.ROOT))
    # Volumes of pods are mounted while containers run.
    _mount("--make-rshared", "/")


def _cover(path: Path) -> None:
    if not path.is_dir():
        return
    memory = Path("/run/covered", path.as_posix().strip("/").replace("/", "-"))
    upper, work = memory / "upper", memory / "work"
    upper.mkdir(parents=True)
    work.mkdir()
    upper.chmod(path.stat().st_mode & 0o7777)
    _mount("-t", "overlay", "-o", f"lowerdir={path},upperdir={upper},workdir={work}", "overlay", str(path))


def _cover_setting(path: Path) -> None:
    """Put a file in the place of a setting, so that what is written to it changes nothing."""
    if not path.exists():
        return
    memory = Path("/run/covered", path.as_posix().strip("/").replace("/", "-"))
    memory.write_text(path.read_text(encoding="ascii"), encoding="ascii")
    _mount("--bind", str(memory), str(path))


def _controllers() -> list[str]:
    """Return the hierarchies of version 1, as /proc has them: `cpu,cpuacct`, `name=systemd`."""
    lines = Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines()
    found = [line.split(":", 2)[1] for line in lines]
    # Version 1 counts where it has a controller; its hierarchies without one are only names for groups.
    return [each for each in found if each] if any(each and "=" not in each for each in found) else []


def _mount_hierarchy(controllers: str) -> None:
    name = controllers.partition("=")[2] or controllers
    target = cgroups.ROOT / name
    target.mkdir()
    options = f"none,{controllers}" if "=" in controllers else controllers
    _mount("-t", "cgroup", "-o", options, "cgroup", str(target))
    for controller in name.split(",") if "," in name else ():
        (cgroups.ROOT / controller).symlink_to(name)


def _mount(*arguments: str) -> None:
    # No table of mounts beside the kernel's: it would lie in /run, which is being replaced.
    subprocess.run(["mount", "--no-mtab", *arguments], check=True)  # noqa: S603, S607 - mount of this system


if __name__ == "__main__":
    main(Path(sys.argv[1]))
