"""How many examples a property is tried on: `ci`, the default, plays few, mostly the same; `local` many and new ones.

`quick`, of `make test`, plays a third of what `ci` plays, which is what lands a change.

HYPOTHESIS_PROFILE=local pytest tests/property

Standing: a plugin, loaded by tests/conftest.py, so that a property has one profile wherever it stands and whatever else
runs. Holds: no example has a deadline, which would be a measurement of the machine.
"""

import os

from hypothesis import HealthCheck, settings

_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]

# Not quite the same: Hypothesis also draws the constants of the modules of ours that are loaded.
settings.register_profile(
    "ci", max_examples=60, derandomize=True, database=None, deadline=None, suppress_health_check=_SLOW
)
settings.register_profile("quick", settings.get_profile("ci"), max_examples=20)
settings.register_profile("local", max_examples=3000, deadline=None, suppress_health_check=_SLOW, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
