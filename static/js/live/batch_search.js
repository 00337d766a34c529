// The search of the batch list: says when it takes long, and keeps the menu open in which a filter was chosen.
const list = document.getElementById("batches");
const filters = document.getElementById("filters");
const SLOW_AFTER = 2_000;

const slow = document.getElementById("slow");
let waiting = 0;
document.addEventListener("htmx:beforeRequest", (event) => {
  if (event.detail.target !== list) return;
  clearTimeout(waiting);
  waiting = setTimeout(() => (slow.hidden = false), SLOW_AFTER);
});
document.addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.target !== list) return;
  clearTimeout(waiting);
  slow.hidden = true;
});
let used = null;
filters.addEventListener("htmx:oobBeforeSwap", () => {
  const open = [...filters.querySelectorAll("details[open]")].map((menu) => menu.classList.item(1));
  used = { open, focus: document.activeElement?.id };
});
document.addEventListener("htmx:oobAfterSwap", () => {
  if (!used) return;
  for (const name of used.open) filters.querySelector(`details.${name}`).open = true;
  if (used.focus && document.activeElement?.id !== used.focus) document.getElementById(used.focus)?.focus();
  used = null;
});
