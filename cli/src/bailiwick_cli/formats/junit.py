"""JUnit XML, as CI systems read it.

Standing: beside `sarif`. Holds: every text is one that `visible` has made already, so that XML can hold it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from xml.etree import ElementTree


@dataclass(frozen=True, slots=True)
class JunitCase:
    """One test. `told`: why it is what `outcome` says, a line each; the first is its headline."""

    group: str
    name: str
    outcome: Literal["passed", "failure", "error", "skipped"] = "passed"
    told: tuple[str, ...] = ()


def log(name: str, suites: Sequence[tuple[str, Sequence[JunitCase]]]) -> str:
    """Return suites of tests, each with its name."""
    root = ElementTree.Element("testsuites", name=name)
    for title, cases in suites:
        counts = {
            plural: str(sum(one.outcome == outcome for one in cases))
            for plural, outcome in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped"))
        }
        suite = ElementTree.SubElement(root, "testsuite", {"name": title, "tests": str(len(cases)), **counts})
        for one in cases:
            element = ElementTree.SubElement(suite, "testcase", classname=one.group, name=one.name)
            if one.outcome != "passed":
                told = one.told or (one.name,)
                ElementTree.SubElement(element, one.outcome, message=told[0]).text = "\n".join(told)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"
