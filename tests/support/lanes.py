"""Three workers share the tests out, each with those that need the same: Bailiwick as it runs, an API server, neither.

Standing: a plugin, loaded by tests/conftest.py, which puts the files in order. What waits for an API server takes the
time of others, so a worker with other tests fills the pauses; and a control plane costs all of them until the run ends,
so each worker should need one at most. Holds: a file is one worker's, as with `loadfile`.
"""

from functools import cache
from pathlib import Path
from typing import Final

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

_LANES: Final = 3
# Whoever imports these fixtures shares one operator and its decision points with all others that do, on a control plane
# that is theirs alone.
_SHARED: Final = "support.pdp.fixtures"


class LanesScheduling(LoadFileScheduling):
    """Files in their order, but three or more workers each begin where no other does.

    The first takes those that share a running Bailiwick. Of all others, the second begins at the front, where those on
    an API server are, and the third at the end.
    """

    def _assign_work_unit(self, node: WorkerController) -> None:
        workers = self.nodes
        if len(workers) >= _LANES:
            self.workqueue.move_to_end(self._next_file(workers.index(node)), last=False)
        super()._assign_work_unit(node)

    def _next_file(self, lane: int) -> str:
        shared = [file for file in self.workqueue if takes_shared_pdp(self.config.rootpath / file)]
        apart = [file for file in self.workqueue if file not in shared]
        match lane:
            case 0:
                # None is left: at the end are those that need no API server.
                return shared[0] if shared else apart[-1]
            case 1:
                return (apart or shared)[0]
            case _:
                return (apart or shared)[-1]


@cache
def takes_shared_pdp(file: Path) -> bool:
    """Tell whether a test file, or a conftest.py above it, imports the fixtures of the Bailiwick that tests share."""
    conftests = (folder / "conftest.py" for folder in file.parents)
    return any(_SHARED in one.read_text(encoding="utf-8") for one in (file, *conftests) if one.is_file())


# Only where xdist is: a plain run has no such hook.
@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LanesScheduling | None:
    """Schedule for `--dist loadfile`; every other way of xdist stays as it is."""
    return LanesScheduling(config, log) if config.getvalue("dist") == "loadfile" else None
