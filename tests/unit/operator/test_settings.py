"""What the operator is told at its start, and what it answers when that makes no sense."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bailiwick_api.issuers import mapped_issuers
from bailiwick_api.usernames import UsernameTemplate
from bailiwick_engine.budget.ledger import Budget
from bailiwick_operator.coverageflags import CoverageSettings
from bailiwick_operator.reconcile.certificates import Terms
from bailiwick_operator.reconcile.keys import KeyRotation
from bailiwick_operator.reconcile.retention import RetentionPeriods
from bailiwick_operator.settings import LeaseTimes, parse
from support.signatures.keys import SecurityKey


def test_the_defaults_are_those_of_a_plain_installation() -> None:
    settings = parse([], {})
    assert settings.installation.operator == "system:serviceaccount:bailiwick-system:bailiwick-operator"
    assert settings.installation.human_username_prefixes == ()
    assert settings.lease == LeaseTimes(15, 10, 2)
    assert (settings.proof_interval, settings.kubeconfig, settings.health_port) == (60, None, 0)
    assert (settings.key_rotation, settings.key_interval) == (
        KeyRotation(timedelta(days=30), timedelta(minutes=10)),
        30,
    )


def test_certificates_are_ours_and_for_the_service_unless_told_otherwise() -> None:
    plain = parse([], {})
    service = "bailiwick-webhook.bailiwick-system"
    names = frozenset({"bailiwick-webhook", service, f"{service}.svc", f"{service}.svc.cluster.local"})
    assert (plain.tls_mode, plain.certificate_interval) == ("self-managed", 10)
    assert plain.certificates == Terms(names, timedelta(days=1825), timedelta(days=90), timedelta(days=1))
    arguments = ["--serving-name", "pdp.example", "--serving-name", "::1", "--certificate-seconds", "60"]
    told = parse([*arguments, "--webhook-service", "pdp", "--namespace", "here"], {"BAILIWICK_TLS_MODE": "external"})
    assert told.tls_mode == "external"
    assert told.certificates.names == {
        *("pdp", "pdp.here", "pdp.here.svc", "pdp.here.svc.cluster.local"),
        *("pdp.example", "::1"),
    }
    assert told.certificates.leaf_life == timedelta(minutes=1)
    assert "*.a.example" in parse([], {"BAILIWICK_SERVING_NAME": "a.example,*.a.example"}).certificates.names


def test_grants_are_kept_for_a_day_and_five_hundred_of_a_policy_unless_told_otherwise() -> None:
    assert parse([], {}).keeping == RetentionPeriods(timedelta(days=1), 500)
    told = parse(["--grant-retention-seconds", "2592000"], {"BAILIWICK_GRANTS_KEPT_PER_POLICY": "0"})
    assert told.keeping == RetentionPeriods(timedelta(days=30), 0)


def test_budgets_are_those_of_the_decision_point_unless_told_otherwise() -> None:
    assert parse([], {}).budget == Budget()
    told = parse(["--budget-bytes=5", "--namespace-policies=0"], {"BAILIWICK_NAMESPACE_SPEC_BYTES": "7"})
    assert told.budget == replace(Budget(), total=5, policies=0, text=7)
    with pytest.raises(SystemExit):
        parse(["--policy-budget-bytes=-1"], {})


def test_the_file_of_issuers_is_the_decision_points(tmp_path: Path) -> None:
    path = tmp_path / "issuers.yaml"
    path.write_text(
        """
        issuers:
        - {name: corp, issuer: https://corp.example, claims: {kubernetesUsername: "oidc:{sub}"}}
        - {name: helpdesk, issuer: https://helpdesk.example, claims: {name: email, groups: roles}}
        - {name: plain, issuer: https://plain.example}
        """
    )
    found = parse(["--issuers", str(path)], {}).issuers
    assert found == {
        "corp": UsernameTemplate("sub", "oidc:{sub}"),
        "helpdesk": UsernameTemplate("email"),
        "plain": UsernameTemplate(),
    }
    assert mapped_issuers(found) == {"corp": True, "helpdesk": False, "plain": False}
    assert parse([], {}).issuers is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("issuers: {}", "issuers: "),
        ("[]", "must be an object"),
        ("issuers: [{issuer: x}]", "issuers[0].name"),
        ("issuers: [x]", "issuers[0]"),
        ("issuers: [", "cannot be read"),
        ("issuers: [{name: corp, issuer: https://corp.example, claim: {name: email}}]", "issuers[0].claim"),
        ("issuers: [{name: corp, issuer: https://corp.example, claims: {kubernetesUsername: all}}]", "names no claim"),
    ],
)
def test_a_file_of_issuers_that_the_decision_point_would_refuse_is_refused(
    text: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "issuers.yaml"
    path.write_text(text)
    with pytest.raises(SystemExit):
        parse(["--issuers", str(path)], {})
    assert words in capsys.readouterr().err


def test_nobody_is_told_unless_somebody_is_named(tmp_path: Path) -> None:
    assert not parse([], {}).notify.on
    assert parse([], {}).notify.cluster is None
    assert parse(["--cluster-name=production-east"], {}).notify.cluster == "production-east"
    assert parse([], {}).notify.rule.public_only
    told = parse(
        [
            *(f"--notifications-dir={tmp_path}", "--console-url=https://console.example/", "--notify-lead-seconds=600"),
            *("--notify-allowed-cidr=10.0.0.0/8", "--notify-allowed-cidr=fd00::/8"),
        ],
        {"BAILIWICK_NOTIFY_NAMESPACES": "true", "BAILIWICK_NOTIFY_REFUSED_CIDR": "203.0.113.0/24,198.51.100.0/24"},
    ).notify
    assert (told.on, told.namespaces, told.folder) == (True, True, tmp_path)
    assert (told.console, told.lead) == ("https://console.example", timedelta(minutes=10))
    assert [str(one) for one in told.rule.allowed] == ["10.0.0.0/8", "fd00::/8"]
    assert [str(one) for one in told.rule.refused] == ["203.0.113.0/24", "198.51.100.0/24"]


def test_two_processes_have_two_identities() -> None:
    assert parse([], {}).identity != parse([], {}).identity


def test_flags_are_taken(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "config"
    kubeconfig.touch()
    arguments = ["--namespace", "here", "--webhook-account", "pdp", "--operator-account", "op", "--identity", "me"]
    arguments += [
        "--human-username-prefix",
        "oidc:",
        "--human-username-prefix",
        "corp:",
        "--kubeconfig",
        str(kubeconfig),
    ]
    settings = parse([*arguments, "--proof-interval", "5", "--health-port", "8081"], {})
    assert settings.installation.webhook == "system:serviceaccount:here:pdp"
    assert settings.installation.operator == "system:serviceaccount:here:op"
    assert settings.installation.human_username_prefixes == ("oidc:", "corp:")
    assert (settings.identity, settings.kubeconfig) == ("me", kubeconfig)
    assert (settings.proof_interval, settings.health_port) == (5, 8081)


def test_coverage_is_not_counted_unless_a_flag_says_so() -> None:
    assert parse([], {}).coverage is None
    assert parse(["--coverage", "true"], {}).coverage == CoverageSettings(600, 120, 128 << 20)
    assert parse(["--coverage-timeout", "20"], {"BAILIWICK_COVERAGE": "true"}).coverage == CoverageSettings(timeout=20)


def test_variables_are_taken_and_flags_win() -> None:
    variables = {
        "BAILIWICK_NAMESPACE": "there",
        "BAILIWICK_OPERATOR_ACCOUNT": "op",
        "BAILIWICK_HUMAN_USERNAME_PREFIX": "oidc:,corp:",
        "BAILIWICK_PROOF_INTERVAL": "7",
    }
    settings = parse(["--namespace", "here"], variables)
    assert settings.installation.operator == "system:serviceaccount:here:op"
    assert settings.installation.human_username_prefixes == ("oidc:", "corp:")
    assert settings.proof_interval == 7


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--proof-interval", "0"], "--proof-interval must be more than 0"),
        (["--proof-interval", "soon"], "invalid float value: 'soon'"),
        (["--relist-interval", "-1"], "--relist-interval must be more than 0"),
        (["--guard-settle", "-1"], "--guard-settle must not be negative"),
        (["--key-interval", "0"], "--key-interval must be more than 0"),
        (["--key-rotation-seconds", "600"], "--key-rotation-seconds must exceed --key-publish-seconds"),
        (["--key-publish-seconds", "0"], "--key-rotation-seconds must exceed --key-publish-seconds"),
        (["--key-rotation-seconds", "315360001"], "--key-rotation-seconds must exceed --key-publish-seconds"),
        (["--key-rotation-seconds", "a month"], "invalid int value"),
        (["--tls-mode", "none"], "invalid choice"),
        (["--console-url", "javascript:alert(1)"], "--console-url javascript:alert(1): must be a URL"),
        (["--cluster-name", "<b>east</b>"], "--cluster-name must be letters, digits"),
        (["--cluster-name", "e" * 254], "--cluster-name must be letters, digits"),
        (["--cluster-name", "east\n"], "--cluster-name must be letters, digits"),
        (["--notify-namespaces", "maybe"], "invalid choice"),
        (["--notify-allowed-cidr", "10.0.0.1/8"], "10.0.0.1/8 is not a network"),
        (["--notify-refused-cidr", "everything"], "everything is not a network"),
        (["--notify-lead-seconds", "-1"], "--notify-lead-seconds must be between 0"),
        (["--notify-lead-seconds", "86401"], "--notify-lead-seconds must be between 0"),
        (["--notify-per-minute", "0"], "--notify-per-minute must be at least 1"),
        (["--serving-name", "https://pdp.example"], "must be a DNS name or an IP address"),
        (["--serving-name", ""], "must be a DNS name or an IP address"),
        (["--certificate-seconds", "0"], "each of which must be at least 1"),
        (["--ca-settle-seconds", "0"], "each of which must be at least 1"),
        (["--ca-seconds", "23500000"], "at least 3 times the sum of --certificate-seconds and --ca-settle-seconds"),
        (["--ca-seconds", "9999999999"], "at least 3 times the sum of --certificate-seconds and --ca-settle-seconds"),
        (["--certificate-interval", "0"], "--certificate-interval must be more than 0"),
        (["--certificate-interval", "61"], "--certificate-interval must be at most 60 seconds"),
        (["--grant-retention-seconds", "0"], "--grant-retention-seconds must be between 1 second and 30 days"),
        (["--grant-retention-seconds", "2592001"], "--grant-retention-seconds must be between 1 second and 30 days"),
        (["--grants-kept-per-policy", "-1"], "--grants-kept-per-policy must not be negative"),
        (["--issuers", "/nowhere/at/all"], "--issuers: /nowhere/at/all cannot be read"),
        (["--health-port", "70000"], "--health-port 70000: must be between 1 and 65535"),
        (["--lease-seconds", "10"], "--lease-seconds must exceed --renew-seconds"),
        (["--retry-seconds", "9"], "--lease-seconds must exceed --renew-seconds"),
        (["--retry-seconds", "0"], "--lease-seconds must exceed --renew-seconds"),
        (["--kubeconfig", "/nowhere/at/all"], "no such file"),
        (["--human-username-prefix", "system:x"], "must not begin with system:"),
        (["--human-username-prefix", ""], "must not be empty"),
        (["--log-level", "loud"], "invalid choice"),
        (["--coverage", "maybe"], "invalid choice"),
        (["--coverage-timeout", "601"], "--coverage-timeout must be between 10 seconds and --coverage-interval"),
        (["--coverage-timeout", "nan"], "--coverage-timeout must be between 10 seconds and --coverage-interval"),
        (["--coverage-interval", "inf"], "which must be at most one day"),
        (["--coverage-memory-bytes", "1"], "--coverage-memory-bytes must be at least 67108864"),
        (["--proof", "5"], "unrecognized arguments"),
        (["now"], "unrecognized arguments"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_makes_no_sense_is_refused_with_words(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(arguments, {})
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("BAILIWICK_RENEW_SECONDS", "long", "--renew-seconds: invalid int value: 'long'"),
        ("BAILIWICK_NOTIFY_NAMESPACES", "yes", "--notify-namespaces must be true or false"),
        ("BAILIWICK_TLS_MODE", "none", "--tls-mode none: must be one of self-managed, external"),
        ("BAILIWICK_SERVING_NAME", "a b", "--serving-name a b: must be a DNS name or an IP address"),
        ("BAILIWICK_LOG_LEVEL", "loud", "--log-level loud: must be one of debug"),
        ("BAILIWICK_NAMESPACE", "", "--namespace must not be empty"),
    ],
)
def test_a_variable_that_makes_no_sense_is_refused_too(
    variable: str, value: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse([], {variable: value})
    assert words in capsys.readouterr().err


def test_keep_is_required_only_where_somebody_says_so() -> None:
    assert not parse([], {}).require_keep
    assert parse(["--require-keep", "true"], {}).require_keep
    assert parse([], {"BAILIWICK_REQUIRE_KEEP": "true"}).require_keep
    with pytest.raises(SystemExit):
        parse([], {"BAILIWICK_REQUIRE_KEEP": "yes"})


def test_registrars_sign_for_whoever_is_named_in_a_file_and_nobody_does_otherwise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not parse([], {}).registrars
    file = tmp_path / "registrars.pub"
    file.write_text(f"# ours\n{SecurityKey.make().public} one\n{SecurityKey.make().public} two\n")
    place = ["--reviewers-installation", "production"]
    known = ["--registrar-keys", str(file), *place]
    named = parse([*known, "--registrar-quorum", "2", "--passkey-origin", "https://a.example"], {})
    assert (len(named.registrars.keys), named.registrars.quorum) == (2, 2)
    assert named.registrars.installation == "production"
    assert named.registrars.origins == frozenset({"https://a.example"})
    environment = {
        "BAILIWICK_REGISTRAR_KEYS": str(file),
        "BAILIWICK_REGISTRAR_QUORUM": "1",
        "BAILIWICK_PASSKEY_ORIGIN": "https://a.example,https://b.example:8443",
        "BAILIWICK_REVIEWERS_INSTALLATION": "production",
    }
    assert parse([], environment).registrars.origins == frozenset({"https://a.example", "https://b.example:8443"})
    for arguments, why in (
        (["--registrar-keys", str(tmp_path / "none"), *place], "No such file"),
        (["--registrar-keys", str(file)], "--reviewers-installation"),
        (["--registrar-keys", str(file), "--reviewers-installation", "a b"], "--reviewers-installation"),
        ([*known, "--registrar-quorum", "3"], "a quorum of 3 needs as many keys"),
        ([*known, "--passkey-origin", "a.example"], "is not the origin of a console"),
    ):
        with pytest.raises(SystemExit):
            parse(arguments, {})
        assert why in capsys.readouterr().err
