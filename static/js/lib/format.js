// Formats values for display, as dashboard/templatetags/canopy.py does on the server.

import { decimal, fill, number } from "./words.js";

export { number };

export function duration(seconds) {
  if (seconds < 10) return `${decimal(seconds, 2)} s`;
  if (seconds < 60) return `${decimal(seconds, 1)} s`;
  const whole = Math.round(seconds);
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} m ${String(whole % 60).padStart(2, "0")} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${String(minutes % 60).padStart(2, "0")} m`;
  return `${Math.floor(hours / 24)} ${gettext("d")} ${String(hours % 24).padStart(2, "0")} h`;
}

// Statuses in the form `sum` takes: all closed ones, and the failures among them.
export const CLOSED = "completed failed timed_out terminated canceled skipped";
export const FAILURES = "failed timed_out terminated";
const NOT_COMPLETED = `${FAILURES} canceled`;
const BY_INTEREST = "failed timed_out terminated canceled running scheduled pending completed skipped";

// The label of a status is stored with its icon in templates/partials/_icons.html.
export const statusLabel = (status) => document.getElementById(`status-${status}`)?.dataset.label ?? status;

// A status as words, as dashboard/models/statuses.py has them: where nothing failed, what was left out.
export function statusWords(status, counts) {
  if (status !== "completed_with_failures" || !counts || sum(counts, FAILURES)) return statusLabel(status);
  if (!counts.completed) return statusLabel("skipped");
  const left = { canceled: counts.canceled, skipped: counts.skipped };
  return fill(gettext("Completed, %(counts)s"), { counts: tallyWords(left) });
}

export const sum = (counts, statuses) => statuses.split(" ").reduce((total, status) => total + (counts[status] ?? 0), 0);

// Formats a share from 0 to 1; a small share is never rounded to 0%, nor an almost complete one to 100%.
export function percent(share) {
  if (share > 0 && share < 0.01) return "<1%";
  return share > 0.99 && share < 1 ? ">99%" : `${Math.round(100 * share)}%`;
}

export const doneOf = (done, total) => fill(gettext("%(done)s of %(total)s"), { done: number(done), total: number(total) });

// How far the children below a node are: 48 of 60 · 2 failed.
export function folderWords(counts) {
  const total = Object.values(counts).reduce((all, count) => all + count, 0);
  const failed = NOT_COMPLETED.split(" ").filter((status) => counts[status]);
  return [doneOf(sum(counts, CLOSED), total), ...failed.map((status) => `${number(counts[status])} ${statusLabel(status).toLowerCase()}`)].join(" · ");
}

// Counts by status in words, failures first: 13 failed, 987 completed.
export function tallyWords(counts) {
  const found = BY_INTEREST.split(" ").filter((status) => counts[status]);
  return found.map((status) => `${number(counts[status])} ${statusLabel(status).toLowerCase()}`).join(", ");
}

export function errorLine(error) {
  if (!error) return "";
  const first = error.message.trim().split("\n", 1)[0];
  const text = error.type === "" || error.type === "ItemsFailed" ? first : `${error.type}: ${first}`;
  return text.length <= 300 ? text : `${text.slice(0, 299)}…`;
}

export function setText(element, text) {
  if (element && element.textContent !== text) element.textContent = text;
}

export function setStatus(badge, status, counts) {
  if (!badge) return;
  setText(badge.querySelector("span"), statusWords(status, counts));
  if (badge.dataset.status === status) return;
  badge.dataset.status = status;
  badge.querySelector("use").setAttribute("href", `#status-${status}`);
}
