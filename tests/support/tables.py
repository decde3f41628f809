"""Tables: what `kubectl get` shows, as the API server makes it of the columns of a definition.

Standing: for tests that would else start kubectl for each look.
"""

from typing import Any, Final

from localcluster.rest import Rest
from support.installation import accepted

_TABLE: Final = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}


def rows(rest: Rest, path: str) -> dict[str, dict[str, Any]]:
    """Return the cells of each object of a collection by their titles, by the name of the object."""
    table = accepted(rest.request("GET", path, headers=_TABLE))
    titles = [column["name"] for column in table["columnDefinitions"]]
    found = [dict(zip(titles, row["cells"], strict=True)) for row in table["rows"]]
    return {cells["Name"]: cells for cells in found}
