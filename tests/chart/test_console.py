"""The console of the chart: off unless asked for, without right, token or key of another, and its flags are flags."""

from pathlib import Path
from typing import Final

import pytest
import yaml
from helm_python import HelmValuesError

from bailiwick_cli.consolesettings import settings_of
from bailiwick_cli.options import OPTIONAL
from bailiwick_cli.verbs.consoleverbs import ServeConsoleFlags
from bailiwick_cli.verbs.table import parameters
from bailiwick_console.hosted.loginpages import configuration
from bailiwick_console.hosted.settings import PublicAddress
from bailiwick_engine.signatures.passkeyorigins import LOCAL_CONSOLES, parse_passkey_origin
from support import charts
from support.charts import Rendering, Values
from support.objects import Object
from support.pages import blocks

(PATH,) = (path for path in charts.CI if path.stem == "console-values")
VALUES: Final[Values] = charts.ci(PATH)
AGED: Final[Values] = {"console": {"maxAgeSeconds": 31_536_000}}
REVIEWERS: Final = {
    **charts.ci(next(one for one in charts.CI if one.stem == "reviewers-values"))["reviewers"],
    "rpID": "example.com",
}
UNAGED: Final[Values] = {"console": {"maxAgeSeconds": 0}}


@pytest.fixture
def rendering() -> Rendering:
    return charts.render(VALUES)


def test_nothing_of_it_is_rendered_unless_it_is_asked_for() -> None:
    assert "console" not in "".join(charts.render().names())
    assert "The console:" not in charts.notes()
    assert "The console: https://bailiwick.example.com" in charts.notes(VALUES)


def test_no_role_is_bound_to_its_account_and_none_is_aggregated_to_it(rendering: Rendering) -> None:
    account = rendering.one("ServiceAccount", "bailiwick-console")
    assert account["automountServiceAccountToken"] is False
    for binding in rendering.of("RoleBinding", "ClusterRoleBinding"):
        assert all(subject["kind"] != "Group" for subject in binding["subjects"])
        assert all(subject["name"] != "bailiwick-console" for subject in binding["subjects"])
    with_it, without = rendering.of("ClusterRole", "Role"), charts.render().of("ClusterRole", "Role")
    assert with_it == without


def test_the_pod_has_no_token_and_no_secret_but_its_own(rendering: Rendering) -> None:
    pod = rendering.pods()["Deployment/bailiwick-console"]
    assert pod["serviceAccountName"] == "bailiwick-console"
    assert pod["automountServiceAccountToken"] is False
    assert not any("projected" in volume for volume in pod["volumes"])
    secrets = {volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume}
    assert secrets == {"console-tls", "console-client"}


def test_there_is_one_pod_at_a_time_since_it_alone_remembers_who_is_logged_in(rendering: Rendering) -> None:
    spec = rendering.one("Deployment", "bailiwick-console")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_the_network_lets_in_the_ingress_alone_and_out_to_api_server_and_issuer(rendering: Rendering) -> None:
    spec = rendering.one("NetworkPolicy", "bailiwick-console")["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert spec["ingress"] == [{"ports": [{"port": "https", "protocol": "TCP"}], "from": VALUES["console"]["from"]}]
    assert {port["port"] for rule in spec["egress"] for port in rule["ports"]} == {443, 6443, 53}
    pod = rendering.one("Deployment", "bailiwick-console")["spec"]["template"]["metadata"]["labels"]
    assert spec["podSelector"]["matchLabels"].items() <= pod.items()


def test_the_service_leads_to_the_pod(rendering: Rendering) -> None:
    service: Object = rendering.one("Service", "bailiwick-console")["spec"]
    deployment = rendering.one("Deployment", "bailiwick-console")["spec"]["template"]
    assert service["selector"].items() <= deployment["metadata"]["labels"].items()
    (container,) = deployment["spec"]["containers"]
    assert {port["targetPort"] for port in service["ports"]} <= {port["name"] for port in container["ports"]}


def test_its_flags_are_taken_by_the_process_itself(rendering: Rendering, tmp_path: Path) -> None:
    verb, *given = rendering.args("console")
    assert verb == "serve-console"
    for name in ("client/secret", "issuer/ca.crt", "api/ca.crt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    names = {one.name for one in parameters(ServeConsoleFlags)}
    flags: dict[str, object] = dict.fromkeys(OPTIONAL)
    for flag in given:
        name, _, value = flag.removeprefix("--").replace("/etc/bailiwick", str(tmp_path)).partition("=")
        key = name.replace("-", "_")
        assert key in names, flag
        flags[key] = int(value) if value.isdecimal() else value
    flags["scope"] = VALUES["console"]["scopes"]
    settings = settings_of(ServeConsoleFlags(**flags), {"KUBERNETES_SERVICE_HOST": "10.0.0.1"})  # type: ignore[arg-type]
    assert (settings.address.host, settings.places.namespace) == ("bailiwick.example.com", "crm")
    assert (settings.client.secret, settings.client.scopes) == ("x", ("openid", "groups", "offline_access"))
    assert settings.client.max_age == 3600
    assert "--max-age" not in " ".join(charts.render(charts.merged(VALUES, UNAGED)).args("console"))
    assert "--max-age=31536000" in charts.render(charts.merged(VALUES, AGED)).args("console")
    assert settings.api_server == "https://10.0.0.1:443"


def test_it_knows_the_registrars_and_where_passkeys_sign() -> None:
    given = charts.merged(VALUES, {"reviewers": REVIEWERS})
    rendering = charts.render(given)
    known = ["--registrar-keys=/etc/bailiwick/registrars/registrars.pub", "--registrar-quorum=2"]
    assert {*known, "--passkey-rp-id=example.com"} <= set(rendering.args("console"))
    origins = [
        f"--passkey-origin={origin}"
        for origin in ("https://bailiwick.example.com", "https://approvals.example.com:8443", LOCAL_CONSOLES)
    ]
    for process in ("console", "webhook", "operator"):
        args = rendering.args(process)
        assert [flag for flag in args if flag.startswith("--passkey-origin")] == origins
        assert {*known} <= set(args)
    for part in ("console", "webhook", "operator"):
        assert "--reviewers-installation=production" in rendering.args(part)
    (container,) = rendering.pods()["Deployment/bailiwick-console"]["containers"]
    assert "/etc/bailiwick/registrars" in {one["mountPath"] for one in container["volumeMounts"]}
    # It reads them when it starts.
    changed = charts.render(
        charts.merged(given, {"reviewers": {"registrars": REVIEWERS["registrars"][:1], "quorum": 1}})
    )
    pods = [one.one("Deployment", "bailiwick-console")["spec"]["template"] for one in (rendering, changed)]
    assert pods[0]["metadata"]["annotations"] != pods[1]["metadata"]["annotations"]
    assert not any("registrar" in flag or "passkey" in flag for flag in charts.render(VALUES).args("console"))


@pytest.mark.parametrize("url", ["https://Bailiwick.Example.com:8443", "https://Bailiwick.Example.com:443"])
def test_all_take_passkeys_at_the_origin_of_the_public_url_as_browsers_write_it(url: str) -> None:
    given = {"reviewers": {**REVIEWERS, "rpID": "", "origins": []}, "console": {"publicURL": url}}
    rendering = charts.render(charts.merged(VALUES, given))
    for process in ("console", "webhook", "operator"):
        args = rendering.args(process)
        flags = [flag.partition("=")[2] for flag in args if flag.startswith("--passkey-origin")]
        assert {*map(parse_passkey_origin, flags)} == {PublicAddress(url).origin, LOCAL_CONSOLES}
    assert not any(flag.startswith("--passkey-rp-id") for flag in rendering.args("console"))


@pytest.mark.parametrize(
    "values",
    [
        {"reviewers": {"rpID": "a..b"}},
        {"reviewers": {"rpID": "A.example"}},
        {"reviewers": {"origins": ["http://a.example"]}},
        {"reviewers": {"origins": ["https://a.example/"]}},
        {"reviewers": {"origins": ["https://a.example:65536"]}},
        {"console": {"publicURL": "https://a..b"}},
        {"console": {"publicURL": "https://a.example."}},
        {"console": {"publicURL": "https://a.example:0"}},
        *(
            {"reviewers": {"registrars": [f"{REVIEWERS['registrars'][0]}{end}{REVIEWERS['registrars'][1]}"]}}
            for end in ("\n", "\r", "\u2028", "\x0b", "\x0c", "\x1c", "\x85")
        ),
    ],
    ids=repr,
)
def test_what_no_process_would_start_with_or_read_otherwise_is_refused(values: Values) -> None:
    with pytest.raises(HelmValuesError):
        charts.render(charts.merged(VALUES, values))


def test_it_looks_for_bailiwick_in_the_namespace_of_its_own_pod() -> None:
    rendering = charts.render(VALUES, namespace="authz")
    assert rendering.one("Deployment", "bailiwick-console")["metadata"]["namespace"] == "authz"
    assert "--installation=authz" in rendering.args("console")


@pytest.mark.parametrize("mode", ["certManager", "selfManaged"])
def test_an_issuer_of_its_own_gives_a_certificate_of_its_own_for_the_public_name(mode: str) -> None:
    issuer = {"name": "public", "kind": "ClusterIssuer"}
    own = {"tls": {"secretName": "", "issuerRef": issuer}, "publicURL": "https://Bailiwick.Example.com:8443"}
    rendering = charts.render(charts.merged(VALUES, {"tls": {"mode": mode}, "console": own}))
    certificate = rendering.one("Certificate", "bailiwick-console")["spec"]
    assert (certificate["secretName"], certificate["dnsNames"]) == ("bailiwick-console", ["bailiwick.example.com"])
    assert certificate["issuerRef"] == issuer
    volumes = rendering.pods()["Deployment/bailiwick-console"]["volumes"]
    assert "bailiwick-console" in {volume["secret"]["secretName"] for volume in volumes if "secret" in volume}


def test_the_page_shows_values_that_render_and_what_the_login_page_says() -> None:
    configured, values = blocks("how-to/console-in-the-cluster.md", "yaml")
    console = yaml.safe_load(values)
    assert charts.render(console).one("Deployment", "bailiwick-console")
    assert configured == configuration(console["console"]["issuer"], console["console"]["clientID"])
