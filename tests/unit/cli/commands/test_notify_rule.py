"""`notify test` refuses the addresses that the operator refuses."""

import pytest

from bailiwick_cli.commands.notify import _rule
from bailiwick_cli.errors import CliError
from bailiwick_cli.verbs.notifyverbs import NotifyTestFlags


def flags(**given: list[str]) -> NotifyTestFlags:
    common = {"context": None, "kubeconfig": None, "as_user": None, "as_group": None, "request_timeout": None}
    return NotifyTestFlags(namespace="crm", **common, **given)  # type: ignore[arg-type]


def test_a_target_of_a_namespace_is_called_as_the_operator_has_it() -> None:
    rule = _rule(flags(allowed_cidr=["10.1.0.0/16"], refused_cidr=["1.1.1.0/24"]))
    assert rule.why_not("1.1.1.1") == "the installation refuses it"
    assert rule.why_not("1.1.2.1") is None
    assert rule.why_not("10.1.0.1") is None
    assert rule.why_not("10.2.0.1") is not None


@pytest.mark.parametrize("flag", ["allowed_cidr", "refused_cidr"])
def test_what_is_no_network_is_refused(flag: str) -> None:
    with pytest.raises(CliError, match=f"--{flag.replace('_', '-')}: "):
        _rule(flags(**{flag: ["10.0.0.1/8"]}))
