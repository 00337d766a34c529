// What failed is fetched anew a moment after its numbers have changed: also of what is mended, and not for each change.
import { sum } from "./format.js";

const AFTER = 1_000;
const MORE_EACH = 0.05; // milliseconds a failure: grouping 100,000 takes its time, for every viewer
const MISSED = ""; // while the line is lost, or nobody answers: fetched with the next message
let seen = null;
let timer = null;

export function showErrors(batch) {
  const children = sum(batch.children, "failed timed_out terminated");
  const hasGroups = document.querySelector("#errors [data-signature]") !== null;
  const mended = hasGroups ? batch.items.completed + batch.children.completed : 0;
  const found = `${children} ${batch.items.failed} ${mended}`;
  if (seen !== null && seen !== found && !timer) {
    timer = setTimeout(() => {
      timer = null;
      if (document.body.classList.contains("is-stale")) seen = MISSED;
      else htmx.trigger("#errors", "canopy:errors");
    }, AFTER + MORE_EACH * (children + batch.items.failed));
  }
  seen = found;
}

for (const failed of ["htmx:sendError", "htmx:responseError"]) {
  document.getElementById("errors").addEventListener(failed, () => {
    seen = MISSED;
  });
}
