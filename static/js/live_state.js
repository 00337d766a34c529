// Shows whether the page is live, and says from when what it shows is.
import { setText } from "./format.js";

const WORDS = { live: "Live", lost: "Reconnecting", resting: "Resting", ended: "Not live" };

export function showLiveState(state, since) {
  const light = document.getElementById("live");
  light.dataset.state = state;
  setText(light.lastElementChild, WORDS[state]);
  const isLost = state === "lost" || state === "ended";
  document.body.classList.toggle("is-stale", isLost);
  const notice = document.getElementById("lost");
  notice.hidden = !isLost;
  const time = since.toLocaleTimeString("en-GB");
  const text = `Connection lost, stale since ${time}. Batches go on; this page catches up when the line is back.`;
  setText(notice.lastElementChild, isLost ? text : "");
}

// Says counts to screen readers, but at most every few seconds.
const SPOKEN_EVERY = 5_000;
let said = "";
let next = 0;
let timer = 0;

export function announce(text) {
  clearTimeout(timer);
  timer = setTimeout(() => {
    if (text === said) return;
    said = text;
    next = Date.now() + SPOKEN_EVERY;
    setText(document.getElementById("announcer"), text);
  }, Math.max(0, next - Date.now()));
}
