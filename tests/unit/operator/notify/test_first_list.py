"""When people begin to be told: once every grant that there is was looked at, and not before."""

import pytest

from bailiwick_operator.kube import GRANTS_PATH, KubeList
from bailiwick_operator.reconciler import Reconciler
from support.objects import Object
from unit.operator.cases import grant
from unit.operator.process.test_metrics import leading


async def test_the_notifier_hears_of_every_grant_before_it_hears_that_all_were_listed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, leader = leading()
    told: list[str] = []

    def changed(grant: Object, *, gone: bool) -> None:
        assert not gone
        told.append(grant["metadata"]["name"])

    monkeypatch.setattr(leader.notifier, "grant_changed", changed)
    monkeypatch.setattr(leader.notifier, "listed", lambda: told.append("all"))
    reconciler: Reconciler = leader.reconciler
    first, second = grant(), grant()
    first["metadata"] |= {"name": "one", "uid": "uid-one"}
    second["metadata"] |= {"name": "two", "uid": "uid-two"}
    stored = KubeList((first, second), 1)

    async def listed(path: str, *_: object, **__: object) -> KubeList:
        return stored if path == GRANTS_PATH else KubeList((), 1)

    monkeypatch.setattr(reconciler._kube, "list", listed)
    await reconciler._first_list()
    assert reconciler.listed.is_set()
    assert told == ["one", "two", "all"]
