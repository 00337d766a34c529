// Running clocks on the page: durations of open nodes, and the bars that compare them.
import { duration, setText } from "./format.js";

const BAR_WIDTH = 1000;
const NARROWEST = 12;
let skew = 0;

// Offset to the server's clock, because all timestamps are the server's.
export function setServerTime(now) {
  skew = Date.parse(now) - Date.now();
}

export const serverNow = () => Date.now() + skew;

// When the batch was paused or held: [[from, to or null], …]. The clocks of the batch and its parents leave that out.
const PARENTS = new Set(["root", "stage", "partition", "parent"]);
let halts = JSON.parse(document.getElementById("batch")?.dataset.halts ?? "[]");

export function setHalts(given) {
  halts = given;
}

export function seconds({ started, closed, kind = "root" }) {
  if (!started) return null;
  const begin = Date.parse(started);
  const end = closed ? Date.parse(closed) : serverNow();
  let left = end - begin;
  for (const [from, to] of PARENTS.has(kind) ? halts : []) {
    left -= Math.max(0, Math.min(end, to ? Date.parse(to) : end) - Math.max(begin, Date.parse(from)));
  }
  return Math.max(0, left / 1000);
}

// Visible rows, grouped by parent.
function branches(root) {
  const found = new Map();
  for (const row of root.querySelectorAll(".tree tbody:not([hidden]) tr[data-node]")) {
    const { parent = "" } = row.dataset;
    if (!found.has(parent)) found.set(parent, []);
    found.get(parent).push(row);
  }
  return found.values();
}

// Draws when each row of a branch ran, on one time axis; with `only` (node ids) the other rows wait for the next tick.
export function showDurations(root = document, only = null) {
  for (const branch of branches(root)) {
    const rows = branch.map((row) => [row, seconds(row.dataset), Date.parse(row.dataset.started) / 1000]);
    const ran = rows.filter(([, value]) => value !== null);
    const begin = ran.reduce((first, [, , start]) => Math.min(first, start), Infinity);
    const whole = ran.reduce((most, [, value, start]) => Math.max(most, start + value - begin), 0) || 1;
    for (const [row, value, start] of rows) {
      if (only && !only.has(Number(row.dataset.node))) continue;
      setText(row.querySelector("[data-field='duration']"), value === null ? "" : duration(value));
      const rect = row.querySelector(".meter rect");
      const x = value === null ? 0 : Math.min(Math.round((BAR_WIDTH * (start - begin)) / whole), BAR_WIDTH - NARROWEST);
      const width = value === null ? 0 : Math.max(NARROWEST, Math.round((BAR_WIDTH * value) / whole));
      if (rect.getAttribute("width") !== String(width)) rect.setAttribute("width", width);
      if (rect.getAttribute("x") !== String(x)) rect.setAttribute("x", x);
    }
  }
  for (const element of root.querySelectorAll(".attempts [data-started]")) {
    const value = seconds({ ...element.dataset, kind: "run" });
    if (value !== null) setText(element, duration(value));
  }
}

export function startClock(tick) {
  setInterval(() => {
    if (!document.hidden) tick();
  }, 1_000);
}
