"""Which addresses are called: public ones, and what the installation allows."""

import pytest

from bailiwick_notifications.addresses import AddressRefusedError, AddressRule, is_public, networks

NAMESPACE = AddressRule(public_only=True)
INSTALLATION = AddressRule(public_only=False)
INTERNAL = (
    *("127.0.0.1", "127.8.9.1", "10.96.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "198.18.0.1", "192.0.2.1"),
    *("::1", "fd00::1", "fc00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::10.0.0.1", "2002:a00:1::"),
    *("::127.0.0.1", "fec0::1", "2001:db8::1"),
)
NEVER = (
    *(
        "169.254.169.254",
        "169.254.0.1",
        "fe80::1",
        "fe80::1%eth0",
        "::ffff:169.254.169.254",
        "64:ff9b::169.254.169.254",
    ),
    "0.0.0.0",  # noqa: S104 - to be refused
    *("168.63.129.16", "::ffff:168.63.129.16", "64:ff9b::168.63.129.16", "192.0.0.1", "192.0.0.9", "192.0.0.192"),
    *("100.100.100.200", "fd00:ec2::254", "64:ff9b:1::1", "64:ff9b:1:a00:0:500:808:808", "64:ff9b:1::8.8.8.8"),
    *("::", "255.255.255.255", "224.0.0.1", "ff02::1", "240.0.0.1"),
)
PUBLIC = ("1.1.1.1", "168.63.129.17", "64:ff9b::1.1.1.1", "93.184.216.34", "2606:4700:4700::1111")


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_one_is_called(address: str) -> None:
    assert NAMESPACE.why_not(address) is None
    assert INSTALLATION.why_not(address) is None


@pytest.mark.parametrize("address", [*INTERNAL, *NEVER])
def test_a_namespaces_target_is_not_called_at_one_that_is_not_public(address: str) -> None:
    assert NAMESPACE.why_not(address) is not None
    with pytest.raises(AddressRefusedError, match="is not called"):
        NAMESPACE.check(address)


@pytest.mark.parametrize("address", NEVER)
def test_nobody_is_called_at_what_is_no_machine_or_answers_with_credentials(address: str) -> None:
    everything = networks(("0.0.0.0/0", "::/0"))
    assert INSTALLATION.why_not(address) is not None
    assert AddressRule(public_only=True, allowed=everything).why_not(address) is not None


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3"])
def test_what_the_installation_allows_is_called(address: str) -> None:
    rule = AddressRule(public_only=True, allowed=networks(("10.1.0.0/16",)))
    assert rule.why_not(address) is None
    assert rule.why_not("10.2.0.1") is not None


def test_what_the_installation_refuses_is_not_called_although_it_is_public() -> None:
    rule = AddressRule(public_only=True, allowed=networks(("1.1.1.1/32",)), refused=networks(("1.1.1.0/24",)))
    assert rule.why_not("1.1.1.2") == "the installation refuses it"
    assert rule.why_not("1.1.1.1") is None


@pytest.mark.parametrize("address", ["localhost", "example.com", "", None, b"x", "127.1", "0x7f000001", "2130706433"])
def test_what_is_no_address_is_not_called(address: object) -> None:
    assert INSTALLATION.why_not(address) == "it is no address"


@pytest.mark.parametrize(("addresses", "public"), [(PUBLIC, True), (INTERNAL, False)])
def test_one_is_public_by_the_same_rule(addresses: tuple[str, ...], *, public: bool) -> None:
    assert [one for one in addresses if is_public(one) is not public] == []
