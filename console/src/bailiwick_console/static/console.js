// What the pages can do better with a script: keep the inbox fresh, and say that an open grant has changed. A stream of
// the console tells when; where there is none, the inbox asks by itself.
// Nothing hangs on it: the server checks again, and every page works without. No text is ever read as markup here.
"use strict";

(() => {
  const SECONDS = 10;
  // While a stream tells of changes, only what time does to a grant is left to ask for. So long, too, until one that
  // has ended is tried again.
  const RARELY = 60;
  // Stays until something is marked again: a list can change every second, and who looks away must find it.
  const UNMARKED = "The list has changed. No longer marked, since changed: ";

  let sent = 0;
  let shown = 0;

  // `failed` is called where the list stays as it is, since it could not be had.
  function refresh(live, failed) {
    const stale = (why) => {
      failed();
      tell(live, `This list is not up to date: the console ${why}`);
    };
    const number = ++sent;
    const request = new XMLHttpRequest();
    request.open("GET", location.href);
    // Parsed by the browser as a document in which no script runs.
    request.responseType = "document";
    request.setRequestHeader("X-Bailiwick-Refresh", "1");
    request.timeout = SECONDS * 1000;
    request.onload = () => {
      if (number < shown) {
        // A later one was answered before: this list is the older one.
        return;
      }
      const fresh = request.response && request.response.getElementById("inbox");
      if (request.status !== 200 || !fresh) {
        stale("did not answer as it should. Load the page again.");
        return;
      }
      shown = number;
      const strip = request.response.getElementById("strip");
      if (strip) {
        document.getElementById("strip").replaceWith(document.importNode(strip, true));
      }
      if (live.textContent.startsWith("This list")) {
        tell(live, "");
      }
      const now = document.getElementById("inbox");
      if (fresh.dataset.version !== now.dataset.version) {
        const lost = replace(now, document.importNode(fresh, true));
        counts(request.response);
        if (lost) {
          tell(live, `${UNMARKED}${lost}.`);
        } else if (!live.textContent.startsWith(UNMARKED)) {
          tell(live, "The list has changed.");
        }
      }
    };
    request.onerror = request.ontimeout = () => stale("does not answer. Does its terminal still run?");
    request.send();
  }

  function replace(old, fresh) {
    const focused = old.contains(document.activeElement) ? key(document.activeElement) : null;
    // What was marked stays marked only where it is still the same: the value says which object, as it stood.
    const marked = new Set([...old.querySelectorAll(".choose:checked")].map((box) => box.value));
    const open = new Set([...old.querySelectorAll("details[open]")].map((one) => one.dataset.call));
    fresh.querySelectorAll(".choose").forEach((box) => (box.checked = marked.delete(box.value)));
    fresh.querySelectorAll("details").forEach((one) => (one.open = open.has(one.dataset.call)));
    old.replaceWith(fresh);
    fresh.querySelectorAll("form").forEach(once);
    if (focused !== null) {
      const again = [...fresh.querySelectorAll("a, button, input, summary")].find((one) => key(one) === focused);
      (again || document.getElementById("main")).focus();
    }
    return marked.size;
  }

  function key(element) {
    // A link by where it leads, a checkbox by its grant, however it stands now, and a summary by its call.
    const grant = element.type === "checkbox" ? element.value.split(" ")[0] : "";
    const call = element.tagName === "SUMMARY" ? element.parentElement.dataset.call : "";
    return [element.tagName, element.getAttribute("href"), grant, call].join(" ");
  }

  function counts(page) {
    const fresh = [...page.querySelectorAll(".count")];
    document.querySelectorAll(".count").forEach((count, place) => {
      count.textContent = fresh[place] ? fresh[place].textContent : count.textContent;
    });
  }

  function tell(live, text) {
    if (live.textContent !== text) {
      live.textContent = text;
    }
  }

  function once(form) {
    form.addEventListener("submit", () => {
      // One press, one review or revocation. Later, so that the button that was pressed is still sent.
      setTimeout(() => form.querySelectorAll("button").forEach((button) => (button.disabled = true)), 0);
    });
  }

  // Hears of changes while the page is looked at. `changed` is told which grant, or nothing for any.
  function stream(asked, changed) {
    let source = null;
    const listen = () => {
      source = new EventSource("/events" + asked);
      source.addEventListener("change", (event) => changed(JSON.parse(event.data).grant));
      source.addEventListener("over", stop);
    };
    const stop = () => {
      if (source) {
        source.close();
        source = null;
      }
    };
    const look = () => {
      if (document.visibilityState !== "visible") {
        stop();
      } else if (!source || source.readyState === EventSource.CLOSED) {
        listen();
      }
    };
    look();
    document.addEventListener("visibilitychange", look);
    addEventListener("pagehide", stop);
    setInterval(look, RARELY * 1000);
    return () => source !== null && source.readyState === EventSource.OPEN;
  }

  function follow(live) {
    let asked = 0;
    let waiting = false;
    const ask = () => {
      asked = Date.now();
      // Then it is asked for soon again, although the stream would tell of the next change.
      refresh(live, () => (asked = 0));
    };
    document.addEventListener("change", (event) => {
      if (event.target.matches(".choose") && live.textContent.startsWith(UNMARKED)) {
        tell(live, "");
      }
    });
    // Of many changes at once the first is shown at once, and the last a second later.
    const soon = () => {
      if (!waiting) {
        waiting = true;
        setTimeout(() => {
          waiting = false;
          ask();
        }, Math.max(0, asked + 1000 - Date.now()));
      }
    };
    const hears = stream("", soon);
    setInterval(() => {
      if (document.visibilityState === "visible" && (!hears() || Date.now() - asked > RARELY * 1000)) {
        ask();
      }
    }, SECONDS * 1000);
  }

  function watch(moved) {
    const { grant, version } = moved.dataset;
    stream(`?grant=${encodeURIComponent(grant)}&version=${encodeURIComponent(version)}`, (which) => {
      if (which === grant && !moved.firstChild) {
        const again = document.createElement("a");
        again.href = location.pathname;
        again.textContent = "Look at it as it is now";
        moved.append("This request has changed since the page was shown. ", again, ", and then decide.");
      }
    });
  }

  const live = document.getElementById("live");
  const moved = document.getElementById("moved");
  if (live) {
    follow(live);
  }
  if (moved) {
    watch(moved);
  }
  document.querySelectorAll("form").forEach(once);
  addEventListener("pageshow", (event) => {
    if (event.persisted) {
      // Come back to by the history: what was pressed then is over.
      location.reload();
    }
  });
})();
