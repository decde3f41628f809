"""`helm test`: the decision point answers over TLS, and decides nothing for who does not say who they are.

Standing: runs in a pod of the decision point's image, with the standard library and the published authority alone.
"""

import ssl
import sys
import time
import urllib.error
import urllib.request

ATTEMPTS = 20
SECONDS = 5
UNPROVEN = 401


def ask(url: str, context: ssl.SSLContext, body: bytes | None = None) -> int:
    """Return the status of an answer."""
    request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"})  # noqa: S310 - https
    try:
        with urllib.request.urlopen(request, timeout=SECONDS, context=context) as answer:  # noqa: S310 - https
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def main(base: str) -> int:
    """Ask until it answers as it should. Returns 0, or 1 with what it answered at last."""
    context = ssl.create_default_context(cafile="/ca/ca.crt")
    body = b'{"subject": {"type": "user", "id": "x"}, "action": {"name": "x"}, "resource": {"type": "x", "id": "x"}}'
    last: object = None
    for _ in range(ATTEMPTS):
        try:
            keys = ask(f"{base}/.well-known/jwks.json", context)
            decision = ask(f"{base}/endpoints/default/none/access/v1/evaluation", context, body)
        except OSError as error:
            last = error
        else:
            last = f"keys {keys}, a decision without proof {decision}"
            if (keys, decision) == (200, UNPROVEN):
                print(f"{base}: {last}")
                return 0
        time.sleep(SECONDS)
    print(f"{base}: {last}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
