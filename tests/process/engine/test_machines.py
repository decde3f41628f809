"""What only a process of its own shows of conditions: what they take of memory, and a machine without time zones."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from typing import Final

NOON: Final = datetime(2026, 7, 1, 12, 30, tzinfo=UTC).timestamp()


def test_policies_take_no_more_memory_for_names_of_variables_that_nobody_else_has() -> None:
    script = (
        "import resource\n"
        "from bailiwick_api.kinds.endpointpolicy import Variable\n"
        "from bailiwick_engine.cel.conditions import Scope\n"
        "Scope.of([Variable(name='first', expression='true')])\n"
        "size = lambda: int(open('/proc/self/statm').read().split()[1]) * resource.getpagesize()\n"
        "before = size()\n"
        "held = [\n"
        "    Scope.of([Variable(name=f'v{p}x{n}', expression=f'context.a{n} == {p}') for n in range(32)])\n"
        "    for p in range(20)\n"
        "]\n"
        "print(size() - before)\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    # Twenty policies of 32 variables: 4.6 MiB each while each variable kept an environment alive.
    assert int(run.stdout) < 32 * 2**20


ON_ANOTHER_MACHINE: Final = """
import json, sys
from bailiwick_engine.cel.conditions import Scope
from bailiwick_engine.cel.inputs import inputs
from bailiwick_engine.call import Action, Call, Resource, ServiceAccount, Party
scope = Scope.of(())
call = Call("n", "e", ServiceAccount("a", ""), Party("t", "i", "u"), Action("a"), Resource("t", "i"), {})
expression = scope.condition("now.getHours('Europe/Berlin') == 14", "here")
json.dump(scope.evaluate(expression, inputs(call, Party("t", "i", "u"), float(sys.argv[1]))), sys.stdout)
"""


def test_a_machine_without_zones_knows_them_all_the_same() -> None:
    nowhere = {**os.environ, "TZDIR": "/nowhere"}
    words = [sys.executable, "-P", "-c", ON_ANOTHER_MACHINE, str(NOON)]
    ran = subprocess.run(words, env=nowhere, capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(ran.stdout) is True
