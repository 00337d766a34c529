// Home: fetched again when batches have changed, throttled.
import "../app.js";
import { Connection } from "./connection.js";
import { showLiveState } from "./live_state.js";

const EVERY = 2_000;
const now = document.getElementById("now");
let timer = 0;

function refresh() {
  timer ||= setTimeout(() => {
    timer = 0;
    if (!document.body.classList.contains("is-stale")) htmx.trigger(now, "canopy:now");
  }, EVERY);
}

new Connection({
  address: () => now.dataset.live,
  onMessage: (message) => message.type !== "tick" && refresh(),
  onState: (state, since, late) => {
    showLiveState(state, since, late);
    if (state === "live") refresh();
  },
});
