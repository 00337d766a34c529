// The batch page: one WebSocket whose deltas update head, map and tree, and the handlers for keyboard and mouse.
import "../app.js";
import { setServerTime, showDurations, startClock } from "../lib/clock.js";
import { Connection, perFrame } from "./connection.js";
import { showState } from "./counts.js";
import { showErrors } from "./errors.js";
import { number, statusLabel, sum } from "../lib/format.js";
import { showLiveState } from "./live_state.js";
import { BatchMap } from "../map/map.js";
import { Notifier } from "./notifier.js";
import { Overview } from "./overview.js";
import { Pane } from "../tree/pane.js";
import { Selection } from "../tree/selection.js";
import { TreeGrid } from "../tree/treegrid.js";
import { Timeline } from "../timeline/timeline.js";
import { applyNode, News } from "../tree/tree_rows.js";

// Kinds of nodes that can appear while a batch runs: their rows are fetched from the server.
const GROWN = new Set(["rollback", "stage", "step", "service", "pool_worker", "entity", "gate", "parent"]);
const OPEN = ["pending", "running", "paused"].map((status) => `[data-status="${status}"]`).join();
const batch = document.getElementById("batch");
const tree = document.getElementById("tree");
const grid = new TreeGrid(tree);
const pane = new Pane(batch.dataset.home);
const find = document.querySelector("#find input");
const form = document.getElementById("retry-selected");
const selected = form ? new Selection(tree, form) : null;

const selection = () => grid.table.dataset.selection;
const filter = () => new URLSearchParams(selection()).get("status") ?? "";
const overview = new Overview(batch);
const mapCard = document.getElementById("map");
const map = mapCard ? new BatchMap(mapCard, showBrush) : null;
const timeline = map ? new Timeline(document.getElementById("timeline"), map) : null;
let news = new News(filter());

function apply(messages) {
  const changed = new Set();
  let isReload = false;
  for (const message of messages) {
    setServerTime(message.now);
    if (message.type !== "delta") continue;
    map?.apply(message);
    timeline?.apply(message.nodes);
    for (const node of message.nodes) {
      const hasRow = applyNode(node);
      news.note(node, hasRow);
      isReload ||= !hasRow && GROWN.has(node.kind) && !selection();
      if (node.revision > message.since) changed.add(node.id); // the root always comes along
    }
    isReload ||= message.reload;
    if (!message.more) batch.dataset.revision = message.revision;
  }
  const newest = messages.findLast((message) => message.type === "delta");
  if (newest) {
    isReload ||= overview.state?.partitions < newest.batch.partitions && !selection();
    isReload ||= newest.batch.watched && overview.state?.children.total !== newest.batch.children.total && !selection();
    changedAt = Date.now();
    overview.show(newest.batch);
    showErrors(newest.batch);
    overview.showElapsed();
    showDurations(document, changed);
    news.show(statusLabel(filter()));
    pane.changed(changed);
  }
  if (isReload) grid.load(addressOf());
}

function addressOf(query = selection()) {
  const path = grid.table.dataset.path;
  return `${batch.dataset.home}nodes/?${!query && path ? `open=${path}&whole=1` : query}`;
}

// A click on a segment of the bar, or on a count below it, filters the tree as its chip does.
batch.addEventListener("click", (event) => {
  const status = event.target.closest("[data-filter]")?.dataset.filter ?? event.target.closest("[data-filters] rect")?.classList[0];
  if (!status || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  tree.querySelector(`.chip[data-status="${status}"]`).click();
  tree.scrollIntoView({ block: "start" });
});

tree.addEventListener("click", (event) => {
  if (event.target.closest(".chip[href]")) find.value = "";
  if (!event.target.closest("#news")) return;
  // In a partitioned tree the failures are not on the first page: filter by them.
  const isParted = !filter() && tree.querySelector("tr:is([data-kind='partition'], [data-kind='stage'], [data-kind='parent'])");
  const query = isParted ? `status=${news.status}` : selection();
  if (location.pathname === batch.dataset.home) history.replaceState(null, "", query ? `?${query}` : batch.dataset.home);
  grid.load(addressOf(query));
});

tree.addEventListener("htmx:afterSwap", (event) => {
  if (event.target === tree) news = new News(filter());
  if (overview.state) showState(tree, overview.state);
  pane.mark();
  showDurations();
});

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

function showBrush(span, counts) {
  const some = Object.entries(counts ?? {}).filter(([, count]) => count);
  const words = some.map(([status, count]) => `${number(count)} ${statusLabel(status).toLowerCase()}`).join(", ");
  selected?.choose(span ? `span=${span.join("-")}` : "", sum(counts ?? {}, Object.keys(counts ?? {}).join(" ")), words);
}

document.getElementById("operation").addEventListener("htmx:afterSwap", (event) => event.target.querySelector("dialog")?.showModal());

document.getElementById("answer").addEventListener("htmx:afterSwap", () => htmx.trigger("#story", "canopy:story"));

// While the connection is lost nothing is known to run, so the clock stops too.
startClock(() => {
  if (document.body.classList.contains("is-stale")) return;
  showDurations();
  overview.showElapsed();
});

const notifier = new Notifier(document.getElementById("notify"), document.querySelector("h1 .break").textContent);
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
