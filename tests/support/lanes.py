"""Three workers share the tests out: two begin with those on an API server, the last one with those at the other end.

Standing: a plugin, loaded by tests/conftest.py, which puts the files in order. What waits for an API server takes the
time of others, so a worker with other tests fills the pauses. Holds: a file is one worker's, as with `loadfile`.
"""

from typing import Final

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

_LANES: Final = 3


class LanesScheduling(LoadFileScheduling):
    """Files in their order, but the last of three or more workers takes them from the end."""

    def _assign_work_unit(self, node: WorkerController) -> None:
        workers = self.nodes
        if len(workers) >= _LANES and node is workers[-1]:
            self.workqueue.move_to_end(next(reversed(self.workqueue)), last=False)
        super()._assign_work_unit(node)


# Only where xdist is: a plain run has no such hook.
@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LanesScheduling | None:
    """Schedule for `--dist loadfile`; every other way of xdist stays as it is."""
    return LanesScheduling(config, log) if config.getvalue("dist") == "loadfile" else None
