// Updates the elements that show a batch's state: counts, bars, badges, and elements visible only in some states.
import { FAILURES, number, percent, setStatus, setText, sum } from "../lib/format.js";

const BAR_WIDTH = 1000;

function each(root, attribute, act) {
  for (const element of root.querySelectorAll(`[${attribute}]`)) act(element, element.getAttribute(attribute));
}

const countsFor = (element, state) => state[element.dataset.of ?? "children"];

// How many items failed; or children, where no item did (as dashboard/templatetags/canopy.py does).
export const failuresOf = ({ items, children }) => sum(items, FAILURES) || sum(children, FAILURES);

export function drawBar(bar, counts) {
  const rects = [...bar.querySelectorAll("rect")];
  const total = Object.entries(counts).reduce((all, [status, count]) => (status === "total" ? all : all + count), 0) || 1;
  let at = 0;
  for (const rect of rects) {
    const width = (BAR_WIDTH * (counts[rect.classList[0]] ?? 0)) / total;
    rect.setAttribute("x", at.toFixed(2));
    rect.setAttribute("width", width.toFixed(2));
    at += width;
  }
}

export function showState(root, state) {
  each(root, "data-count", (element, statuses) => setText(element, number(sum(countsFor(element, state), statuses))));
  each(root, "data-failures", (element) => {
    const failures = failuresOf(state);
    setText(element, number(failures));
    const place = element.closest("[data-failures-shown]") ?? element.closest(".tally");
    if (place) place.hidden = !failures;
  });
  each(root, "data-share", (element, statuses) => {
    const counts = countsFor(element, state);
    setText(element, percent(sum(counts, statuses) / (counts.total || 1)));
  });
  each(root, "data-bar", (element, of) => drawBar(element, state[of]));
  each(root, "data-needs", (element, statuses) => {
    const isCurrent = element.hasAttribute("aria-current") || element.getAttribute("aria-pressed") === "true";
    element.hidden = !(isCurrent || sum(countsFor(element, state), statuses)) || !isWhen(element, state);
  });
  each(root, "data-when", (element) => {
    if (!element.hasAttribute("data-needs")) element.hidden = !isWhen(element, state);
  });
  each(root, "data-blocked", (element) => (element.hidden = !state.blocked));
  setStatus(root.querySelector("[data-field='badge'] .badge"), state.status, state.children);
}

function isWhen(element, state) {
  const { when, rootWhen } = element.dataset;
  return isAmong(when, state.status) && isAmong(rootWhen, state.root_status);
}

function isAmong(statuses, status) {
  return !statuses || statuses.split(" ").includes(status);
}
