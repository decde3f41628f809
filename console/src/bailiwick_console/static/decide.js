// The page of a request: keeps the bar of Approve and Deny in view, counts down, and enables Approve once every fact and
// every value was on the screen. The server checks everything else again, and the page works without this script.
"use strict";

(() => {
  const facts = document.getElementById("facts");
  const bar = document.getElementById("bar");
  const form = document.getElementById("review");
  const left = document.getElementById("left");
  const moved = document.getElementById("moved");
  // The bar is kept in view only where it leaves most of the window to the facts.
  const MOST_OF_WINDOW = 0.45;
  const SLACK = 1;

  const begun = performance.now();
  const seconds = left ? Number(left.dataset.left) : Infinity;
  const remaining = () => seconds - (performance.now() - begun) / 1000;

  // Parts of each fact that were on the screen, as distances from its top, while it has this height.
  const unseen = new Map();
  for (const cell of facts.querySelectorAll("h1, h2, dt, dd, p, blockquote, summary")) {
    // The notice is no fact.
    if (cell !== moved) {
      unseen.set(cell, { height: 0, parts: [] });
    }
  }

  // What is folded has a place by its numbers all the same.
  const shown = (cell) => cell.checkVisibility() && cell.getBoundingClientRect().height > 0;

  function pin() {
    const height = bar.offsetHeight;
    const pinned = form !== null && height <= innerHeight * MOST_OF_WINDOW;
    bar.classList.toggle("pinned", pinned);
    // What gets the focus is scrolled to where neither the bar nor the notice covers it.
    document.documentElement.style.scrollPaddingBottom = pinned ? `${height}px` : "";
    document.documentElement.style.scrollPaddingTop = `${moved.offsetHeight}px`;
  }

  // Where the notice that the request has changed ends. It stays in view, over what is scrolled below it.
  function noticeEnd() {
    const box = moved.getBoundingClientRect();
    return box.height > 0 && box.top <= SLACK ? box.bottom : 0;
  }

  // Notes what is on the screen now, between notice and bar, and forgets what was once all of it was there.
  function look() {
    // The help of the keys lies over the page, which can be scrolled below it.
    if (document.visibilityState !== "visible" || document.querySelector("dialog[open]")) {
      return;
    }
    const view = visualViewport;
    const top = Math.max(view.offsetTop, noticeEnd()), left = view.offsetLeft;
    const bottom = Math.min(view.offsetTop + view.height, bar.classList.contains("pinned") ? bar.getBoundingClientRect().top : Infinity);
    for (const [cell, known] of unseen) {
      const box = cell.getBoundingClientRect();
      if (!shown(cell)) {
        // There is nothing to see of it, unless it is unfolded later.
        continue;
      }
      if (box.left < left - SLACK || box.right > left + view.width + SLACK) {
        // Zoomed in on by fingers: a part of each line is beside the screen.
        continue;
      }
      if (Math.abs(box.height - known.height) > SLACK) {
        // Laid out anew: what was seen of it may be elsewhere now.
        known.height = box.height;
        known.parts = [];
      }
      const from = Math.max(top - box.top, 0), to = Math.min(bottom - box.top, box.height);
      if (from < to) {
        known.parts = merge([...known.parts, [from, to]]);
        const [first] = known.parts;
        if (known.parts.length === 1 && first[0] <= SLACK && first[1] >= box.height - SLACK) {
          unseen.delete(cell);
        }
      }
    }
    judge();
  }

  function merge(parts) {
    const merged = [];
    for (const [from, to] of parts.sort((one, other) => one[0] - other[0])) {
      const last = merged.at(-1);
      if (last && from <= last[1] + SLACK) {
        last[1] = Math.max(last[1], to);
      } else {
        merged.push([from, to]);
      }
    }
    return merged;
  }

  // What has still to be seen, of what is there at all.
  const missing = () => [...unseen.keys()].filter(shown);

  // Whether no fact is wider than its place, with the fonts and the size of text of this browser: what is cut off is
  // not approved. The style sheet lets every text wrap, but one letter alone can be wider than the page.
  function whole() {
    const places = document.querySelectorAll("html, main h1, main dt, main dd, main li, main blockquote");
    return [...places].every((one) => one.scrollWidth <= one.clientWidth + 1);
  }

  function judge() {
    if (!form) {
      return;
    }
    const cut = document.getElementById("cut"), state = document.getElementById("state");
    const fits = whole();
    if (cut.hidden !== fits) {
      cut.hidden = fits;
      pin();
    }
    const cells = missing(), over = remaining() <= 0;
    const reason = form.elements.reason.value.trim();
    const points = new Set(cells.map((cell) => cell.closest(".point")));
    const total = facts.querySelectorAll(".point").length;
    const text = over ? "The request has expired. Load the page again."
      : cells.length ? `${visualViewport.scale > 1.01 ? "Zoom out, and scroll on" : "Scroll on"}: ${points.size} of ${total} points were not on your screen yet.`
      : !reason ? "You have seen all ten points. Give a reason to approve."
      : "You have seen all ten points. If you are not sure, do nothing: without approval the call stays denied.";
    if (state.textContent !== text) {
      state.textContent = text;
    }
    const ready = !over && cells.length === 0 && fits && reason;
    form.querySelectorAll(".approve").forEach((button) => (button.disabled = !ready));
  }

  function tick() {
    const now = Math.max(0, Math.floor(remaining()));
    const days = Math.floor(now / 86400), hours = Math.floor(now / 3600) % 24, minutes = Math.floor(now / 60) % 60;
    const parts = days ? [`${days} d`, `${hours} h`]
      : hours ? [`${hours} h`, `${minutes} min`]
      : [`${minutes} min`, `${String(now % 60).padStart(2, "0")} s`];
    left.textContent = now ? `in ${parts.join(" ")}` : "now";
    if (now === 0) {
      judge();
    }
  }

  let waiting = false;
  const soon = () => {
    if (!waiting) {
      waiting = true;
      requestAnimationFrame(() => {
        waiting = false;
        look();
      });
    }
  };

  if (left) {
    tick();
    setInterval(tick, 1000);
  }
  if (form) {
    judge();
    pin();
    look();
    addEventListener("scroll", soon, { passive: true });
    document.addEventListener("visibilitychange", soon);
    // Of a dialog: what it covered may be on the screen now.
    document.addEventListener("close", soon, true);
    visualViewport.addEventListener("resize", soon);
    visualViewport.addEventListener("scroll", soon);
    addEventListener("resize", () => {
      pin();
      soon();
      judge();
    });
    addEventListener("load", () => {
      pin();
      soon();
    });
    form.addEventListener("input", judge);
    // A fold that is opened shows more, and a notice above moves everything.
    const laidOut = new ResizeObserver(() => {
      pin();
      soon();
    });
    laidOut.observe(facts);
    laidOut.observe(bar);
  }
})();
