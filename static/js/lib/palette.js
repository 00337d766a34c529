// The command palette: Ctrl-K or ⌘K opens a combobox whose options the server finds.
import { toastFor } from "./toasts.js";

const WAIT = 120;
const dialog = document.getElementById("palette");
const input = dialog?.querySelector("input");
const list = dialog?.querySelector("[role='listbox']");
const said = dialog?.querySelector("[role='status']");
let timer = 0;
let request = null;

const options = () => [...list.querySelectorAll("[role='option']")];
const chosen = () => list.querySelector("[aria-selected='true']");

function choose(option) {
  chosen()?.setAttribute("aria-selected", "false");
  option?.setAttribute("aria-selected", "true");
  option?.scrollIntoView({ block: "nearest" });
  if (option) input.setAttribute("aria-activedescendant", option.id);
  else input.removeAttribute("aria-activedescendant");
}

async function search() {
  request?.abort();
  request = new AbortController();
  const { signal } = request;
  try {
    const answer = await fetch(`${dialog.dataset.address}?q=${encodeURIComponent(input.value)}`, { signal });
    if (answer.redirected) return location.reload();
    if (!answer.ok) return toastFor(answer.status);
    list.innerHTML = await answer.text();
    choose(options()[0]);
    const number = options().length;
    said.textContent = interpolate(ngettext("%(number)s result", "%(number)s results", number), { number }, true);
  } catch (error) {
    if (error.name !== "AbortError") toastFor(0);
  }
  return undefined;
}

function open() {
  if (dialog.open) return;
  input.value = "";
  dialog.showModal();
  search();
}

function take(option) {
  if (!option) return;
  dialog.close();
  if (option.dataset.address) location.assign(option.dataset.address);
  else document.querySelector(option.dataset.press)?.click();
}

function move(step) {
  const all = options();
  const place = all.indexOf(chosen());
  choose(all[(place + step + all.length) % all.length]);
}

const KEYS = { ArrowDown: () => move(1), ArrowUp: () => move(-1), Home: () => choose(options()[0]), End: () => choose(options().at(-1)), Enter: () => take(chosen()) };

if (dialog) {
  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey) return;
    event.preventDefault();
    if (dialog.open) dialog.close();
    else if (!document.querySelector("dialog[open]")) open();
  });
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-palette]") || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    open();
  });
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(search, WAIT);
  });
  input.addEventListener("keydown", (event) => {
    if (!KEYS[event.key] || event.isComposing) return;
    event.preventDefault();
    KEYS[event.key]();
  });
  list.addEventListener("click", (event) => take(event.target.closest("[role='option']")));
  list.addEventListener("pointermove", (event) => {
    const option = event.target.closest("[role='option']");
    if (option && option !== chosen()) choose(option);
  });
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  if (/Mac|iP(hone|ad)/.test(navigator.platform)) for (const key of document.querySelectorAll("[data-command-key]")) key.textContent = "⌘";
}
