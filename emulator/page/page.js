// Replaces <main> by a fresh copy from the server, and keeps folded and unfolded what the reader has.
"use strict";

const seconds = Number(document.getElementById("main").dataset.refreshS);
let pressed = false; // a link that is replaced while the button is down would miss its click

addEventListener("pointerdown", () => { pressed = true; });
addEventListener("pointerup", () => { pressed = false; });
addEventListener("pointercancel", () => { pressed = false; });

async function refresh() {
  if (!document.hidden) {
    try {
      const answer = await fetch(location.href, { cache: "no-store" });
      if (!answer.ok) throw new Error(String(answer.status));
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("main");
      if (!pressed && getSelection().isCollapsed) show(document.getElementById("main"), fresh);
    } catch {
      document.getElementById("live").textContent = "the emulator does not answer";
    }
  }
  setTimeout(refresh, seconds * 1000);
}

function show(main, fresh) {
  const focused = document.activeElement.closest("details")?.id;
  for (const before of main.querySelectorAll("details[id]")) {
    const same = fresh.querySelector("#" + CSS.escape(before.id));
    if (same) same.open = before.open;
  }
  main.replaceWith(fresh);
  if (focused) document.getElementById(focused)?.querySelector("summary").focus({ preventScroll: true });
}

setTimeout(refresh, seconds * 1000);
