"""The transport that aiohttp is given: neither aiohttp's wish to stop reading nor ours undoes the other one."""

import asyncio

from hypothesis import given, strategies as st

from bailiwick_webhook.http.transport.pacedtransport import PacedTransport


class ReadingTransport(asyncio.Transport):
    """A transport of which is known whether it reads."""

    def __init__(self) -> None:
        super().__init__()
        self.reading = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_reading(self) -> bool:
        return self.reading

    def is_closing(self) -> bool:
        return False

    def write(self, data: object) -> None:
        """Nothing is written here."""


@given(st.lists(st.sampled_from(["hold", "release", "pause_reading", "resume_reading"])))
def test_it_reads_while_both_want_it_to(steps: list[str]) -> None:
    under = ReadingTransport()
    paced = PacedTransport(under)
    held = paused = False
    for step in steps:
        getattr(paced, step)()
        held = step == "hold" or (held and step != "release")
        paused = step == "pause_reading" or (paused and step != "resume_reading")
        assert under.reading == paced.is_reading() == (not (held or paused))
