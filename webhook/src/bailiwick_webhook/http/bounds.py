"""What bounds the connections of one process of the decision point.

Holds: frozen.
"""

import resource
from dataclasses import dataclass
from typing import Final

# Descriptors that are not connections of clients: files, the API server's, the status port's, and room to spare.
_OTHERS: Final = 256
_FEWEST: Final = 16


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of one connection `requests` and `seconds`, each less by up to a fifth, by chance; and `most` at a time.

    A client that keeps its connections comes to a replica that was started later only with new ones. The head of the
    first request must be there within `first` seconds; each further one may begin `idle` seconds after the last answer,
    which lies between the 60 s after which proxies give up a connection and the 90 s after which Go's clients do. Over
    TLS one takes 50 KB, and while hands are shaken more, so that `most` of them leave half of a pod's memory alone.
    """

    requests: int = 1_000
    seconds: float = 300.0
    most: int = 2_000
    first: float = 20.0
    idle: float = 75.0

    @property
    def at_once(self) -> int:
        """How many there may be, with as many descriptors as this process may have."""
        return max(_FEWEST, min(self.most, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _OTHERS))
