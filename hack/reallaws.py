"""Run the laws whose oracle is a real proxy or a real browser; `--small` runs fewer cases of each.

Standing: `make test` and `make test-all` call it after the other tests, since these need programs that not every
machine can have. Holds: what cannot be had is named, and is no failure; a law that does not hold is one.
"""

import argparse
import os
import subprocess
import sys
from typing import Final, NamedTuple

MISSING: Final = 4
"""The exit code of `python -m browsers packages` and its like: this machine cannot have them."""


class RealLaw(NamedTuple):
    """A law, the package that gets what it needs, its tests, and which of them are the small run."""

    what: str
    package: str
    path: str
    small: str


LAWS: Final = (
    RealLaw(
        "What is served is what was asked about",
        "proxies",
        "tests/proxies/test_asked_and_served.py",
        "whatever_is_sent",
    ),
    RealLaw(
        "What is approved was visible",
        "browsers",
        "tests/browser/test_what_is_approved_was_visible.py",
        "long_name or every_name",
    ),
)


def main() -> int:
    """Run the laws; returns 1 if one does not hold."""
    parser = argparse.ArgumentParser("reallaws", description=__doc__)
    parser.add_argument("--small", action="store_true", help="run fewer cases of each law")
    small = parser.parse_args().small
    return max(_run(law, small=small) for law in LAWS)


def _run(law: RealLaw, *, small: bool) -> int:
    code = _python("-m", law.package, "packages")
    if code == MISSING:
        print(f"{law.what}: NOT RUN, this machine cannot have what it needs.", file=sys.stderr)
        return 0
    chosen = ["-m", "not long", *(["-k", law.small] if small else [])]
    profile = {"HYPOTHESIS_PROFILE": "quick"} if small else {}
    return int(bool(code or _python("-m", "pytest", law.path, "-q", *chosen, **profile)))


def _python(*words: str, **variables: str) -> int:
    ran = subprocess.run([sys.executable, *words], env={**os.environ, **variables}, check=False)  # noqa: S603 - our own words
    return ran.returncode


if __name__ == "__main__":
    sys.exit(main())
