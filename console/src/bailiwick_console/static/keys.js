// Keys: j and k walk through a list or the points of a request, a and d lead to its form, ? tells of them. No key writes
// anything: what approves or denies is a button, which is pressed by itself. They can be turned off, for people whose
// speech or hand types letters that they do not mean.
"use strict";

(() => {
  const OFF = "bailiwick-keys-off";
  const PLACES = ".card, .point";

  const off = () => localStorage.getItem(OFF) !== null;

  function walk(step) {
    const places = [...document.querySelectorAll(PLACES)].filter((one) => one.checkVisibility());
    const held = places.findIndex((one) => one.contains(document.activeElement));
    // Nothing has the focus at first: then the first is meant, or the last.
    const next = places[held < 0 ? (step > 0 ? 0 : places.length - 1) : held + step];
    if (next) {
      if (next.matches(".point")) {
        next.tabIndex = -1;
      }
      next.focus({ preventScroll: true });
      next.scrollIntoView({ block: "nearest" });
    }
  }

  function lead(selector) {
    const target = document.querySelector(selector);
    if (target) {
      target.focus();
    }
  }

  // The help is the page of the keys, put over the page that is open, so that nothing typed is lost.
  function help() {
    const open = document.querySelector("dialog");
    if (open) {
      open.close();
      return;
    }
    const request = new XMLHttpRequest();
    request.open("GET", "/keys");
    // Parsed by the browser as a document in which no script runs.
    request.responseType = "document";
    request.onload = () => {
      const shortcuts = request.response && request.response.getElementById("keys");
      if (request.status !== 200 || !shortcuts || document.querySelector("dialog")) {
        return;
      }
      const dialog = document.createElement("dialog");
      const close = document.createElement("button");
      close.type = "button";
      close.textContent = "Close";
      close.addEventListener("click", () => dialog.close());
      dialog.setAttribute("aria-label", "Keyboard shortcuts");
      dialog.append(document.importNode(shortcuts, true), close);
      dialog.addEventListener("close", () => dialog.remove());
      document.body.append(dialog);
      offer();
      dialog.showModal();
    };
    request.send();
  }

  // The page of the keys turns them off and on.
  function offer() {
    const place = document.getElementById("keys-switch");
    if (!place || place.firstChild) {
      return;
    }
    const button = document.createElement("button");
    const tell = () => {
      button.textContent = off() ? "Turn the keys on" : "Turn the keys off";
    };
    button.type = "button";
    button.addEventListener("click", () => {
      if (off()) {
        localStorage.removeItem(OFF);
      } else {
        localStorage.setItem(OFF, "1");
      }
      tell();
    });
    tell();
    place.append(button);
  }

  const KEYS = {
    j: () => walk(1),
    k: () => walk(-1),
    a: () => lead("#reason"),
    d: () => lead("#review .deny"),
    "?": help,
  };

  addEventListener("keydown", (event) => {
    const typing = event.target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]");
    if (typing || event.ctrlKey || event.altKey || event.metaKey || event.isComposing || event.repeat || off()) {
      return;
    }
    if (Object.hasOwn(KEYS, event.key) && (event.key === "?" || !document.querySelector("dialog"))) {
      event.preventDefault();
      KEYS[event.key]();
    }
  });
  offer();
})();
