"""Several clusters asked at once, each in a thread of its own, all within one time.

Standing: over `reading`. Holds: a cluster that hangs, or says too much, costs no other one its answer, and the whole no
more than the time; a thread that is left over ends with the process.
"""

import threading
import time
from collections.abc import Callable, Mapping

from bailiwick_governance.fleet.reading import ClusterReading, ClusterUnansweredError, UnansweredCluster

ClusterAnswer = ClusterReading | UnansweredCluster


def ask_clusters(readers: Mapping[str, Callable[[], ClusterReading]], seconds: float) -> tuple[ClusterAnswer, ...]:
    """Return what each cluster said, in the order of the readers."""
    answers: dict[str, ClusterAnswer] = {}
    threads = [
        threading.Thread(target=_read, args=(name, reader, answers), name="fleet", daemon=True)
        for name, reader in readers.items()
    ]
    end = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    # What comes later is not looked at: a row is of one moment.
    found = dict(answers)
    late = f"no answer within {seconds:g} s"
    return tuple(found.get(name) or UnansweredCluster(name, late) for name in readers)


def _read(name: str, reader: Callable[[], ClusterReading], answers: dict[str, ClusterAnswer]) -> None:
    try:
        answers[name] = reader()
    except ClusterUnansweredError as error:
        answers[name] = UnansweredCluster(name, str(error))
    except Exception:  # noqa: BLE001 - whatever a cluster or a plugin of a kubeconfig does, it is a row
        answers[name] = UnansweredCluster(name, "it cannot be asked, or does not answer as an API server does")
