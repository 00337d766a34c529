// A tab of a batch: one WebSocket whose deltas update header, progress and whatever the tab shows.
import "../app.js";
import { setServerTime, showDurations, startClock } from "../lib/clock.js";
import { Connection, perFrame } from "./connection.js";
import { Fetched } from "./fetched.js";
import { failuresOf } from "./counts.js";
import { FAILURES, sum } from "../lib/format.js";
import { showLiveState } from "./live_state.js";
import { Notifier } from "./notifier.js";
import { Overview } from "./overview.js";
import { ProgressTitle } from "./progress_title.js";
import { TreeTab } from "../tree/tree_tab.js";
import { Timeline } from "../timeline/timeline.js";

const OPEN = ["pending", "scheduled", "running", "paused"].map((status) => `[data-status="${status}"]`).join();
const batch = document.getElementById("batch");
const name = batch.querySelector("h1 .name").textContent;
const [tree, lanes] = ["tree", "timeline"].map((id) => document.getElementById(id));
const overview = new Overview(batch);
const title = new ProgressTitle(name);
const tabs = [tree && new TreeTab(batch, tree), lanes && new Timeline(lanes)].filter(Boolean);

// Parts that the server renders again shortly after what they show has changed, also when retries fix some.
const failing = ({ children, items }) => `${sum(children, FAILURES)} ${sum(items, FAILURES)}`;
const fixed = (state) => (failuresOf(state) ? state.items.completed + state.children.completed : 0);
const fetched = [
  new Fetched("summary", "canopy:summary", (state) => `${failing(state)} ${fixed(state)} ${state.status}`),
  new Fetched("errors", "canopy:errors", (state) => `${failing(state)} ${fixed(state)}`),
];

function apply(messages) {
  for (const message of messages) setServerTime(message.now);
  const deltas = messages.filter((message) => message.type === "delta");
  const newest = deltas.at(-1)?.batch ?? null;
  for (const delta of deltas) if (!delta.more) batch.dataset.revision = delta.revision;
  if (newest) {
    changedAt = Date.now();
    overview.show(newest);
    title.show(newest);
    for (const part of fetched) part.see(newest);
    overview.showElapsed();
  }
  for (const tab of tabs) tab.apply(deltas, newest);
}

// Fetches a diagnosis of an open batch that has not changed for a while, and removes it once the batch moves again.
const LOOK_EVERY = 5_000;
const STILL_AFTER = 10_000;
let changedAt = Date.now();
setInterval(() => {
  const diagnosis = document.getElementById("diagnosis");
  const isOpen = batch.querySelector("[data-field='badge'] .badge").matches(OPEN);
  const isStill = Date.now() - changedAt >= STILL_AFTER;
  if (document.hidden || document.body.classList.contains("is-stale")) return;
  if (isOpen && isStill) htmx.trigger(diagnosis, "canopy:look");
  else diagnosis.replaceChildren();
}, LOOK_EVERY);

document.getElementById("operation").addEventListener("htmx:afterSwap", (event) => event.target.querySelector("dialog")?.showModal());

document.getElementById("answer").addEventListener("htmx:afterSwap", () => overview.refresh());

document.querySelector("#tabs [aria-current]").scrollIntoView({ block: "nearest", inline: "center" });

// While the connection is lost nothing is known to run, so the clock stops too.
startClock(() => {
  if (document.body.classList.contains("is-stale")) return;
  showDurations();
  overview.showElapsed();
});

const notifier = new Notifier(document.getElementById("notify"), name);
const inFrames = perFrame(apply);
new Connection({
  address: () => `${batch.dataset.live}?revision=${batch.dataset.revision}`,
  onMessage: (message) => {
    if (message.type === "delta") notifier.see(message.batch);
    inFrames(message);
  },
  onState: showLiveState,
  staysAwake: () => notifier.isOn,
});
