"""What a process says of itself is what its verdicts hang on."""

from importlib.metadata import version

from bailiwick_evidence.derive.versions import engine_versions
from bailiwick_webhook.process.chain import VerdictSettings, process_facts


def test_it_names_the_versions_of_engine_cel_and_time_zones() -> None:
    told = process_facts(VerdictSettings(120.0, 900.0, 2.0, guarded=True))
    assert (told["engine"], told["cel"], told["tzdata"]) == (
        version("bailiwick-authz"),
        version("cel-expr-python"),
        version("tzdata"),
    )
    # So that `derive` can be given the line as it is read.
    assert {name: told[name] for name in engine_versions()} == engine_versions()


def test_it_names_the_settings_that_change_verdicts() -> None:
    told = process_facts(VerdictSettings(120.0, 900.0, 2.0, guarded=False, human_username_prefixes=("oidc:",)))
    assert told["settings"] == {
        "clock_skew_seconds": 30.0,
        "max_staleness_seconds": 120.0,
        "hard_staleness_seconds": 900.0,
        "outdated_after_seconds": 2.0,
        "guarded": False,
        "development": False,
        "human_username_prefixes": ["oidc:"],
    }
