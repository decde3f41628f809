"""What the process that runs Apprise may do from now on: connect where the rule lets it, and read its own libraries.

Standing: in that process alone, as Python's audit hook, which cannot be taken out again. Holds: closed for what is
named here; it confines a library that was led astray by a URL, not one that was made to do harm.
"""

import os
import resource
import ssl
import sys
import sysconfig
from typing import Final

from bailiwick_notifications.addresses import AddressRefusedError, AddressRule
from bailiwick_process.memorylimit import limit_memory

_NEVER: Final = (
    *("subprocess.", "os.exec", "os.fork", "os.posix_spawn", "os.system", "os.spawn", "pty.", "ctypes."),
    *("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.ch", "shutil."),
    *("os.scandir", "glob.", "tempfile.", "sqlite3.", "webbrowser.", "syslog."),
    *("socket.bind", "socket.sendto", "socket.sendmsg", "os.kill", "signal.pthread_kill", "resource."),
)
_SYSTEM: Final = (
    *("/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/services", "/etc/gai.conf", "/etc/localtime"),
    *("/etc/mime.types", "/etc/ssl/", "/usr/share/zoneinfo/", "/dev/urandom", "/dev/null"),
)
_WRITES: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CPU_SECONDS: Final = 20
_MORE_BYTES: Final = 64 << 20
"""Of memory, beside what it holds when it is confined. A message takes 2 MB of it, and TLS and threads fit as well."""


class ConfinementError(PermissionError):
    """The process may not do this."""


class Confinement:
    """The hook. `refused`: what was refused so far, in words."""

    def __init__(self, rule: AddressRule) -> None:
        self._rule = rule
        paths = sysconfig.get_paths()
        bundles = ssl.get_default_verify_paths()
        places = (
            *(paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")),
            *sys.path,
            sys.pycache_prefix,
        )
        folders = {os.path.realpath(place).rstrip("/") + "/" for place in places if place}
        folders.discard("/")
        known = (bundles.cafile, f"{bundles.capath or '/etc/ssl/certs'}/", *_SYSTEM)
        self._folders = tuple(sorted(folders | {place for place in known if place and place.endswith("/")}))
        self._files = frozenset(os.path.realpath(place) for place in known if place and not place.endswith("/"))
        self.refused: list[str] = []

    def begin(self) -> None:
        """Confine this process for good. Where there is no /proc, as on a desktop, memory is not limited."""
        # What somebody answers is read whole: it must end this process, and not the operator in its container.
        limit_memory(_MORE_BYTES)
        # No file of any length can be written, whatever opened it; pipes are not files.
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
        sys.addaudithook(self)

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        """Be the hook. Raises `ConfinementError` and `AddressRefusedError`."""
        if event == "socket.connect":
            self._connect(arguments[1])
        elif event == "open":
            self._open(arguments[0], arguments[2])
        elif event == "os.listdir":
            # As an import does.
            self._open(arguments[0], os.O_RDONLY)
        elif event.startswith(_NEVER):
            self._refuse(f"{event} is not allowed")

    def _connect(self, address: object) -> None:
        host = address[0] if isinstance(address, tuple) and address else None
        try:
            self._rule.check(host)
        except AddressRefusedError as error:
            self.refused.append(str(error))
            raise

    def _open(self, path: object, flags: object) -> None:
        if isinstance(path, int):
            # It was opened before.
            return
        name = os.path.realpath(os.fsdecode(path)) if isinstance(path, str | bytes) else ""
        readable = f"{name}/".startswith(self._folders) or name in self._files
        if not readable or not isinstance(flags, int) or flags & _WRITES:
            self._refuse("a file is not read or written")

    def _refuse(self, why: str) -> None:
        self.refused.append(why)
        raise ConfinementError(why)
