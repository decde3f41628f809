"""The console in Debian's Firefox: a person comes in, looks around, reads a request, and approves it with the bar."""

import contextlib
from pathlib import Path
from typing import Final

from support.console.inprocess import served
from support.console.marionette import Firefox, FirefoxError, running_firefox
from support.waits import until
from unit.console.cases import waiting
from unit.console.policies import crm

MANY: Final = [{"name": f"args.field{number}", "value": f"value {number}"} for number in range(60)]
APPROVE: Final = "//button[normalize-space() = 'Approve']"
INSIDE: Final = """return [...document.querySelectorAll("#review button, #reason")].every((one) => {
  const box = one.getBoundingClientRect();
  return box.top >= 0 && box.left >= 0 && box.bottom <= innerHeight && box.right <= innerWidth;
})"""


def arrived(browser: Firefox, title: str) -> None:
    browser.find(f"//*[self::h1 or self::h2][contains(normalize-space(), '{title}')]")


def follow(browser: Firefox, path: str, title: str) -> None:
    """Press a link until its page is there: a page that is drawn anew meanwhile takes the press away."""

    def is_there() -> bool:
        heading = f"//*[self::h1 or self::h2][contains(normalize-space(), '{title}')]"
        if browser.holds(heading):
            return True
        if browser.holds(path):
            with contextlib.suppress(FirefoxError):
                browser.press(path)
        return browser.holds(heading)

    until(is_there, f"the page {title}")


def is_ready(browser: Firefox) -> bool:
    found: bool = browser.run("return document.querySelector('button.approve').matches(':enabled')")
    return found


def await_scrolled(browser: Firefox, before: float) -> None:
    until(lambda: browser.run("return scrollY") > before, "the page scrolled")


def read_through(browser: Firefox) -> None:
    """Turn the wheel from the top of the page to its end, a part of a screen at a time."""
    end = browser.run("scrollTo(0, 0); return document.documentElement.scrollHeight - innerHeight")
    while (before := browser.run("return scrollY")) < end - 1:
        browser.turn_wheel(150)
        await_scrolled(browser, before)


def test_a_person_comes_in_looks_around_and_approves_a_request_with_the_bar(tmp_path: Path) -> None:
    with served(waiting(display=MANY), policies=[crm()]) as console, running_firefox(tmp_path / "firefox") as browser:
        browser.resize(1280, 800)
        browser.open(console.site.url)
        arrived(browser, "For you to review")
        follow(browser, "//a[normalize-space() = 'Overview']", "Overview")
        follow(browser, "//a[normalize-space() = 'who may ask whom']", "Who may ask whom")
        assert browser.run("return getComputedStyle(document.querySelector('.graph .gated')).strokeDasharray") != "none"
        follow(browser, "//a[normalize-space() = 'Requests']", "For you to review")
        follow(browser, "//a[contains(normalize-space(), 'customers.export on')]", "You act as")
        for share in (0, 0.5, 1):
            browser.run("scrollTo(0, arguments[0] * document.documentElement.scrollHeight)", share)
            assert browser.run(INSIDE), share
        browser.type("//*[@id = 'reason']", "seen with the customer")
        # What lies between was never on the screen.
        assert not is_ready(browser)
        read_through(browser)
        until(lambda: is_ready(browser), "all was on the screen")
        browser.press(APPROVE)
        browser.find("//*[contains(text(), 'You approved it.')]")
        ((_, body),) = console.cluster.written
    review = body[-1]["value"]
    assert (review["reviewer"], review["decision"], review["reason"]) == ("carol", "Approve", "seen with the customer")
