// Time that passes on the page: durations of what is running, and the bars that compare them.
import { duration, setText } from "./format.js";

const BAR_WIDTH = 1000;
let skew = 0;

// The server's clock counts: its times are what the page subtracts from.
export function setServerTime(now) {
  skew = Date.parse(now) - Date.now();
}

export const serverNow = () => Date.now() + skew;

export function seconds({ started, closed }) {
  if (!started) return null;
  return Math.max(0, ((closed ? Date.parse(closed) : serverNow()) - Date.parse(started)) / 1000);
}

export function showDurations(root = document) {
  for (const body of root.querySelectorAll(".tree tbody:not([hidden])")) {
    const rows = [...body.querySelectorAll("tr[data-node]")].map((row) => [row, seconds(row.dataset)]);
    const longest = rows.reduce((most, [, value]) => Math.max(most, value ?? 0), 0) || 1;
    for (const [row, value] of rows) {
      setText(row.querySelector("[data-field='duration']"), value === null ? "" : duration(value));
      const width = String(Math.round((BAR_WIDTH * (value ?? 0)) / longest));
      const rect = row.querySelector(".meter rect");
      if (rect.getAttribute("width") !== width) rect.setAttribute("width", width);
    }
  }
  for (const element of root.querySelectorAll(".attempts [data-started]")) {
    const value = seconds(element.dataset);
    if (value !== null) setText(element, duration(value));
  }
}

export function startClock(tick) {
  setInterval(() => {
    if (!document.hidden) tick();
  }, 1_000);
}
