"""What bounds the decision record, and what is more dear where it cannot be written: the record or the answer.

Holds: frozen; whatever is set here, a decision that takes a use of a grant waits for its record.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """`records` and `size` (bytes) may wait at most, and a decision `timeout` seconds for its record.

    `required`: a decision whose record cannot be written is denied; otherwise it is given, and the loss is counted and
    logged. `first`: every decision waits for its record, not only those that take a use.
    """

    records: int = 10_000
    size: int = 16 << 20
    timeout: float = 1.0
    required: bool = True
    first: bool = False

    def hold(self, records: int, size: int, part: int = 1) -> bool:
        """Tell whether so many records, of so many bytes together, may wait; in one part of the room in so many."""
        return part * records <= self.records and part * size <= self.size
