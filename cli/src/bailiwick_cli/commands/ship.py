"""`ship`: the lines of a record file into an object store, while a decision point writes it.

Holds: it runs until a signal ends it, and then stores what is left.
"""

import re
import signal
from pathlib import Path
from threading import Event
from typing import Final

from bailiwick_cli.errors import CliError, Exit
from bailiwick_cli.verbs.logverbs import ShipFlags
from bailiwick_governance.display import talk
from bailiwick_governance.records.objectstores import StoreUrl
from bailiwick_governance.records.objectwriter import ObjectWriter
from bailiwick_governance.shipping.position import PositionFile
from bailiwick_governance.shipping.shipper import Shipper

_URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)


def run(options: ShipFlags) -> int:
    """Follow the file until SIGTERM or SIGINT."""
    parts = _URL.fullmatch(options.url)
    if parts is None:
        raise CliError(f"{options.url} is no URL of an object store: write it as s3://BUCKET/PREFIX")
    state = Path(options.state)
    if not state.is_dir():
        raise CliError(f"--state: {state} is no folder: make it, and let only this program write there")
    writer = ObjectWriter(StoreUrl.parse(parts[1].lower(), parts[2]))
    ending = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        # The second one ends the process, whatever is left.
        signal.signal(number, lambda got, _frame: _end(ending, got))
    shipper = Shipper(Path(options.file), writer, PositionFile(state), seconds=options.seconds, tell=talk)
    shipper.run(ending)
    talk("every whole line of the file is stored")
    return Exit.OK


def _end(ending: Event, number: int) -> None:
    signal.signal(number, signal.SIG_DFL)
    ending.set()
