// The batch page: one websocket, its deltas applied to head and tree, and what the keyboard and mouse do.
import "./app.js";
import { seconds, setServerTime, showDurations, startClock } from "./clock.js";
import { Connection, perFrame } from "./connection.js";
import { showState } from "./counts.js";
import { showErrors } from "./errors.js";
import { duration, number, setText, statusLabel, sum } from "./format.js";
import { announce, showLiveState } from "./live_state.js";
import { Pane } from "./pane.js";
import { Selection } from "./selection.js";
import { TreeGrid } from "./treegrid.js";
import { showTime } from "./times.js";
import { applyNode, News } from "./tree_rows.js";

// Nodes that are made while a batch runs: their rows come from the server.
const GROWN = new Set(["rollback", "stage", "step", "service", "pool_worker", "entity", "gate", "parent"]);
const OPEN = ["pending", "running", "paused"].map((status) => `[data-status="${status}"]`).join();
const CLOSED = "completed failed canceled terminated timed_out skipped";
const batch = document.getElementById("batch");
const tree = document.getElementById("tree");
const grid = new TreeGrid(tree);
const pane = new Pane(batch.dataset.home);
const find = document.querySelector("#find input");
const form = document.getElementById("retry-selected");
if (form) new Selection(tree, form);

const filter = () => tree.querySelector(".chip[aria-current]")?.dataset.status ?? "";
let news = new News(filter());
let state = null;

const field = (name) => batch.querySelector(`[data-field="${name}"]`);

function showElapsed() {
  const { opened, closed } = batch.dataset;
  const elapsed = seconds({ started: opened, closed });
  setText(field("elapsed"), elapsed === null ? "–" : duration(elapsed));
}

function showHead(now) {
  const hasTurned = !state || ["status", "paused", "window", "moments"].some((key) => state[key] !== now[key]);
  state = now;
  batch.dataset.opened = now.opened_at ?? "";
  batch.dataset.closed = now.closed_at ?? "";
  showState(batch, now);
  setText(field("rate"), now.rate ? `${now.rate.toFixed(1)} ${now.watched ? "children" : "items"}/s` : "–");
  setText(field("eta"), now.eta === null ? "–" : `≈ ${duration(now.eta)}`);
  setText(field("start_error"), now.start_error);
  document.getElementById("start-error").hidden = !now.start_error;
  setText(field("reading"), now.reading);
  document.getElementById("reading").hidden = !now.reading;
  document.getElementById("held").dataset.kind = now.held?.kind ?? "";
  setText(field("held_reason"), now.held?.reason ?? "");
  showTime(field("held_until"), now.held?.until);
  for (const element of batch.querySelectorAll("[data-field='window']")) {
    if (element.tagName !== "INPUT") setText(element, number(now.window));
    else if (element !== document.activeElement) element.value = now.window;
  }
  if (hasTurned) {
    htmx.trigger("#audit", "canopy:audit");
    if (document.getElementById("reports")) htmx.trigger("#reports", "canopy:audit");
  }
  const closed = sum(now.children, CLOSED);
  const bad = closed - now.children.completed;
  announce(`${statusLabel(now.status)}. ${number(closed)} of ${number(now.children.total)} children closed, ${number(bad)} not completed.`);
}

function apply(messages) {
  const changed = new Set();
  let isReload = false;
  for (const message of messages) {
    setServerTime(message.now);
    if (message.type !== "delta") continue;
    for (const node of message.nodes) {
      const hasRow = applyNode(node);
      news.note(node, hasRow);
      isReload ||= !hasRow && GROWN.has(node.kind) && !filter();
      changed.add(node.id);
    }
    isReload ||= message.reload;
    if (!message.more) batch.dataset.revision = message.revision;
  }
  const newest = messages.findLast((message) => message.type === "delta");
  if (newest) {
    isReload ||= state?.partitions < newest.batch.partitions && !filter();
    isReload ||= newest.batch.watched && state?.children.total !== newest.batch.children.total && !filter();
    changedAt = Date.now();
    showHead(newest.batch);
    showErrors(newest.batch);
    showElapsed();
    showDurations();
    news.show(statusLabel(filter()));
    pane.changed(changed);
  }
  if (isReload) grid.load(addressOf(filter()));
}

function addressOf(status) {
  const path = grid.table.dataset.path;
  const text = find.value.trim();
  const found = text ? `?${new URLSearchParams({ q: text })}` : "";
  const error = tree.querySelector(".chip[data-error]")?.dataset.error;
  if (!status && error) return `${batch.dataset.home}nodes/?error=${error}`;
  const query = status ? `?status=${status}` : path ? `?open=${path}&whole=1` : found;
  return `${batch.dataset.home}nodes/${query}`;
}

tree.addEventListener("click", (event) => {
  if (event.target.closest(".chip[href]")) find.value = "";
  if (!event.target.closest("#news")) return;
  // Below partitions the failures are not on the first page: show them alone.
  const isParted = !filter() && tree.querySelector("tr:is([data-kind='partition'], [data-kind='stage'], [data-kind='parent'])");
  const status = isParted ? news.status : filter();
  if (location.pathname === batch.dataset.home) history.replaceState(null, "", status ? `?status=${status}` : batch.dataset.home);
  grid.load(addressOf(status));
});

tree.addEventListener("htmx:afterSwap", (event) => {
  if (event.target === tree) news = new News(filter());
  if (state) showState(tree, state);
  pane.mark();
  showDurations();
});

// An open batch that has not changed for a while is asked why; once it moves again the answer goes.
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

document.getElementById("answer").addEventListener("htmx:afterSwap", () => htmx.trigger("#audit", "canopy:audit"));

// While the line is lost nothing is known to run: time stands still with the rest.
startClock(() => {
  if (document.body.classList.contains("is-stale")) return;
  showDurations();
  showElapsed();
});

new Connection({
  address: () => `${batch.dataset.live}?revision=${batch.dataset.revision}`,
  onMessage: perFrame(apply),
  onState: showLiveState,
});
