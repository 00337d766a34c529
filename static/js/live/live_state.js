// Shows whether the page is live and, if not, since when its data is stale.
import { setText } from "../lib/format.js";
import { clockTime } from "../lib/times.js";
import { fill } from "../lib/words.js";

const WORDS = {
  live: gettext("Live"),
  late: gettext("Delayed"),
  restarting: gettext("Reconnecting"),
  lost: gettext("Reconnecting"),
  resting: gettext("Idle"),
  ended: gettext("Not live"),
};

const LOST = gettext("Connection lost, stale since %(time)s. Batches keep running. Live updates resume on reconnect.");
const LATE = gettext("Live updates have been delayed since %(time)s: Redis does not answer. This page checks for changes once a second until it does.");

export function showLiveState(state, since, late) {
  const light = document.getElementById("live");
  const shown = state === "live" && late ? "late" : state;
  light.dataset.state = shown;
  setText(light.lastElementChild, WORDS[shown]);
  const isLost = state === "lost" || state === "ended";
  document.body.classList.toggle("is-stale", isLost);
  const notice = document.getElementById("lost");
  notice.hidden = !isLost && shown !== "late";
  const text = isLost ? fill(LOST, { time: clockTime(since) }) : fill(LATE, { time: clockTime(late ?? since) });
  setText(notice.lastElementChild, notice.hidden ? "" : text);
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
