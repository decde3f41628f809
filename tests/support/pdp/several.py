"""A decision point without a cluster, of several processes that share a port."""

import http.client
import json
from pathlib import Path
from typing import Final

import requests
import yaml

from support.objects import AGENT, policy, rule, settings
from support.pdp import asking
from support.pdp.standalone import Process
from support.waiting import until

PROCESSES: Final = 2


def written(folder: Path) -> Path:
    """Write one policy, by which `customers.list` is allowed; returns the directory."""
    policies = folder / "policies"
    policies.mkdir()
    document = policy("crm", "crm-agent", endpointSettings=settings(), rules=[rule()])
    (policies / "crm.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    return policies


class Several(Process):
    """A decision point of several processes, all of which are ready."""

    def series(self, index: int, name: str) -> float:
        """Return the sum of one metric of one process; -1 while that one does not answer."""
        try:
            text = requests.get(f"http://127.0.0.1:{self.status_port + index}/metrics", timeout=5).text
        except requests.ConnectionError:
            return -1.0
        return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name))

    def status(self, index: int, path: str = "/readyz") -> requests.Response | None:
        """Return what one process answers on its status port, where it answers in time."""
        try:
            return requests.get(f"http://127.0.0.1:{self.status_port + index}{path}", timeout=2)
        except requests.RequestException:
            return None

    def ready(self, index: int) -> bool:
        """Tell whether one process says that it is ready; of the first one, that all are."""
        answer = self.status(index)
        return answer is not None and answer.ok

    def await_both(self) -> None:
        until(lambda: all(self.ready(index) for index in range(PROCESSES)), "every process is ready", 10)

    def children(self) -> list[int]:
        """Return the pids of the children, in the order in which they were started."""
        text = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in text.split()]

    def allowed(self, timeout: float = 5) -> bool:
        """Ask over a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            body = json.dumps(asking.evaluation(AGENT, "customers.list"))
            path = "/endpoints/crm/crm-api/access/v1/evaluation"
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            return json.loads(connection.getresponse().read())["decision"] is True
        finally:
            connection.close()
