"""Free ports of the loopback interface.

Standing: asked at every start, so that several control planes stand side by side. A port is free only at
the moment it is looked at; who binds it must be ready to be told otherwise and to ask again. Holds: one process
is given no port twice while there are others, since somebody may still ask at the place of what has ended; no two
processes of a user are given the same one, since what is started takes a second until it listens.
"""

import fcntl
import functools
import os
import random
import socket
import threading
from pathlib import Path
from typing import Final

from localcluster.cache import cache_folder
from localcluster.errors import StartError

# Below the range that systems take for outgoing connections. A client that keeps dialling a stopped
# API server on a port of that range can in the end connect to itself, and so hold the port.
# Below 30000 too: node ports begin there.
_RANGE: Final = range(20000, 30000)
_TRIES: Final = 200
_given: Final[set[int]] = set()
_giving: Final = threading.Lock()
_OUTGOING: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_ports(count: int, address: str = "127.0.0.1") -> tuple[int, ...]:
    """Return `count` different ports that nobody listens on at this moment. May be called by several threads."""
    with _giving:
        return _chosen(count, address)


def _chosen(count: int, address: str) -> tuple[int, ...]:
    candidates = [port for port in _RANGE if port not in _outgoing()] or list(_RANGE)
    candidates = [port for port in candidates if port not in _given] or candidates
    found: list[int] = []
    for port in random.sample(candidates, min(_TRIES, len(candidates))):
        if _is_free(port, address) and _is_ours(port):
            found.append(port)
        if len(found) == count:
            _given.update(found)
            return tuple(found)
    msg = (
        f"No {count} free ports on {address} between {_RANGE.start} and {_RANGE.stop}:"
        " stop the processes that use them."
    )
    raise StartError(msg)


def held(port: int, address: str = "127.0.0.1") -> socket.socket | None:
    """Return what keeps others from a port on which nobody listens yet, until it is closed; None where it is taken.

    Whoever connects to it is refused.
    """
    holder = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        holder.bind((address, port))
    except OSError:
        holder.close()
        return None
    return holder


def _is_free(port: int, address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def _is_ours(port: int) -> bool:
    """Take a port for this process until it ends, however it ends; False where it is another process's."""
    try:
        fcntl.lockf(_book(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except (BlockingIOError, PermissionError):
        # POSIX has either; anything else says that there are no locks here, which must not pass for a port in use.
        return False
    return True


@functools.cache
def _book() -> int:
    """Open the file of which each byte stands for a port. It is never closed: that would give back every lock."""
    file = cache_folder() / "ports"
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _outgoing() -> range:
    try:
        low, high = _OUTGOING.read_text(encoding="ascii").split()
    except FileNotFoundError:
        return range(49152, 65536)
    return range(int(low), int(high) + 1)
