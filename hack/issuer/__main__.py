"""`python -m issuer`: serve the issuer's documents, sign tokens, rotate keys.

Standing: the outermost part; all of it works on one folder, which holds keys and certificates.
"""

import argparse
import sys
from pathlib import Path

from issuer.keys import Signer
from issuer.server import HOST, Server


def main() -> int:
    """Run one command."""
    parser = argparse.ArgumentParser(prog="python -m issuer", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--folder", type=Path, required=True, help="keys and certificates")
    parser.add_argument("--port", type=int, required=True, help="the issuer's URL is https://127.0.0.1:PORT")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="serve discovery document and keys until interrupted")
    commands.add_parser("rotate", help="sign with a new key, publish the old ones still")
    commands.add_parser("forget", help="sign with a new key, publish it alone")
    token = commands.add_parser("token", help="print a signed token")
    token.add_argument("--subject", required=True)
    token.add_argument("--audience", action="append", required=True)
    token.add_argument("--group", action="append", default=[])
    token.add_argument("--actor", action="append", default=[], help="SUB=ISSUER-URL, the outermost first; repeatable")
    token.add_argument("--seconds", type=int, default=3600)
    options = parser.parse_args()
    signer = Signer.at(options.folder, f"https://{HOST}:{options.port}")
    match options.command:
        case "serve":
            Server(options.port, options.folder).serve_forever()
        case "rotate":
            print(signer.rotate())
        case "forget":
            print(signer.forget())
        case "token":
            actors = [dict(zip(("sub", "iss"), actor.split("=", 1), strict=True)) for actor in options.actor]
            print(
                signer.token(
                    options.subject, options.audience, actors=actors, seconds=options.seconds, groups=options.group
                )
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
