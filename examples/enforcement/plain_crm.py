"""A CRM API that asks nobody and serves whoever reaches it. Let only the proxy reach it."""

import argparse
import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CUSTOMERS = {
    "41": {"id": "41", "name": "Fern & Daughters", "email": "post@fern.example", "revenue": 120_000},
    "42": {"id": "42", "name": "Harbour Mills", "email": "office@harbour.example", "revenue": 910_000},
}


class Crm(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/customers":
            self.answer(200, [{"id": one["id"], "name": one["name"]} for one in CUSTOMERS.values()])
        else:
            self.answer(404, {"error": "not found"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"] or 0)) or "{}")
        named = re.fullmatch(r"/customers/(\w+)/export", self.path)
        if named and (customer := CUSTOMERS.get(named[1])):
            self.answer(200, {field: customer.get(field) for field in body["fields"]})
        else:
            self.answer(404, {"error": "not found"})

    def answer(self, status: int, body: object) -> None:
        sent = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, _: str, *words: object) -> None:
        print(words[0], flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    said = parser.parse_args()
    ThreadingHTTPServer((said.host, said.port), Crm).serve_forever()
