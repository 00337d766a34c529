// What failed is fetched anew a moment after the number of failures has changed, and not for each of them.
import { sum } from "./format.js";

const AFTER = 1_000;
let seen = null;
let timer = null;

export function showErrors(batch) {
  const found = `${sum(batch.children, "failed timed_out terminated")} ${batch.items.failed}`;
  if (seen !== null && seen !== found && !timer) {
    timer = setTimeout(() => {
      timer = null;
      htmx.trigger("#errors", "canopy:errors");
    }, AFTER);
  }
  seen = found;
}
