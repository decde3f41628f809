"""`helm test`: the decision point answers over TLS, and decides nothing for who does not say who they are.

Standing: runs in a pod of the decision point's image, with the standard library and the published authority alone.
"""

import ssl
import sys
import time
import urllib.error
import urllib.request

SECONDS = 5
FOUND = 200
UNPROVEN = 401
BODY = b'{"subject": {"type": "user", "id": "x"}, "action": {"name": "x"}, "resource": {"type": "x", "id": "x"}}'


def ask(url: str, context: ssl.SSLContext, body: bytes | None = None) -> int:
    """Return the status of an answer."""
    request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"})  # noqa: S310 - https
    try:
        with urllib.request.urlopen(request, timeout=SECONDS, context=context) as answer:  # noqa: S310 - https
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def main(base: str, authority: str, attempts: int) -> int:
    """Ask until it answers as it should. Returns 0, or 1 with what it answered at last."""
    last: object = None
    for attempt in range(attempts):
        if attempt:
            time.sleep(SECONDS)
        try:
            context = ssl.create_default_context(cafile=authority)
            keys = ask(f"{base}/.well-known/jwks.json", context)
            decision = ask(f"{base}/endpoints/default/none/access/v1/evaluation", context, BODY)
        except OSError as error:
            last = error
            continue
        last = f"{keys} for the keys, {decision} for a decision without proof"
        if (keys, decision) == (FOUND, UNPROVEN):
            print(f"{base}: {last}")
            return 0
    print(f"{base}: {last}; wanted were {FOUND} and {UNPROVEN}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
