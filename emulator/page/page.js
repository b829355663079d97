// Copies what a reader asks for. On live pages also replaces <main> by a fresh copy from the server, and keeps folded and
// unfolded what the reader has.
"use strict";

document.documentElement.classList.add("scripted");

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button.copy");
  if (!button) return;
  event.preventDefault(); // it may be inside a summary, which would unfold
  const text = button.dataset.copy ?? button.parentElement.querySelector("pre").textContent;
  button.textContent = (await copied(text)) ? "copied" : "not allowed";
  setTimeout(() => { button.textContent = "copy"; }, 1500);
});

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch { // only pages of this machine or by https have a clipboard
    const area = document.body.appendChild(Object.assign(document.createElement("textarea"), { value: text }));
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

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
      if (!busy()) show(document.getElementById("main"), fresh);
    } catch {
      document.getElementById("live").textContent = "the emulator does not answer";
    }
  }
  setTimeout(refresh, seconds * 1000);
}

function busy() {
  return pressed || !getSelection().isCollapsed || document.activeElement.matches("input, select");
}

function show(main, fresh) {
  const focused = placeOf(document.activeElement);
  for (const before of main.querySelectorAll("details[id]")) {
    const same = fresh.querySelector("#" + CSS.escape(before.id));
    if (same) same.open = before.open;
  }
  main.replaceWith(fresh);
  if (focused) canBeFocused(focused.entry).at(focused.at)?.focus({ preventScroll: true });
}

// Entries come and go, and most of what is in them has no id: whoever goes through the page by keyboard is at the n-th
// link or button of an entry, or of the rest of the page.
function placeOf(element) {
  const entry = element.closest("[id]")?.id;
  const at = canBeFocused(entry).indexOf(element);
  return at < 0 ? null : { entry, at };
}

function canBeFocused(entry) {
  const all = document.getElementById(entry)?.querySelectorAll("a, button, summary") ?? [];
  return [...all].filter((each) => each.closest("[id]").id === entry);
}

if (seconds) setTimeout(refresh, seconds * 1000);
