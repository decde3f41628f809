"""Which pictures of a terminal there are: what is typed in each. A test types it, and stores what was printed.

Standing: beside `drawings`.
"""

from typing import Final, NamedTuple


class TerminalPicture(NamedTuple):
    """What is typed, and what readers are told who do not see it."""

    title: str
    told: str
    commands: tuple[str, ...]


TERMINALS: Final = {
    "terminal-test.svg": TerminalPicture(
        "kubectl bailiwick test",
        "A terminal. kubectl bailiwick test prints a table with each test of the CRM example, how many calls it"
        " decides, and that it passes. It then says how much of the policy the tests have covered.",
        ("kubectl bailiwick test examples/crm --coverage",),
    ),
    "terminal-diff.svg": TerminalPicture(
        "kubectl bailiwick diff",
        "A terminal. A change lets the agent purge customers, and lets it get them no more. kubectl bailiwick diff"
        " calls the first wider, in red, and the second narrower, in green, and says at which line each is.",
        ("kubectl bailiwick diff examples/crm/policy.yaml - < changed.yaml",),
    ),
}
