// A part of a page that the server renders: fetched again shortly after what it shows has changed, debounced. One that is
// newer than the page waits for the delta that brings the page to its revision; one that is older says what it lacks.
import { FAILURES, number, setText, sum } from "../lib/format.js";
import { fill } from "../lib/words.js";
import { failuresOf, showState } from "./counts.js";

const AFTER = 1_000;
const MORE_EACH = 0.05; // milliseconds per failure: grouping 100,000 is slow, and every viewer asks for it
const REVISION = "X-Canopy-Revision";
const MISSED = ""; // the request failed: fetch with the next message

export class Fetched {
  #seen = null;
  #timer = 0;
  #state = null;
  #early = null; // a newer content, and its revision

  // keyOf(state) returns a text that changes with what the part shows; nothing happens where the page has no such part.
  constructor(id, event, keyOf) {
    Object.assign(this, { panel: document.getElementById(id), event, keyOf });
    if (!this.panel) return;
    this.#seen = keyOf(JSON.parse(this.panel.dataset.seen));
    this.panel.addEventListener("htmx:beforeSwap", (event) => this.#hold(event));
    this.panel.addEventListener("htmx:afterSwap", () => this.#show());
    for (const failed of ["htmx:sendError", "htmx:responseError"]) this.panel.addEventListener(failed, () => (this.#seen = MISSED));
  }

  see(state) {
    if (!this.panel) return;
    const key = this.keyOf(state);
    this.#state = state;
    if (this.#seen !== key) this.#timer ||= setTimeout(() => this.#fetch(), AFTER + MORE_EACH * sum(state.items, FAILURES));
    this.#seen = key;
    if (this.#early && this.#early.revision <= state.revision) {
      const { text } = this.#early;
      this.#early = null;
      htmx.swap(this.panel, text, { swapStyle: "innerHTML" });
    }
    this.#show();
  }

  #hold(event) {
    if (event.target !== this.panel) return;
    const revision = Number(event.detail.xhr.getResponseHeader(REVISION));
    this.#early = revision > Number(document.getElementById("batch").dataset.revision) ? { revision, text: event.detail.serverResponse } : null;
    if (this.#early) event.detail.shouldSwap = false;
  }

  // Its numbers are the page's; where its own rows have not the same number of failures, it says so.
  #show() {
    if (!this.#state) return;
    showState(this.panel, this.#state);
    const lag = this.panel.querySelector("[data-listed]");
    if (!lag) return;
    const total = failuresOf(this.#state);
    lag.hidden = total === Number(lag.dataset.listed);
    setText(lag, fill(gettext("Updating: %(listed)s of %(total)s failures grouped."), { listed: number(lag.dataset.listed), total: number(total) }));
  }

  #fetch() {
    this.#timer = 0;
    if (document.body.classList.contains("is-stale")) this.#seen = MISSED;
    else htmx.trigger(this.panel, this.event);
  }
}
