"""No cycles: parsed JSON that stays is taken out of the sight of the collector of cycles.

Standing: under `policies.data`. A hundred objects of 256 KiB hold a million objects and lists, and each walk of the
collector over them stopped the loop for half a second. Holds: what is given here came from a parser, so that it holds
no cycle, and nobody changes it: the collector has nothing to find in it, and it is freed when the last reference to it
goes.
"""

import ctypes
from typing import Any, Final

from bailiwick_engine.steps import Steps

_STEP: Final = 256
# Python's own, by which each of its containers leaves the collector before it is freed; a second time it does nothing.
_UNTRACK: Final = ctypes.pythonapi.PyObject_GC_UnTrack
_UNTRACK.argtypes = [ctypes.py_object]
_UNTRACK.restype = None


def untrack(value: Any) -> Steps[None]:  # noqa: ANN401 - any JSON
    """Take a value and all that is in it out of the collector's sight, in steps."""
    waiting = [value]
    count = 0
    while waiting:
        one = waiting.pop()
        _UNTRACK(one)
        members = one.values() if type(one) is dict else one
        waiting += [member for member in members if type(member) is dict or type(member) is list]
        count += 1
        if count % _STEP == 0:
            yield
