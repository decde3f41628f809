"""The command line: `python -m proxies packages` gets what the tests of tests/proxies need, or says what is missing."""

import argparse
import sys
from typing import Final

from localcluster import build
from localcluster.errors import LocalClusterError
from localcluster.node import needs
from localcluster.node.needs import Program
from localcluster.progress import Terminal
from proxies import envoy

PROGRAMS: Final = (Program("nginx", "nginx"), Program("haproxy", "haproxy"))


def main() -> int:
    """Run one command; returns the exit code: 4 where this machine cannot have the proxies."""
    parser = argparse.ArgumentParser("proxies", description=__doc__)
    parser.add_argument("command", choices=["packages"], help="install what is missing; needs root on Debian")
    parser.parse_args()
    progress = Terminal()
    try:
        needs.install(progress, PROGRAMS, cni=False)
        envoy.ensure(progress)
        build.ensure(build.caddy(), progress)
    except LocalClusterError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
