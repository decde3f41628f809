"""The process that counts findings once: `python -m bailiwick_operator.coverage.countprocess`.

Standing: started by `counter`, which gives it a request on stdin and kills it if it takes too long. Holds: it yields
the processor to everything else, and its memory is limited; it reads as the operator's account and writes nothing; it
prints one line of JSON, with counts and without a name of any object. Where memory is not enough, the line names the
namespace that takes most, so that the next process can leave it out.
"""

import asyncio
import json
import os
import resource
import sys
import time
from collections import Counter
from collections.abc import Coroutine, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

import orjson

from bailiwick_coverage.findings import CoverageCode
from bailiwick_coverage.inventory.clusterfacts import read_facts
from bailiwick_coverage.inventory.clusterreader import InventoryError, Object, ReadRefusedError
from bailiwick_coverage.inventory.words import default_words
from bailiwick_coverage.report import NEAR_SECONDS, UNUSED_SECONDS, CoverageQuestion, count_codes, examine
from bailiwick_kube.access import Access
from bailiwick_kube.connections import HttpTransport
from bailiwick_kube.lists import RefusedListError, pages
from bailiwick_kube.transport import ApiRequest, Transport, UnreachableError
from bailiwick_process.memorylimit import limit_memory, memory_left

_CLIENT: Final = "bailiwick-operator-coverage"
_REFUSALS: Final = {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}
_LEAST_PRIORITY: Final = 19
# Of the memory, this part is kept free while lists are read: an error of memory within a connection looks like another.
_RESERVED: Final = 1 / 8
_SAME_ELSEWHERE: Final = "`kubectl bailiwick coverage -A` fails on the same object, and says more"
_Answer = TypeVar("_Answer")


def main() -> int:
    """Count, and print the counts, or what prevented it."""
    request: dict[str, Any] = json.loads(sys.stdin.buffer.read())
    os.nice(_LEAST_PRIORITY)
    limit_memory(request["memory"])
    # If the operator ends without ending this process, it ends by itself.
    resource.setrlimit(resource.RLIMIT_CPU, (request["seconds"], request["seconds"]))
    weights = Counter[str]()
    try:
        printed = _count(request, weights)
    except MemoryError:
        printed = {"error": f"it needs more than {request['memory']} bytes of memory: raise --coverage-memory-bytes"}
        if weights:
            printed["heaviest"] = weights.most_common(1)[0][0]
    except (InventoryError, ReadRefusedError, RefusedListError, UnreachableError) as error:
        printed = {"error": str(error)}
    except Exception as error:  # noqa: BLE001 - objects are what anybody stored, and no lack of memory
        printed = {"error": f"{type(error).__name__} while it judged the cluster: {_SAME_ELSEWHERE}"}
    sys.stdout.write(json.dumps(printed) + "\n")
    return 0


def _count(request: dict[str, Any], weights: Counter[str]) -> dict[str, object]:
    """Count, but for namespaces that are left out. Adds to `weights` the bytes that each other one has in lists."""
    ca_file = request["ca_file"]
    where = Access(
        server=request["server"],
        ca_file=None if ca_file is None else Path(ca_file),
        ca_data=request["ca_data"],
        static_token=request["token"],
    )
    with asyncio.Runner() as runner:
        transport = HttpTransport(where, request["timeout"], _CLIENT)
        try:
            reserve = int(request["memory"] * _RESERVED)
            reader = _AccountReader(runner, transport, request["left_out"], weights, reserve)
            facts = read_facts(reader, None, time.time(), _say_nothing, request["namespace"])
        finally:
            runner.run(transport.close())
    question = CoverageQuestion(time.time(), default_words(), NEAR_SECONDS, UNUSED_SECONDS)
    report = examine(facts, question)
    exempt = count_codes([one.finding for one in report.exempt])
    return {"findings": _by_name(count_codes(report.findings)), "exempt": _by_name(exempt)}


def _by_name(counts: dict[CoverageCode, int]) -> dict[str, int]:
    return {code.value: count for code, count in counts.items()}


def _say_nothing(_: str) -> None:
    """Take a line about a policy. The status of the policy says it too, and coverage counts it."""


class _AccountReader:
    """Reads over the connections of the operator's account, one list at a time."""

    def __init__(
        self, runner: asyncio.Runner, transport: Transport, left_out: Sequence[str], weights: Counter[str], reserve: int
    ) -> None:
        self._runner = runner
        self._transport = transport
        self.left_out = left_out
        self._weights = weights
        self._reserve = reserve

    def list_all(self, path: str) -> list[Object]:
        return self._run(self._list(path))

    def get(self, path: str) -> Object:
        return self._run(self._get(path))

    def username(self) -> str:
        # Only fixes name who reads, and none is printed here.
        return ""

    async def _list(self, path: str) -> list[Object]:
        found: list[Object] = []
        async for page in pages(self._transport, path):
            for item in page.items:
                namespace = item["metadata"].get("namespace")
                if namespace in self.left_out:
                    continue
                # It is half of an object, and no fact.
                item["metadata"].pop("managedFields", None)
                found.append(item)
                if namespace is not None:
                    self._weights[namespace] += len(orjson.dumps(item))
            if memory_left() < self._reserve:
                raise MemoryError
        return found

    async def _get(self, path: str) -> Object:
        answer = await self._transport.call(ApiRequest("GET", path))
        if not answer.ok:
            raise RefusedListError(path, answer)
        return answer.body

    def _run(self, reading: Coroutine[Any, Any, _Answer]) -> _Answer:
        try:
            return self._runner.run(reading)
        except RefusedListError as error:
            _refuse(error)


def _refuse(error: RefusedListError) -> NoReturn:
    if error.response.status not in _REFUSALS:
        raise error
    raise ReadRefusedError(str(error), error.response.status) from error


if __name__ == "__main__":
    sys.exit(main())
