"""AB-43: no value becomes more than the value that it is, whatever quotes, line breaks and braces it has."""

from typing import Any, Final

import pytest
import yaml
from helm_python import HelmError, HelmValuesError

from support import charts
from support.objects import Object

# Each would add a key, end a text, or be run as a template or as CEL, where it were pasted unquoted.
EVIL: Final = {
    "line": "x\n  injected: true",
    "quote": 'x"\ninjected: "true',
    "apostrophe": "x') || true || variables.me.startsWith('",
    "braces": "{{ .Release.Name }}",
    "comment": "x #",
    "flag": "x --record-queue=1",
    "document": "x\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: injected}",
}
# What becomes a name, a flag, an image, an expression or a URL.
NARROW: Final = (
    *(("nameOverride",), ("fullnameOverride",), ("namespaceOverride",)),
    *(("global", "imageRegistry"), ("image", "registry")),
    *(("webhook", "externalURL"), ("webhook", "listenAddress"), ("webhook", "logLevel"), ("operator", "logLevel")),
    *(("webhook", "record", "file"), ("webhook", "record", "beforeAnswer"), ("webhook", "record", "onFailure")),
    *(("webhook", "clientCA", "configMapName"), ("webhook", "clientCA", "entry")),
    *(("webhook", "record", "hmacKey", "secretName"), ("webhook", "record", "hmacKey", "entry")),
    *(("webhook", "record", "shipper", "url"), ("webhook", "record", "shipper", "secretName")),
    *(("webhook", "service", "type"), ("webhook", "service", "ipFamilyPolicy")),
    *(("webhook", "podAntiAffinity"), ("operator", "podAntiAffinity")),
    *(("tls", "mode"), ("tls", "certManager", "duration"), ("tls", "certManager", "renewBefore")),
    *(("monitoring", "prometheusRule", "runbookURL"), ("monitoring", "serviceMonitor", "interval")),
    *(
        (component, *path)
        for component in ("webhook", "operator")
        for path in (
            *(("image", "repository"), ("image", "tag"), ("image", "digest")),
            *(("serviceAccount", "name"), ("priorityClassName",)),
        )
    ),
)
LISTS: Final = (
    ("humanUsernamePrefixes",),
    ("tls", "extraNames"),
    ("networkPolicy", "egressCIDRs"),
    ("monitoring", "prometheusRule", "without"),
)


@pytest.mark.long
@pytest.mark.parametrize("evil", EVIL.values(), ids=EVIL)
@pytest.mark.parametrize("path", NARROW, ids=".".join)
def test_ab_43_the_schema_refuses_it_in_names_flags_and_images(path: tuple[str, ...], evil: str) -> None:
    with pytest.raises(HelmValuesError):
        charts.render(charts.nested(path, evil))


@pytest.mark.parametrize("evil", EVIL.values(), ids=EVIL)
@pytest.mark.parametrize("path", LISTS, ids=".".join)
def test_ab_43_the_schema_refuses_it_in_lists_of_names(path: tuple[str, ...], evil: str) -> None:
    with pytest.raises(HelmValuesError):
        charts.render(charts.nested(path, [evil]))


@pytest.mark.parametrize("evil", EVIL.values(), ids=EVIL)
@pytest.mark.parametrize("name", ["name", "issuer", "jwksFile", "caFile"])
def test_ab_43_an_issuer_is_data_or_is_refused(name: str, evil: str) -> None:
    issuer = {"name": "corp", "issuer": "https://login.corp.example", name: evil}
    try:
        rendering = charts.render({"issuers": [issuer]})
    except HelmValuesError:
        return
    (found,) = [one for one in rendering.of("ConfigMap") if one["metadata"]["name"] == "bailiwick-issuers"]
    assert yaml.safe_load(found["data"]["issuers.yaml"]) == {"issuers": [issuer]}
    assert rendering.names() == ISSUERS


ISSUERS: Final = charts.render({"issuers": [{"name": "corp", "issuer": "https://login.corp.example"}]}).names()


@pytest.mark.parametrize("key", [*EVIL.values(), "issuers.yaml", "../x", "a/b"])
def test_ab_43_no_file_of_an_issuer_has_a_name_that_is_more_than_a_name(key: str) -> None:
    issuer = {"name": "corp", "issuer": "https://login.corp.example"}
    with pytest.raises(HelmValuesError):
        charts.render({"issuers": [issuer], "issuerFiles": {key: "x"}})


@pytest.mark.parametrize("evil", EVIL.values(), ids=EVIL)
@pytest.mark.parametrize(
    "path", [("commonLabels",), ("webhook", "podLabels"), ("webhook", "nodeSelector")], ids=".".join
)
def test_ab_43_no_label_has_a_key_or_a_value_that_is_more_than_that(path: tuple[str, ...], evil: str) -> None:
    for labels in ({"a": evil}, {evil: "a"}):
        with pytest.raises(HelmValuesError):
            charts.render(charts.nested(path, labels))


def strings(value: Any) -> list[str]:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        return [text for key, below in value.items() for text in (*strings(key), *strings(below))]
    if isinstance(value, list):
        return [text for below in value for text in strings(below)]
    return [value] if isinstance(value, str) else []


# What takes any text: it comes out as the very text that went in, and adds nothing.
FREE: Final[dict[str, tuple[tuple[str, ...], Any]]] = {
    "annotations": (("commonAnnotations",), lambda evil: {"a": evil}),
    "annotations of pods": (("webhook", "podAnnotations"), lambda evil: {"a": evil}),
    "annotations of the account": (("operator", "serviceAccount", "annotations"), lambda evil: {"a": evil}),
    "annotations of the Service": (("webhook", "service", "annotations"), lambda evil: {"a": evil}),
    "flags": (("webhook", "extraArgs"), lambda evil: [evil]),
    "variables": (("operator", "extraEnv"), lambda evil: [{"name": "X", "value": evil}]),
    "tolerations": (("webhook", "tolerations"), lambda evil: [{"key": evil}]),
    "peers": (("networkPolicy", "decisionFrom"), lambda evil: [{"x": evil}]),
}


@pytest.mark.long
@pytest.mark.parametrize("evil", EVIL.values(), ids=EVIL)
@pytest.mark.parametrize(("path", "shape"), FREE.values(), ids=FREE)
def test_ab_43_free_text_comes_out_as_it_went_in(path: tuple[str, ...], shape: Any, evil: str) -> None:  # noqa: ANN401
    rendering = charts.render(charts.nested(path, shape(evil)))
    assert rendering.names() == charts.render().names()
    assert evil in [text for one in rendering.documents for text in strings(one)]
    assert not any("injected" in keys(one) for one in rendering.documents)


def keys(document: Object) -> set[str]:
    found = set(document)
    for below in document.values():
        for one in below if isinstance(below, list) else [below]:
            found |= keys(one) if isinstance(one, dict) else set()
    return found


@pytest.mark.parametrize("evil", EVIL.values(), ids=EVIL)
def test_ab_43_neither_release_nor_namespace_takes_it(evil: str) -> None:
    from helm_python import validate_release_name  # noqa: PLC0415 - Helm's own check, which rendering alone leaves out

    with pytest.raises(HelmError):
        validate_release_name(evil)
