"""Evaluation ids: no two are alike, in threads and in forked processes, and they sort by time."""

import os
import re
import threading
from typing import Final

from bailiwick_webhook.pipeline.decision import new_evaluation_id

MANY: Final = 2_000


def test_an_id_has_the_time_and_eighty_random_bits() -> None:
    assert re.fullmatch(r"eval_0[0-9a-f]{11}[0-9a-f]{20}", new_evaluation_id())


def test_ids_sort_by_the_time_at_which_they_were_made() -> None:
    times = [new_evaluation_id()[: len("eval_") + 12] for _ in range(MANY)]
    assert times == sorted(times)


def test_no_two_threads_make_the_same_id() -> None:
    made: list[list[str]] = [[] for _ in range(4)]
    threads = [
        threading.Thread(target=lambda into=into: into.extend(new_evaluation_id() for _ in range(MANY)))
        for into in made
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({one for ids in made for one in ids}) == 4 * MANY


def test_a_forked_process_makes_other_ids_than_its_parent() -> None:
    new_evaluation_id()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, "".join(new_evaluation_id()[-20:] for _ in range(20)).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        theirs = told.read()
    os.waitpid(child, 0)
    ours = {new_evaluation_id()[-20:] for _ in range(MANY)}
    assert len(theirs) == 20 * 20
    assert ours.isdisjoint(theirs[at : at + 20] for at in range(0, len(theirs), 20))
