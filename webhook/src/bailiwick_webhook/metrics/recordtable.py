"""The metrics of the decision record and its chain. Standing: under `table`. Holds: as there; none has a label."""

from typing import Final

from bailiwick_process.metric import Metric

RECORDS_WRITTEN: Final = Metric("bailiwick_records_written_total", "counter", "Decision records written.")
RECORDS_LOST: Final = Metric(
    "bailiwick_records_lost_total",
    "counter",
    "Decision records not written. With --on-record-failure deny, their calls were denied, or the process stopped"
    " while it could not write.",
)
RECORDS_WAITING: Final = Metric("bailiwick_records_waiting", "gauge", "Decision records in the queue.")
RECORDS_BYTES: Final = Metric("bailiwick_records_waiting_bytes", "gauge", "Size of the decision records in the queue.")
RECORDS_FAILING: Final = Metric(
    "bailiwick_records_failing",
    "gauge",
    "1 while records cannot be written: the disk is full, or no process reads the pipe.",
)
LOG_SIZE: Final = Metric(
    "bailiwick_log_size",
    "gauge",
    "Lines in the chain of this process that are written. Absent with --record-chain off.",
)
LOG_CHECKPOINTS: Final = Metric(
    "bailiwick_log_checkpoints_total",
    "counter",
    "Checkpoints of this process's chain that were signed for a client of /checkpoint on the status port.",
)
LOG_UNASKED: Final = Metric(
    "bailiwick_log_unasked_seconds",
    "gauge",
    "Seconds since a checkpoint was last requested, or since the start. The operator, which is the witness, requests"
    " one every few seconds. Absent with --record-chain off.",
)

LOG_NOTES_REFUSED: Final = Metric(
    "bailiwick_log_notes_refused_total",
    "counter",
    "Checkpoints of the operator's log that were sent to /checkpoint on the status port and not taken into the chain,"
    " because the witness of this installation did not cosign them, or its key is not known here.",
)

RECORD_METRICS: Final = (
    *(RECORDS_WRITTEN, RECORDS_LOST, RECORDS_WAITING, RECORDS_BYTES, RECORDS_FAILING),
    *(LOG_SIZE, LOG_CHECKPOINTS, LOG_UNASKED, LOG_NOTES_REFUSED),
)
