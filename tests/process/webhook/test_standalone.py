"""`bailiwick-webhook --policies DIR --development`, the real process: it needs no cluster."""

import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import requests
import yaml

from bailiwick_webhook.identity.development import NOTICE
from support import chains
from support.objects import AGENT, Object, changed, gated_rule, policy, rule, settings
from support.pdp import questions
from support.pdp.standalone import COMMAND, Process
from support.waits import until

ROOT: Final = Path(__file__).resolve().parents[3]


def allowing(**spec: object) -> Object:
    given = {"endpointSettings": settings(), "rules": [rule(), gated_rule()], **spec}
    return policy("crm", "crm-agent", **given)


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    policies = tmp_path / "policies"
    policies.mkdir()
    (policies / "crm.yaml").write_text(yaml.safe_dump(allowing(), sort_keys=False))
    return policies


@pytest.fixture
def point(policies: Path, tmp_path: Path) -> Iterator[Process]:
    with (tmp_path / "log").open("wb") as log:
        process = Process(tmp_path, policies, log)
        yield process
        if process.process.poll() is None:
            process.stop()


def test_it_decides_and_says_in_every_answer_that_this_protects_nothing(point: Process) -> None:
    allowed, denied = point.ask(), point.ask("customers.unheard")
    assert (allowed.status, allowed.decision, allowed.reason) == (200, True, "allowed")
    assert (denied.status, denied.decision, denied.reason) == (200, False, "no_rule")
    assert {said.context["development"] for said in (allowed, denied)} == {NOTICE}
    assert point.readiness()[1]["development"] == NOTICE
    assert NOTICE in point.log.read_text().split("\n")[2]
    # Behind the line that opens the chain.
    until(lambda: point.records.read_bytes().count(b"\n") == 3, "both decisions are on record", 5)
    record = json.loads(point.records.read_bytes().splitlines()[1])
    assert record["caller"]["id"] == "bailiwick:development:anybody"
    assert record["evaluation_id"] == allowed.context["evaluation_id"]
    assert point.stop() == 0


def test_it_explains_to_anybody(point: Process) -> None:
    for action in ("customers.list", "customers.unheard", "customers.export"):
        explained = {**questions.evaluation(AGENT, action), "context": {"explain": True}}
        explanation = questions.post(point.url("evaluation"), explained, None).context["explanation"]
        assert "withheld" not in explanation
        assert "rules" in explanation


def test_an_id_of_another_type_does_not_pass_for_a_service_account(point: Process) -> None:
    assert point.ask(subject={"type": "user", "id": AGENT}).decision is False


def test_acting_for_somebody_is_refused_where_the_endpoint_does_not_take_it(point: Process) -> None:
    acting = {"type": "serviceAccount", "id": AGENT, "properties": {"act": {"sub": "x"}}}
    assert point.ask(subject=acting).reason == "delegation_invalid"


def test_of_an_endpoint_without_policy_it_says_so(point: Process) -> None:
    said = questions.post(point.url("evaluation", "unheard"), questions.evaluation(AGENT, "customers.list"), None)
    assert said.status == 403
    assert "No readable policy exists for this endpoint" in said.body["detail"]


def test_a_change_is_taken_up(point: Process) -> None:
    before = point.ask().context["snapshot"]["revision"]
    point.write("crm.yaml", allowing(rules=[rule(effect="Deny")]))
    point.turns("policy_denied")
    assert point.ask().context["snapshot"]["revision"] != before
    point.write("other.yaml", allowing())
    point.turns("policy_invalid")
    (point.policies / "other.yaml").unlink()
    point.turns("policy_denied")


def test_a_broken_file_denies_is_told_with_its_place_and_heals(point: Process) -> None:
    sound = (point.policies / "crm.yaml").read_text()
    condition = '    conditions: [{name: odd, expression: "true && foo"}]\n'
    broken = sound.replace("  - name: read\n", f"  - name: read\n{condition}")
    line = broken.split("\n").index(condition.rstrip()) + 1
    place = f"{point.policies}/crm.yaml:{line}:{condition.index('foo') + 1}: spec.rules[0].conditions[0].expression: "
    point.write("crm.yaml", broken)
    point.turns("policy_invalid")
    code, body = point.readiness()
    (told,) = body["policies"]["problems"]
    assert code == 200
    assert told["problem"].startswith(place)
    assert told["denies"] == "its subjects on crm/crm-api"
    assert place in point.log.read_text()
    point.write("crm.yaml", sound)
    point.turns("allowed")
    assert point.readiness()[1]["policies"]["problems"] == []


def test_a_file_of_which_nothing_can_be_read_denies_everything(point: Process) -> None:
    point.write("more.yaml", "kind: [\n")
    point.turns("policy_invalid")
    assert [told["denies"] for told in point.readiness()[1]["policies"]["problems"]] == ["everything"]
    assert f"{point.policies}/more.yaml:2:1: " in point.log.read_text()
    (point.policies / "more.yaml").unlink()
    point.turns("allowed")


def test_a_mounted_config_map_is_swapped(tmp_path: Path) -> None:
    root = tmp_path / "mount"
    root.mkdir()

    def publish(version: str, obj: Object) -> None:
        (root / f"..{version}").mkdir()
        (root / f"..{version}" / "crm.yaml").write_text(yaml.safe_dump(obj))
        (root / "..data_tmp").symlink_to(f"..{version}")
        (root / "..data_tmp").rename(root / "..data")

    publish("2027_01", allowing())
    (root / "crm.yaml").symlink_to("..data/crm.yaml")
    with (tmp_path / "log").open("wb") as log:
        point = Process(tmp_path, root, log)
        try:
            assert point.ask().decision is True
            publish("2027_02", allowing(rules=[rule(effect="Deny")]))
            point.turns("policy_denied")
            seen = set()
            for version in range(5):
                publish(f"2027_1{version}", changed(allowing(), "spec.suspend", bool(version % 2)))
                time.sleep(0.3)
                seen.add(point.ask().reason)
            assert seen <= {"policy_denied", "allowed", "policy_suspended"}
            point.turns("allowed")
        finally:
            point.stop()


def refused(*arguments: str) -> tuple[int, str]:
    ended = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=30, check=False)
    return ended.returncode, ended.stderr


@pytest.mark.parametrize("flag", ["--host", "--status-host"])
def test_in_development_it_listens_on_loopback_alone(flag: str, tmp_path: Path) -> None:
    code, said = refused("--policies", str(tmp_path), "--development", flag, "0.0.0.0")  # noqa: S104 - refused
    assert code == 2
    assert f"{flag} 0.0.0.0 is not loopback" in said


def test_a_directory_that_is_none_is_told(tmp_path: Path) -> None:
    code, said = refused("--policies", str(tmp_path / "nowhere"), "--development")
    assert code == 1
    assert f"cannot start: {tmp_path}/nowhere is not a directory" in said


def test_a_file_of_records_that_cannot_be_opened_is_told_with_its_flag(tmp_path: Path) -> None:
    file = tmp_path / "nowhere" / "records"
    code, said = refused("--policies", str(tmp_path), "--development", "--record-file", str(file))
    assert (code, said.splitlines()[-1]) == (
        1,
        f"bailiwick-webhook: cannot start: --record-file {file}: No such file or directory",
    )


@pytest.mark.parametrize("flag", ["--port", "--status-port", "--grpc-port"])
def test_a_port_that_somebody_else_would_share_ends_the_start(flag: str, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = {"--port": "0", "--status-port": "0", flag: f"{taken.getsockname()[1]}"}
        given = [word for pair in ports.items() for word in pair]
        code, said = refused("--policies", str(tmp_path), "--development", "--record-file", "/dev/null", *given)
    assert code == 1
    assert "bailiwick-webhook: cannot start: " in said
    assert "Traceback" not in said


def test_being_told_to_stop_it_drains_and_no_request_is_lost(policies: Path, tmp_path: Path) -> None:
    seen = Counter[str]()
    body = questions.evaluation(AGENT, "customers.list")

    def work() -> None:
        """Ask over one connection, until an answer says that it is the last one."""
        with requests.Session() as session:
            while True:
                try:
                    answer = session.post(asked.url("evaluation"), json=body, timeout=10)
                except requests.ConnectionError:
                    seen["lost"] += 1
                    return
                seen[str(answer.json()["decision"])] += 1
                if answer.headers.get("Connection", "").lower() == "close":
                    seen["told"] += 1
                    return

    with (tmp_path / "log").open("wb") as log:
        asked = Process(tmp_path, policies, log, drain_seconds=1.5)
        workers = [threading.Thread(target=work) for _ in range(6)]
        for worker in workers:
            worker.start()
        until(lambda: seen["True"] > 60, "it is asked")
        asked.process.send_signal(signal.SIGTERM)
        for worker in workers:
            worker.join(15)
        assert asked.process.wait(10) == 0
    assert (seen["lost"], seen["told"], seen["False"]) == (0, 6, 0)
    assert asked.log.read_text().count("draining") == 1


def test_records_on_stdout_are_whole_lines(policies: Path, tmp_path: Path) -> None:
    # Each longer than what a pipe takes in one piece (PIPE_BUF, 4,096), and read by somebody who is slower.
    item = questions.evaluation(AGENT, "customers.list", "x" * 200, note="y" * 900)
    item["resource"] = {"type": "customer", "id": "z" * 1000}
    read, write = os.pipe()
    with (tmp_path / "log").open("wb") as log, os.fdopen(read, "rb") as records:
        point = Process(tmp_path, policies, log, "--development", "--record-timeout", "20", stdout=write)
        os.close(write)
        lines: list[bytes] = []
        reader = threading.Thread(target=lambda: lines.extend(records))
        reader.start()
        for _ in range(12):
            assert questions.post(point.url("evaluations"), {"evaluations": [item] * 30}, None).status == 200
        assert point.stop() == 0
        reader.join(20)
    written = chains.read(b"".join(lines)).records()
    assert [record["decision"] for record in written] == [True] * 12 * 30


def blocks(language: str) -> list[str]:
    """Return the blocks of the README's first look."""
    section = (ROOT / "README.md").read_text().split("## A first look", 1)[1].split("\n## ", 1)[0]
    return [part.split("```", 1)[0] for part in section.split(f"```{language}\n")[1:]]


def objects(text: str) -> list[Any]:
    """Return the JSON objects that stand one after another in a text."""
    decoder, found = json.JSONDecoder(), []
    while text := text.lstrip():
        value, end = decoder.raw_decode(text)
        found.append(value)
        text = text[end:]
    return found


def within(shown: Any, answer: Any) -> Any:  # noqa: ANN401 - JSON
    """Return of an answer the members that are shown."""
    if isinstance(shown, dict):
        return {name: within(value, answer.get(name)) for name, value in shown.items()}
    return answer


class TestTheReadme:
    """What it shows of a first look is what comes back."""

    def test_shows_commands_and_their_answers(self, tmp_path: Path) -> None:
        start, *typed = blocks("sh")
        assert "bailiwick-webhook --policies examples/quickstart --development" in start
        with (tmp_path / "log").open("wb") as log:
            point = Process(tmp_path, ROOT / "examples" / "quickstart", log)
            try:
                script = "".join(typed).replace("8443", str(point.port))
                ended = subprocess.run(
                    ["sh", "-eu", "-c", script], capture_output=True, text=True, timeout=60, check=True
                )
            finally:
                point.stop()
        answers = objects(ended.stdout)
        denied, pending, approved, allowed, spent = answers
        for shown, answer in zip(map(json.loads, blocks("json")), (denied, allowed, spent), strict=True):
            assert within(shown, answer) == shown
        assert [answer["task"]["status"] for answer in (pending, approved)] == ["pending", "approved"]
        assert {answer.get("development") or answer["context"]["development"] for answer in answers} == {NOTICE}

    def test_shows_the_policy_of_the_first_look(self) -> None:
        text = (ROOT / "README.md").read_text()
        shown = yaml.safe_load(text.split("```yaml\n", 1)[1].split("```", 1)[0])
        assert yaml.safe_load((ROOT / "examples" / "quickstart" / "policy.yaml").read_text()) == shown
