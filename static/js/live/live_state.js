// Shows whether the page is live and, if not, since when its data is stale.
import { setText } from "../lib/format.js";
import { clockTime } from "../lib/times.js";
import { fill } from "../lib/words.js";

const WORDS = {
  live: gettext("Live"),
  lost: gettext("Reconnecting"),
  resting: gettext("Idle"),
  ended: gettext("Not live"),
};

export function showLiveState(state, since) {
  const light = document.getElementById("live");
  light.dataset.state = state;
  setText(light.lastElementChild, WORDS[state]);
  const isLost = state === "lost" || state === "ended";
  document.body.classList.toggle("is-stale", isLost);
  const notice = document.getElementById("lost");
  notice.hidden = !isLost;
  const text = gettext("Connection lost, stale since %(time)s. Batches keep running. Live updates resume on reconnect.");
  setText(notice.lastElementChild, isLost ? fill(text, { time: clockTime(since) }) : "");
}

// Announces counts to screen readers, at most every few seconds.
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
