"""What tests leave out on an API server that emulates an earlier minor version of Kubernetes.

Holds: each thing that a version lacks is a row of docs/reference/kubernetes-versions.md.
"""

from typing import Final

import pytest

from localcluster.components import emulated

SINCE_1_37: Final = pytest.mark.skipif(bool(emulated()), reason=f"Kubernetes {emulated()} does not have it")
