"""The command line: `python -m browsers packages` gets what tests/browser needs, or says what is missing."""

import argparse
import sys

from browsers import chromium, firefox, programs
from localcluster.errors import LocalClusterError
from localcluster.node import needs
from localcluster.progress import Terminal


def main() -> int:
    """Run one command; returns the exit code: 4 where this machine cannot have the browsers."""
    parser = argparse.ArgumentParser("browsers", description=__doc__)
    parser.add_argument("command", choices=["packages"], help="install what is missing; needs root on Debian")
    parser.parse_args()
    try:
        needs.install(Terminal(), (chromium.PROGRAM, firefox.PROGRAM, programs.NPM), cni=False)
    except LocalClusterError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
