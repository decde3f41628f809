// Measures, in the browser, what of the page a reader sees: where each text is painted, what clips it and what covers
// it. Returns problems in words, the text of every cell, and the rows of labels and values.
() => {
  "use strict";
  const SLACK = 1.5;
  const SMALLEST = 12;
  const CONTRAST = 4.5;
  const INDENT = 4;
  const CELLS = "dt, dd, li, h1, h2, h3, blockquote, p, button, a, td, th, label, summary, caption";
  const problems = [];
  const page = document.documentElement;
  // Measured at the end of the page, where a bar that is kept in view has come to its own place below the facts.
  scrollTo(0, page.scrollHeight);
  const measuredAt = scrollY;

  const shorten = (text) => JSON.stringify(text.length > 60 ? text.slice(0, 60) + "…" : text);
  const report = (what, text) => problems.push(`${what}: ${shorten(text)}`);
  const intersects = (a, b) =>
    a.left < b.right - SLACK && b.left < a.right - SLACK && a.top < b.bottom - SLACK && b.top < a.bottom - SLACK;
  const within = (inner, outer) =>
    inner.left >= outer.left - SLACK && inner.right <= outer.right + SLACK &&
    inner.top >= outer.top - SLACK && inner.bottom <= outer.bottom + SLACK;
  const area = (rects) => ({
    left: Math.min(...rects.map((one) => one.left)),
    right: Math.max(...rects.map((one) => one.right)),
    top: Math.min(...rects.map((one) => one.top)),
    bottom: Math.max(...rects.map((one) => one.bottom)),
  });

  function colour(text) {
    const [red, green, blue, alpha = 1] = text.match(/[\d.]+/g).map(Number);
    return { channels: [red, green, blue], alpha };
  }

  function luminance({ channels }) {
    const [red, green, blue] = channels.map((value) => {
      const share = value / 255;
      return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  }

  function ground(element) {
    for (let one = element; one; one = one.parentElement) {
      const found = colour(getComputedStyle(one).backgroundColor);
      if (found.alpha === 1) {
        return found;
      }
    }
    return { channels: [255, 255, 255], alpha: 1 };
  }

  function contrast(element) {
    const pair = [luminance(colour(getComputedStyle(element).color)), luminance(ground(element))];
    return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
  }

  // Each ancestor that does not show what lies outside it, with the area that it does show.
  const clips = new Map();
  function clipping(element) {
    if (!clips.has(element)) {
      const above = element.parentElement ? clipping(element.parentElement) : [];
      const style = getComputedStyle(element);
      const hides = [style.overflowX, style.overflowY].some((value) => value !== "visible") ||
        /paint|strict|content/.test(style.contain) || style.clipPath !== "none";
      // What the viewport shows is the page's, whichever way it scrolls.
      const own = hides && element !== page && element !== document.body ? [element.getBoundingClientRect()] : [];
      clips.set(element, [...above, ...own]);
    }
    return clips.get(element);
  }

  // Within a folded part only its heading is looked for.
  function folded(element) {
    const details = element.closest("details:not([open])");
    return details !== null && !element.closest("summary");
  }

  const texts = [];
  const walker = document.createTreeWalker(document.getElementById("main"), NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, element = node.parentElement;
    if (!node.data.trim() || element.closest(".unseen, textarea, script, option, #cut[hidden]") || folded(element)) {
      continue;
    }
    // Word by word: a space at the end of a line hangs beyond it, and there is nothing to see of it.
    const range = document.createRange();
    const rects = [...node.data.matchAll(/[^ \n]+/g)].flatMap((word) => {
      range.setStart(node, word.index);
      range.setEnd(node, word.index + word[0].length);
      const found = [...range.getClientRects()].filter((one) => one.width > 0);
      return found.length ? found : [range.getBoundingClientRect()];
    });
    texts.push({ node, element, rects, cell: element.closest(CELLS) || element });
  }

  for (const { node, element, rects, cell } of texts) {
    const style = getComputedStyle(element);
    if (rects.some((one) => one.width === 0 || one.height === 0) || style.visibility !== "visible") {
      report("not painted", node.data);
      continue;
    }
    if (parseFloat(style.fontSize) < SMALLEST) {
      report("too small to read", node.data);
    }
    for (let one = element; one; one = one.parentElement) {
      if (getComputedStyle(one).opacity !== "1" || getComputedStyle(one).filter !== "none") {
        report("faded", node.data);
      }
    }
    if (contrast(element) < CONTRAST) {
      report("too little contrast", node.data);
    }
    if (!rects.every((one) => within(one, cell.getBoundingClientRect()))) {
      report(`outside its ${cell.tagName}`, node.data);
    }
    if (!clipping(element).every((shown) => rects.every((one) => within(one, shown)))) {
      report("clipped", node.data);
    }
    if (!rects.every((one) => one.left >= -SLACK && one.right <= page.clientWidth + SLACK)) {
      report("beside the page", node.data);
    }
  }

  // No two cells share a place.
  const painted = texts.flatMap(({ node, cell, rects }) => rects.map((rect) => ({ node, cell, rect })));
  painted.sort((one, other) => one.rect.top - other.rect.top);
  painted.forEach((one, place) => {
    for (let next = place + 1; next < painted.length && painted[next].rect.top < one.rect.bottom - SLACK; next += 1) {
      const other = painted[next];
      if (one.cell !== other.cell && intersects(one.rect, other.rect)) {
        report(`under ${shorten(other.node.data)}`, one.node.data);
      }
    }
  });

  const spoken = (element) => texts
    .filter((one) => element.contains(one.node) && !one.element.closest(".mark"))
    .filter((one) => one.element.closest("dl") === element.closest("dl"));
  // Where spaces are not kept, the browser paints one for many, and none at the ends.
  const kept = (one) => getComputedStyle(one.element).whiteSpace.startsWith("pre");
  const words = (found) => found.map((one, place) => {
    const text = kept(one) ? one.node.data : one.node.data.replace(/\s+/g, " ");
    const begun = place === 0 && !kept(one) ? text.trimStart() : text;
    return place === found.length - 1 && !kept(one) ? begun.trimEnd() : begun;
  }).join("");
  const rows = [];
  for (const list of document.querySelectorAll("main dl")) {
    const cells = [...list.querySelectorAll("dt, dd")].filter((one) => one.closest("dl") === list && !folded(one));
    let row = null, lowest = -Infinity;
    for (const cell of cells) {
      const found = spoken(cell), rects = found.flatMap((one) => one.rects);
      if (cell.tagName === "DT") {
        row = { list: list.className, label: words(found), values: [], rects };
        rows.push(row);
        if (rects.length && !list.matches(".short") && area(rects).top < lowest - SLACK) {
          report("above the end of the row before", row.label);
        }
      } else {
        row.values.push(words(found));
        if (rects.length && row.rects.length) {
          const label = area(row.rects), value = area(rects);
          const beside = value.left >= label.right - SLACK && value.top <= label.bottom;
          const below = value.top >= label.bottom - SLACK && value.left >= label.left + INDENT;
          if (!beside && !below) {
            report(`not beside or below its label ${shorten(row.label)}`, row.values.at(-1));
          }
        }
      }
      lowest = Math.max(lowest, ...[...cell.querySelectorAll("*"), cell].map((one) => one.getBoundingClientRect().bottom));
    }
  }

  const approve = document.querySelector("button.approve");
  if (approve) {
    const facts = [...document.querySelectorAll("main section:not(.decide)")].map((one) => one.getBoundingClientRect());
    if (facts.some((one) => one.bottom > approve.getBoundingClientRect().top)) {
      report("above the end of the facts", approve.textContent);
    }
  }
  if (page.scrollWidth > page.clientWidth) {
    problems.push(`the page is ${page.scrollWidth} wide, of which ${page.clientWidth} are shown`);
  }

  // Last, as it scrolls: what is met where each text is painted. What the bar covers, a reader scrolls to above it.
  const bar = document.querySelector(".bar.pinned");
  for (const { node, element, rects } of texts) {
    for (const rect of rects) {
      const height = measuredAt + rect.top + rect.height / 2;
      const lowest = bar ? bar.getBoundingClientRect().top : innerHeight;
      if (bar && bar.contains(node)) {
        // Where it has come to its own place: before, the bar is somewhere else. It is less than half as high as the window.
        scrollTo(0, rect.top >= 0 ? measuredAt : height - innerHeight / 3);
      } else if (height < scrollY + 1 || height > scrollY + lowest - 1) {
        scrollTo(0, height - lowest / 2);
      }
      const middle = rect.left + rect.width / 2;
      for (const across of rect.width > 8 ? [rect.left + 3, middle, rect.right - 3] : [middle]) {
        const met = document.elementFromPoint(across, height - scrollY);
        if (met === null || !(met === element || element.contains(met))) {
          report(`covered by ${met && met.outerHTML.slice(0, 60)}`, node.data);
          break;
        }
      }
    }
  }
  scrollTo(0, 0);

  const cells = [...new Set(texts.map((one) => one.cell))]
    .map((cell) => words(texts.filter((one) => one.cell === cell && !one.element.closest(".mark"))));
  return { problems: [...new Set(problems)], rows: rows.map(({ list, label, values }) => ({ list, label, values })), cells };
}
