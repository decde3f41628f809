"""The wall round the process that runs Apprise, one thing at a time: each works before it, and none behind it."""

import subprocess
import sys

import pytest

BEFORE = """
import os, resource, signal, subprocess, sys
from bailiwick_notifications.addresses import AddressRule
from bailiwick_notifications.sending.confinement import Confinement
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
written = os.open(sys.argv[1] + "/written", os.O_WRONLY | os.O_CREAT)
os.write(written, b"x")
score = open("/proc/self/oom_score_adj")
library = os.__file__
"""
BEGIN = "\nConfinement(AddressRule(public_only=True)).begin()\n"


def ran(folder: object, words: str, begin: str = BEGIN) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-c", BEFORE + begin + words, str(folder)], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("subprocess.run(['/bin/true'], check=True)", "subprocess.Popen is not allowed"),
        ("os.execv('/bin/true', ['true'])", "os.exec is not allowed"),
        ("os.posix_spawn('/bin/true', ['true'], {})", "os.posix_spawn is not allowed"),
        ("os.kill(os.getpid(), 0)", "os.kill is not allowed"),
        ("os.kill(os.getppid(), 0)", "os.kill is not allowed"),
        ("signal.pthread_kill(__import__('threading').get_ident(), 0)", "signal.pthread_kill is not allowed"),
        ("resource.setrlimit(resource.RLIMIT_CORE, (0, 0))", "resource.setrlimit is not allowed"),
        ("open(library).close(); open(library, 'a').close()", "a file is not read or written"),
        ("os.close(os.open(library, os.O_RDONLY | os.O_APPEND))", "a file is not read or written"),
        ("open('/etc/passwd').close()", "a file is not read or written"),
        ("os.write(written, b'x')", "File too large"),
        ("print(len(bytes(200 << 20)))", "MemoryError"),
    ],
)
def test_behind_it_this_does_not_work(words: str, why: str, tmp_path: object) -> None:
    before = ran(tmp_path, words, begin="")
    assert before.returncode == 0, before.stderr
    behind = ran(tmp_path, words)
    assert (behind.returncode, why in behind.stderr.splitlines()[-1]) == (1, True), behind.stderr


def test_where_memory_is_short_the_process_ends_before_the_operator(tmp_path: object) -> None:
    assert ran(tmp_path, "print(score.read())").stdout.strip() == "1000"
