"""What `revoke` ends with: the revocation that was written, and nothing that comes behind it."""

from typing import cast

import pytest

from bailiwick_cli.commands import revoke
from bailiwick_cli.options import OPTIONAL
from bailiwick_cli.verbs.grantverbs import RevokeFlags
from bailiwick_governance.apiserver.cluster import ClusterClient
from bailiwick_governance.errors import UserError
from support.console.inprocess import CAROL, TableCluster
from unit.console.cases import waiting


def test_a_list_that_does_not_come_makes_no_failure_of_a_revocation(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = TableCluster([waiting()], fails=lambda method, _: UserError("timed out") if method == "LIST" else None)
    monkeypatch.setattr(revoke, "connect", lambda _: cast("ClusterClient", table))
    monkeypatch.setattr(revoke, "who_am_i", lambda _: CAROL)
    flags = RevokeFlags(**dict.fromkeys(OPTIONAL), names=["agr-wanted"], reason="incident closed")
    assert (revoke.run(flags), len(table.written)) == (0, 1)
    told = capsys.readouterr()
    assert told.out == "approvalgrant.bailiwick.dev/agr-wanted withdrawn\n"
    assert "note: cannot tell whether another approval still allows such a call: timed out" in told.err
