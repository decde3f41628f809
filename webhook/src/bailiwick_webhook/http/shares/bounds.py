"""Bounds: how much one process of the decision point takes on at a time, and how that is divided.

Standing: made by `settings`; `app` hands it to whatever counts. Holds: frozen. Of everything that is divided, callers
that enforce nothing have one fixed part and enforcers have the other one; neither ever has anything of the other's.
"""

import resource
from dataclasses import dataclass
from typing import Final, NamedTuple

from bailiwick_webhook.metrics.table import Port

# Descriptors that are not connections of clients: files, the API server's, the status port's, and room to spare.
_OTHERS: Final = 256
_FEWEST: Final = 16


class Parts(NamedTuple):
    """How an amount is divided."""

    enforcers: int
    others: int


class Pace(NamedTuple):
    """How fast a body has to come: after `grace` seconds at `rate` bytes a second on average, whole in `seconds`."""

    rate: int
    grace: float
    seconds: float

    def seconds_for(self, size: int) -> float:
        """Return within how many seconds there must be more of a body than so many bytes."""
        return min(self.seconds, self.grace + size / self.rate)


PACE: Final = Pace(rate=8 * 1024, grace=2.0, seconds=10.0)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What can be set. Durations are in seconds, sizes in bytes.

    Of one connection `requests` and `seconds`, each less by up to a fifth, by chance. A client that keeps its
    connections comes to a replica that was started later only with new ones. The head of the first request must be
    there within `first` seconds; each further one may begin `idle` seconds after the last answer, which lies between
    the 60 s after which proxies give up a connection and the 90 s after which Go's clients do. Over TLS a connection
    takes 50 KB, and while hands are shaken more, so that `connections` of them leave half of a pod's memory alone.

    `body_bytes` are those of all bodies that are being read.
    """

    requests: int = 1_000
    seconds: float = 300.0
    first: float = 20.0
    idle: float = 75.0
    connections: int = 2_000
    admission_connections: int = 128
    requests_at_once: int = 1_000
    others_percent: int = 25
    body_bytes: int = 64 * 1024 * 1024
    pace: Pace = PACE
    decisions_per_second: int = 0

    def divided(self, amount: int) -> Parts:
        """Divide an amount. Each part has something."""
        others = max(1, amount * self.others_percent // 100)
        return Parts(max(1, amount - others), others)

    def connections_of(self, port: Port) -> Parts:
        """Return how many connections a port may have, with as many descriptors as this process may have.

        Of the admission port all are the others': no caller authenticates there.
        """
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _OTHERS
        admission = max(_FEWEST, min(self.admission_connections, descriptors // 4))
        if port is Port.ADMISSION:
            return Parts(0, admission)
        return self.divided(max(_FEWEST, min(self.connections, descriptors - admission)))
