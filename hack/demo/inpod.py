"""What runs in the demo's pods: wait for orders, tell a projected token, send calls with one.

Standing: mounted into pods, so it needs nothing but Python's own library. Orders come by `kubectl exec`: calls as JSON
on standard input, answers as JSON on standard output.
"""

import json
import signal
import ssl
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

TOKENS = Path("/var/run/demo/tokens")
AUTHORITY = Path("/var/run/demo/ca/ca.crt")


def main() -> int:
    """Obey one order."""
    match sys.argv[1:]:
        case ["wait"]:
            signal.sigwait({signal.SIGTERM, signal.SIGINT})
        case ["token", name]:
            print((TOKENS / name).read_text().strip())
        case ["send", name]:
            print(json.dumps(_all(json.load(sys.stdin), (TOKENS / name).read_text().strip())))
        case other:
            print(f"wait, token NAME or send NAME, and not {other}", file=sys.stderr)
            return 2
    return 0


def _all(calls: list[dict[str, Any]], token: str) -> list[tuple[int, Any]]:
    # The authority is there for those who ask the decision point, and absent for those who do not.
    context = ssl.create_default_context(cafile=AUTHORITY) if AUTHORITY.exists() else None
    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(lambda call: _one(call, token, context), calls))


def _one(call: dict[str, Any], token: str, context: ssl.SSLContext | None) -> tuple[int, Any]:
    headers = {**call["headers"], "Authorization": f"Bearer {token}"}
    body = None if call["json"] is None else json.dumps(call["json"]).encode()
    if body is not None:
        headers["Content-Type"] = "application/json"
    request = urllib.request.Request(call["url"], body, headers, method=call["method"])  # noqa: S310 - the demo's URLs
    try:
        with urllib.request.urlopen(request, timeout=60, context=context) as answer:  # noqa: S310 - likewise
            return answer.status, _json(answer.read())
    except urllib.error.HTTPError as refused:
        return refused.code, _json(refused.read())


def _json(text: bytes) -> Any:  # noqa: ANN401 - any JSON
    try:
        return json.loads(text)
    except ValueError:
        return text.decode(errors="replace")


if __name__ == "__main__":
    sys.exit(main())
