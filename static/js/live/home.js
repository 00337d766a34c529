// Home: fetched again when batches have changed, throttled, and not while somebody is about to use what it shows.
import "../app.js";
import { Connection } from "./connection.js";
import { showLiveState } from "./live_state.js";

const EVERY = 2_000;
const now = document.getElementById("now");
let timer = 0;

const isInUse = () => now.querySelector("details[open], :active, select:focus") !== null;

function refresh() {
  timer ||= setTimeout(() => {
    timer = 0;
    if (document.body.classList.contains("is-stale")) return;
    if (isInUse()) refresh();
    else htmx.trigger(now, "canopy:now");
  }, EVERY);
}

// What was fetched before a menu was opened does not close it.
now.addEventListener("htmx:beforeSwap", (event) => {
  if (!isInUse()) return;
  event.detail.shouldSwap = false;
  refresh();
});

new Connection({
  address: () => now.dataset.live,
  onMessage: (message) => message.type !== "tick" && refresh(),
  onState: (state, since, late) => {
    showLiveState(state, since, late);
    if (state === "live") refresh();
  },
});
