"""The plan of one run: how long, on which cores, and where to say how far it is.

Standing: handed to every section by `__main__`.
"""

from dataclasses import dataclass

from benchmarks.rig.cores import Cores
from localcluster.progress import Progress


@dataclass(frozen=True, slots=True)
class Plan:
    """`seconds` is that of one round on one server; `quick` measures less of what takes long."""

    cores: Cores
    rounds: int
    seconds: int
    quick: bool
    progress: Progress
