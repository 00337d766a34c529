// The batch list: visible rows are updated live; newer batches are announced by a chip, not inserted.
import "../app.js";
import "./batch_search.js";
import { Connection, perFrame } from "./connection.js";
import { showState } from "./counts.js";
import { duration, number, setText } from "../lib/format.js";
import { announce, showLiveState } from "./live_state.js";
import { showAgo } from "../lib/times.js";
import { decimal, fill } from "../lib/words.js";

const list = document.getElementById("batches");
const filters = document.getElementById("filters");
const unseen = new Set();
const RECOUNT_EVERY = 3_000;

const boxes = () => [...list.querySelectorAll("input[name='batches']")];
const chosen = () => Object.fromEntries(new FormData(filters));

function isWanted(batch) {
  const { q = "", status, processor, person, schedule, tag, sort } = chosen();
  if (tag || (sort && sort !== "-created_at")) return false;
  const text = q.trim().toLowerCase();
  const isFound = [batch.label, batch.processor].some((words) => words.toLowerCase().includes(text)) || batch.id.startsWith(text);
  return (
    isFound &&
    (!status || status === batch.status || (status === "blocked" && batch.blocked)) &&
    (!processor || processor === batch.processor) &&
    (!person || person === batch.launched_by) &&
    (!schedule || schedule === batch.schedule)
  );
}

// Numbers by status are fetched again, at most every few seconds, once a batch has another status than before.
const statuses = new Map();
let recount = 0;

function note(batch) {
  if (statuses.get(batch.id) === batch.status) return;
  statuses.set(batch.id, batch.status);
  recount ||= setTimeout(() => {
    recount = 0;
    htmx.trigger("#status-tabs", "canopy:tabs");
  }, RECOUNT_EVERY);
}

function applyBatch(batch, chip) {
  note(batch);
  const row = document.getElementById(`batch-${batch.id}`);
  if (row) {
    if (Number(row.dataset.revision) >= batch.revision) return;
    row.dataset.revision = batch.revision;
    row.dataset.status = batch.status;
    showState(row, batch);
    showNumbers(row, batch);
  } else if (chip.dataset.page === "1" && batch.created_at > chip.dataset.newest && isWanted(batch)) {
    unseen.add(batch.id);
  }
}

// Values of optional columns, where those are shown.
function showNumbers(row, batch) {
  const cell = (name) => row.querySelector(`[data-field="${name}"]`);
  setText(cell("rate"), batch.rate === null ? "" : decimal(batch.rate, 1));
  setText(cell("eta"), batch.eta === null ? "" : `≈ ${duration(batch.eta)}`);
  setText(cell("took"), batch.elapsed === null ? "" : duration(batch.elapsed));
  if (cell("ended")) showAgo(cell("ended"), batch.closed_at);
}

function apply(messages) {
  const chip = document.getElementById("news");
  for (const message of messages) {
    for (const batch of message.batches ?? []) applyBatch(batch, chip);
  }
  chip.hidden = !unseen.size;
  if (!unseen.size) return;
  const words = ngettext("%(number)s new batch", "%(number)s new batches", unseen.size);
  const text = fill(words, { number: number(unseen.size) });
  setText(chip, `↑ ${text}`);
  announce(text);
}

// Selected batches; bulk actions are buttons of a form.
list.addEventListener("change", (event) => {
  if (event.target.id === "tick-all") boxes().forEach((box) => (box.checked = event.target.checked));
  showTicked();
});
list.addEventListener("click", (event) => {
  if (!event.target.closest("[data-clear]")) return;
  for (const box of list.querySelectorAll("input[type='checkbox']")) box.checked = false;
  showTicked();
});

function showTicked() {
  const bulk = document.getElementById("bulk");
  if (!bulk) return;
  const ticked = boxes().filter((box) => box.checked).length;
  setText(bulk.querySelector("[data-selected]"), number(ticked));
  bulk.classList.toggle("is-active", ticked > 0);
}

const reload = () => htmx.ajax("GET", location.href, { target: list, swap: "innerHTML" });

list.addEventListener("click", (event) => event.target.closest("#news") && reload());
list.addEventListener("htmx:afterSwap", () => {
  unseen.clear();
  const { query } = document.getElementById("news").dataset;
  document.querySelector("[data-save-query]").value = query;
  for (const view of document.querySelectorAll(".views a.chip")) {
    if (new URL(view.href).search.slice(1) === query) view.setAttribute("aria-current", "true");
    else view.removeAttribute("aria-current");
  }
});

// The socket reports only changes made while it is open: after a gap, the rows are fetched again.
let wasAway = false;
new Connection({
  address: () => list.dataset.live,
  onMessage: perFrame(apply),
  onState: (state, since, late) => {
    showLiveState(state, since, late);
    if (state === "live" && wasAway) reload();
    wasAway = state !== "live";
  },
});
