// A part of a page that the server renders: fetched again shortly after what it shows has changed, debounced.
import { FAILURES, sum } from "../lib/format.js";
import { showState } from "./counts.js";

const AFTER = 1_000;
const MORE_EACH = 0.05; // milliseconds per failure: grouping 100,000 is slow, and every viewer asks for it
const MISSED = ""; // the request failed: fetch with the next message

export class Fetched {
  #seen = null;
  #timer = 0;
  #state = null;

  // keyOf(state) returns a text that changes with what the part shows; nothing happens where the page has no such part.
  constructor(id, event, keyOf) {
    Object.assign(this, { panel: document.getElementById(id), event, keyOf });
    if (!this.panel) return;
    this.#seen = keyOf(JSON.parse(this.panel.dataset.seen));
    // What is fetched may be newer than the numbers that the page has: they follow with the next delta.
    this.panel.addEventListener("htmx:afterSwap", () => this.#state && showState(this.panel, this.#state));
    for (const failed of ["htmx:sendError", "htmx:responseError"]) this.panel.addEventListener(failed, () => (this.#seen = MISSED));
  }

  see(state) {
    if (!this.panel) return;
    const key = this.keyOf(state);
    this.#state = state;
    if (this.#seen !== key) this.#timer ||= setTimeout(() => this.#fetch(), AFTER + MORE_EACH * sum(state.items, FAILURES));
    this.#seen = key;
  }

  #fetch() {
    this.#timer = 0;
    if (document.body.classList.contains("is-stale")) this.#seen = MISSED;
    else htmx.trigger(this.panel, this.event);
  }
}
