"""The flags of the decision record. Standing: under `flags`. Holds: as there."""

import argparse
from pathlib import Path

from bailiwick_webhook.process.flagvalues import count, fraction, positive, seconds
from bailiwick_webhook.record.writing.limits import QueueLimits


def add_record(record: argparse._ArgumentGroup) -> None:
    """Add them to a group."""
    usual = QueueLimits()
    record.add_argument(
        "--record-file",
        metavar="FILE",
        type=Path,
        default=Path("-"),
        help="file to append JSON lines to; - means stdout",
    )
    record.add_argument(
        "--record-hmac-key-file",
        metavar="FILE",
        type=Path,
        help=(
            "file with the HMAC key, 32 bytes or more; records contain HMACs in place of sensitive values, or nothing"
            " without a key"
        ),
    )
    record.add_argument(
        "--record-fsync", action="store_true", help="fsync every batch, so a written record is on the disk"
    )
    record.add_argument(
        "--record-chain",
        choices=("on", "off"),
        default="on",
        help=(
            "chain the records, so that one that was removed or changed later is found, and sign checkpoints of them at"
            " /checkpoint of the status port"
        ),
    )
    record.add_argument(
        "--witness-wait-seconds",
        type=seconds,
        default=13.0,
        help=(
            "maximum seconds that a process which stops keeps its status port open after its last record, until the"
            " witness has requested the checkpoint over it; does not wait if no witness has requested one in the last"
            " minute; 0 means never"
        ),
    )
    record.add_argument(
        "--record-before-answer",
        choices=("uses", "all"),
        default="uses",
        help=(
            "which responses wait until their record is written: those that take a use of a grant, or all; other"
            " records are written within moments, and a crash of the process can lose them"
        ),
    )
    record.add_argument(
        "--on-record-failure",
        choices=("deny", "allow"),
        default="deny",
        help=(
            "what to do if a record cannot be written: deny the call, or allow the decision and count and log the"
            " loss; a call that takes a use of a grant is always denied"
        ),
    )
    record.add_argument(
        "--record-timeout",
        type=positive,
        default=usual.timeout,
        help="maximum seconds that a decision waits for its record",
    )
    record.add_argument(
        "--record-queue", type=count, default=usual.records, help="maximum records that wait to be written"
    )
    record.add_argument(
        "--record-queue-bytes", type=count, default=usual.size, help="maximum bytes of records that wait to be written"
    )
    record.add_argument(
        "--shadow-share",
        metavar="SHARE",
        type=fraction,
        default=1.0,
        help=(
            "share, from 0 to 1, of the calls of an endpoint with a candidate (spec.replaces) that are decided once"
            " more after their answer, with the candidate; chosen at random"
        ),
    )
