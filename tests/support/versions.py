"""What tests leave out on an earlier minor version of Kubernetes than the newest.

Holds: each thing that a version lacks is a row of docs/reference/kubernetes-versions.md.
"""

from typing import Final

import pytest

from localcluster import versions

_VERSION: Final = versions.chosen()
SINCE_1_37: Final = pytest.mark.skipif(not _VERSION.is_newest, reason=f"Kubernetes {_VERSION.minor} does not have it")
BEFORE_1_37: Final = pytest.mark.skipif(_VERSION.is_newest, reason=f"Kubernetes {_VERSION.minor} has it")
