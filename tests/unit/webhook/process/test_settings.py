"""The command line: what would be unsafe is refused, with exit status 2 and a sentence."""

import resource
from pathlib import Path
from typing import Final

import pytest

from bailiwick_engine.budget.ledger import MIB, Budget
from bailiwick_webhook.http.shares.bounds import Bounds, Pace
from bailiwick_webhook.metrics.table import Port
from bailiwick_webhook.process.settings import parse
from bailiwick_webhook.record.writing.writer import QueueLimits

PAIR: Final = ("--tls-cert-file", "tls.crt", "--tls-key-file", "tls.key")

REFUSED: Final[dict[str, tuple[tuple[str, ...], str]]] = {
    "all addresses": (("--host", "0.0.0.0"), "0.0.0.0 is not loopback"),  # noqa: S104 - what must be refused
    "all addresses of version 6": (("--host", "::"), ":: is not loopback"),
    "an address of the network": (("--host", "10.0.0.7"), "10.0.0.7 is not loopback"),
    "a name": (("--host", "pdp.example"), "pdp.example is not loopback"),
    "registrars without a file": (("--registrar-keys", "none.pub"), "--registrar-keys none.pub: "),
    "passkeys without registrars": (
        ("--passkey-origin", "https://a.example"),
        "--passkey-origin needs --registrar-keys",
    ),
    "registrars without a cluster": (
        ("--policies", "dir", "--development", "--registrar-keys", "none.pub"),
        "--registrar-keys needs a cluster",
    ),
    "a certificate alone": (PAIR[:2], "set --tls-cert-file and --tls-key-file together"),
    "a key alone": (PAIR[2:], "set --tls-cert-file and --tls-key-file together"),
    "files that are looked at without rest": (
        (*PAIR, "--tls-poll-seconds", "0"),
        "must be a number greater than 0",
    ),
    "a stale store that is dead before": (
        ("--max-staleness", "20", "--hard-staleness", "10"),
        "--max-staleness must not exceed --hard-staleness",
    ),
    "a URL without host": (("--external-url", "https://"), "--external-url must be an absolute http(s) URL"),
    "a URL of another scheme": (("--external-url", "ftp://pdp.example"), "--external-url must be an absolute"),
    "policies without issuers": (("--policies", "dir"), "--policies needs --issuers with an entry named cluster"),
    "development without policies": (("--development",), "--development needs --policies"),
    "development on all addresses": (
        ("--policies", "dir", "--development", "--host", "0.0.0.0"),  # noqa: S104 - what must be refused
        "--host 0.0.0.0 is not loopback",
    ),
    "development with TLS on the network": (
        ("--policies", "dir", "--development", "--host", "10.0.0.7", *PAIR),
        "--host 10.0.0.7 is not loopback",
    ),
    "development with a status port on the network": (
        ("--policies", "dir", "--development", "--status-host", "::"),
        "--status-host :: is not loopback",
    ),
    "policies and a cluster": (
        ("--policies", "dir", "--development", "--kubeconfig", "file"),
        "--kubeconfig needs a cluster",
    ),
    "policies and a cluster's default": (
        ("--policies", "dir", "--development", "--namespace", "bailiwick-system"),
        "--namespace needs a cluster",
    ),
    "a queue for nothing": (("--record-queue", "0"), "must be an integer greater than 0"),
    "a queue of no size": (("--record-queue-bytes", "-1"), "must be an integer greater than 0"),
    "a queue of half a record": (("--record-queue", "1.5"), "must be an integer greater than 0"),
    "records that may be lost now and then": (("--on-record-failure", "ignore"), "invalid choice"),
    "several processes": (
        ("--processes", "2"),
        "--processes: was removed, because a decision point is one process: remove the flag, and start more replicas",
    ),
    "several processes, in one word": (("--processes=2",), "argument --processes: was removed"),
    "a process for each core": (("--processes", "0"), "argument --processes: was removed"),
    "several processes without a number": (("--processes",), "argument --processes: was removed"),
    "a silence of processes": (("--process-silence-seconds", "30"), "have a liveness probe of /healthz restart"),
    "a start of processes": (("--process-start-seconds", "300"), "have a startup probe of /readyz limit its start"),
    "a status port that is the decisions'": (
        ("--port", "8081", "--status-port", "8081"),
        "--status-port 8081 is also --port: choose a different port",
    ),
    "a status port that is admission's": (
        ("--admission-port", "8081", "--status-port", "8081"),
        "--status-port 8081 is also --admission-port: choose a different port",
    ),
    "a status port that is gRPC's": (
        ("--grpc-port", "8081", "--status-port", "8081"),
        "--status-port 8081 is also --grpc-port: choose a different port",
    ),
    "admission on the port of decisions": (
        ("--port", "8443", "--admission-port", "8443"),
        "--admission-port 8443 is also the port for decisions",
    ),
    "admission without a cluster": (
        ("--policies", "dir", "--development", "--admission-port", "9443"),
        "--admission-port needs a cluster",
    ),
    "nothing for others": (("--others-percent", "0"), "must be an integer from 1 to 90"),
    "nothing for enforcers": (("--others-percent", "100"), "must be an integer from 1 to 90"),
    "bodies without end": (("--body-bytes-per-second", "0"), "must be an integer greater than 0"),
    "a rate below none": (("--decisions-per-second-by-namespace", "-1"), "must be 0 or an integer greater than 0"),
    "a budget below nothing": (("--budget-bytes", "-1"), "must be 0 or an integer greater than 0"),
    "a policy larger than a namespace": (
        ("--policy-budget-bytes", "100663297"),
        "--policy-budget-bytes must not exceed --namespace-budget-bytes",
    ),
    "a namespace larger than everything": (
        ("--budget-bytes", "1000"),
        "--namespace-budget-bytes must not exceed --budget-bytes",
    ),
    "policies without limit in a namespace with one": (
        ("--policy-budget-bytes", "0"),
        (
            "--policy-budget-bytes must not exceed --namespace-budget-bytes, and must not be 0 unless"
            " --namespace-budget-bytes is 0"
        ),
    ),
    "a share above all": (("--shadow-share", "1.1"), "must be a number from 0 to 1"),
    "a share below none": (("--shadow-share", "-0.1"), "must be a number from 0 to 1"),
    "a share that is none": (("--shadow-share", "nan"), "must be a number from 0 to 1"),
    "a wait of less than nothing": (("--witness-wait-seconds", "-1"), "must be a number, 0 or greater"),
    "a wait without end": (("--witness-wait-seconds", "inf"), "must be a number, 0 or greater"),
    "a wait that is no number": (("--witness-wait-seconds", "nan"), "must be a number, 0 or greater"),
    "an unknown level": (("--log-level", "loud"), "invalid choice"),
    "an unknown flag": (("--allow-everything",), "unrecognized arguments"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_would_be_unsafe_is_refused(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments, said = REFUSED[what]
    with pytest.raises(SystemExit) as ended:
        parse(arguments)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "-inf", "soon", ""])
@pytest.mark.parametrize(
    "flag",
    [
        "--max-staleness",
        "--hard-staleness",
        "--relist-interval",
        "--api-timeout",
        "--drain-seconds",
        "--record-timeout",
    ],
)
def test_a_duration_is_a_number_of_seconds_that_ends(flag: str, value: str) -> None:
    with pytest.raises(SystemExit) as ended:
        parse([flag, value])
    assert ended.value.code == 2


def test_a_process_that_stops_may_wait_for_no_witness() -> None:
    assert (parse([]).witness_wait, parse(["--witness-wait-seconds", "0"]).witness_wait) == (13, 0)


def test_budgets_are_generous_unless_told_otherwise_and_may_all_be_left_out() -> None:
    usual = parse([])
    assert (usual.budget, usual.pending_grants) == (Budget(192 * MIB, 96 * MIB, 16 * MIB, 10_000, 0), 1000)
    flags = ("budget-bytes", "namespace-budget-bytes", "policy-budget-bytes", "namespace-policies")
    told = parse([f"--{flag}=0" for flag in (*flags, "namespace-spec-bytes", "namespace-pending-grants")])
    assert (told.budget, told.pending_grants) == (Budget(0, 0, 0, 0, 0), 0)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_no_tls(host: str) -> None:
    assert parse(["--host", host]).tls is False


def test_with_tls_it_listens_anywhere_and_says_https() -> None:
    given = parse(["--host", "10.0.0.7", "--port", "8443", *PAIR])
    assert (given.tls, given.external_url) == (True, "https://10.0.0.7:8443")


def test_a_trailing_slash_of_the_external_url_is_no_part_of_it() -> None:
    assert parse(["--external-url", "https://pdp.example/base/"]).external_url == "https://pdp.example/base"


def test_a_decision_without_its_record_is_denied_unless_told_otherwise() -> None:
    assert parse([]).record_limits == QueueLimits(required=True, first=False)
    told = parse(["--on-record-failure", "allow", "--record-before-answer", "all", "--record-timeout", "0.5"])
    assert told.record_limits == QueueLimits(required=False, first=True, timeout=0.5)


def test_bounds_are_those_that_were_given_and_the_usual_ones_where_none_were() -> None:
    assert parse([]).bounds == Bounds()
    given = parse(
        [
            *("--others-percent=40", "--connections=10", "--admission-connections=20", "--connection-requests=30"),
            *("--connection-seconds=40", "--requests-at-once=50", "--body-bytes=60", "--body-bytes-per-second=70"),
            *("--body-grace-seconds=0.8", "--decisions-per-second-by-namespace=90"),
        ]
    ).bounds
    assert given == Bounds(
        others_percent=40,
        connections=10,
        admission_connections=20,
        requests=30,
        seconds=40,
        requests_at_once=50,
        body_bytes=60,
        pace=Pace(70, 0.8, 10.0),
        decisions_per_second=90,
    )


@pytest.mark.parametrize(("amount", "percent"), [(1, 25), (2, 90), (3, 1), (10, 10), (2000, 25), (2000, 90)])
def test_each_part_has_something_and_both_together_no_more_than_there_is(amount: int, percent: int) -> None:
    parts = Bounds(others_percent=percent).divided(amount)
    assert min(parts) >= 1
    assert sum(parts) == max(2, amount)
    assert parts.others == max(1, amount * percent // 100)


def test_a_process_has_no_more_connections_than_it_may_have_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1_000, hard))
        decisions, admission = (Bounds().connections_of(port) for port in Port)
        assert (admission.enforcers, admission.others) == (0, 128)
        assert sum(decisions) + sum(admission) < 1_000 - 200
        resource.setrlimit(resource.RLIMIT_NOFILE, (300, hard))
        assert sum(Bounds().connections_of(Port.DECISIONS)) >= 16
        assert sum(Bounds().connections_of(Port.ADMISSION)) >= 16
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_key_of_the_record_is_read_and_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("s3cr3t" * 6 + "\n")
    given = parse(["--record-hmac-key-file", str(file)])
    assert given.record_key == b"s3cr3t" * 6
    assert "s3cr3t" not in repr(given)


@pytest.mark.parametrize("content", [None, "", "short\n", "x" * 31 + " \n"])
def test_a_key_of_the_record_that_is_none_is_refused(
    tmp_path: Path, content: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_text(content)
    with pytest.raises(SystemExit):
        parse(["--record-hmac-key-file", str(file)])
    assert "--record-hmac-key-file: " in capsys.readouterr().err


ISSUERS: Final = {
    "cluster": "issuers:\n- {name: cluster, issuer: 'https://kubernetes.default.svc', jwksFile: keys.json}\n",
    "corp": "issuers:\n- {name: corp, issuer: 'https://login.corp.example'}\n",
}


@pytest.mark.parametrize(
    ("name", "flags", "said"),
    [
        ("cluster", (), "the name cluster is reserved"),
        ("corp", ("--policies", "dir"), "--policies needs --issuers with an entry named cluster"),
        ("cluster", ("--policies", "dir"), None),
        ("corp", (), None),
        ("corp", ("--policies", "dir", "--development"), None),
    ],
)
def test_the_cluster_vouches_for_service_accounts_where_there_is_one_and_the_file_where_not(
    name: str, flags: tuple[str, ...], said: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "issuers.yaml"
    file.write_text(ISSUERS[name])
    if said is None:
        assert [issuer.name for issuer in parse([*flags, "--issuers", str(file)]).issuers] == [name]
        return
    with pytest.raises(SystemExit):
        parse([*flags, "--issuers", str(file)])
    assert said in capsys.readouterr().err
