"""The tests of the guards once more, on an API server that keeps them: `cluster.guards.test_paths`."""

import pytest

from cluster.guards.test_paths import *  # noqa: F403 - every test of it

pytestmark = pytest.mark.long
