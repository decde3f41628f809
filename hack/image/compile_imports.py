"""Compile ahead what a program imports, for an image whose file system is read-only: run while the image is built.

Standing: run as `python compile_imports.py PACKAGE`, with the settings that the program will have (PYTHONOPTIMIZE,
PYTHONPYCACHEPREFIX). It compiles Bailiwick's packages whole, and every other module that importing the package's `main`
brings along, the standard library's too, or that a child process will load: a library of a thousand kinds of which ten
are used is not worth its bytes.
What is compiled is never compared with its source again: in an image, neither changes. Holds: the same sources give the
same files, whenever they were installed.
"""

import compileall
import importlib.util
import os
import sys
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import Final

_NOTIFYING: Final = ("bailiwick_operator", "bailiwick_cli")
_COUNTING: Final = "bailiwick_operator"
_MODE: Final = PycInvalidationMode.UNCHECKED_HASH


def main(package: str) -> int:
    """Compile; 1 where something does not compile."""
    importlib.import_module(f"{package}.main")
    if package in _NOTIFYING:
        # Loads each service of Apprise.
        importlib.import_module("bailiwick_notifications.sending.serviceprocess").load_services()
    if package == _COUNTING:
        importlib.import_module(f"{_COUNTING}.coverage.countprocess")
    library = Path(os.environ["PYTHONPATH"])
    files = {getattr(module, "__file__", None) or "" for module in list(sys.modules.values())}
    paths = {Path(name) for name in files if name.endswith(".py")} - {Path(__file__)}
    for ours in library.glob("bailiwick*"):
        paths |= set(ours.rglob("*.py"))
    # Python itself has compiled what was imported, with the time of each source: a module that did not come to its end
    # is in no list of modules, and would keep that.
    written = Path(os.environ["PYTHONPYCACHEPREFIX"]).rglob("*.pyc")
    paths |= {Path(importlib.util.source_from_cache(path)) for path in written}
    done = [compileall.compile_file(path, quiet=1, force=True, invalidation_mode=_MODE) for path in sorted(paths)]
    return 0 if all(done) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
