"""The command line: `python -m book build [--version NAME]` and `python -m book serve [--port PORT]`."""

import argparse
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

from book import site


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Returns 0, or 1 when the pages have a problem."""
    parser = argparse.ArgumentParser("book", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    building = commands.add_parser("build", help="build the site into build/docs")
    building.add_argument("--version", default=site.LATEST, help="the folder to build into (default: %(default)s)")
    serving = commands.add_parser("serve", help="serve build/docs on this machine alone")
    serving.add_argument("--port", type=int, default=8000, help="0 takes a free one (default: %(default)s)")
    given = parser.parse_args(arguments)
    if given.command == "serve":
        return serve(given.port)
    try:
        built = site.build(given.version)
    except site.BookError as error:
        print(f"docs: {str(error).replace(chr(10), chr(10) + 'docs: ')}", file=sys.stderr)
        return 1
    print(f"docs: open {(built / 'index.html').relative_to(site.ROOT)} in a browser, or run 'make docs-serve'")
    return 0


def serve(port: int) -> int:
    """Serve the site on loopback until it is interrupted."""
    if not (site.SITE / "index.html").is_file():
        print("docs: there is no site yet: run 'make docs'", file=sys.stderr)
        return 1
    handler = partial(SimpleHTTPRequestHandler, directory=str(site.SITE))
    with ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        print(f"docs: http://127.0.0.1:{server.server_port}/ (Ctrl-C ends it)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
