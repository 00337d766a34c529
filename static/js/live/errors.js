// Fetches the error groups again shortly after their counts change (also when retries fix some), debounced.
import { FAILURES, sum } from "../lib/format.js";

const AFTER = 1_000;
const MORE_EACH = 0.05; // milliseconds per failure: grouping 100,000 is slow, and every viewer asks for it
const MISSED = ""; // the request failed: fetch with the next message
const panel = document.getElementById("errors");
const words = (children, items, done) => `${children} ${items} ${panel.querySelector("[data-signature]") ? done : 0}`;
let seen = words(...panel.dataset.seen.split(" ")); // the counts the page was rendered with
let timer = null;

export function showErrors(batch) {
  const children = sum(batch.children, FAILURES);
  const found = words(children, batch.items.failed, batch.items.completed + batch.children.completed);
  if (seen !== found && !timer) {
    timer = setTimeout(() => {
      timer = null;
      if (document.body.classList.contains("is-stale")) seen = MISSED;
      else htmx.trigger(panel, "canopy:errors");
    }, AFTER + MORE_EACH * (children + batch.items.failed));
  }
  seen = found;
}

for (const failed of ["htmx:sendError", "htmx:responseError"]) {
  panel.addEventListener(failed, () => {
    seen = MISSED;
  });
}
