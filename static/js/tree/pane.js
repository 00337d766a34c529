// The drawer of one node: its URL, its row in the tree, focus, closing, and refresh while the node changes.
import { toastFor } from "../lib/toasts.js";

const REFRESH_EVERY = 1_500;
const STEPS = { "next-failure": 1, "previous-failure": -1 };

export class Pane {
  #timer = 0;
  #kept = null;
  #opener = null;
  #requests = 0; // under way into the drawer
  #isStepping = false; // to the next failure, or back
  #steps = 0; // asked for meanwhile

  constructor(home, grid) {
    this.home = home;
    this.grid = grid;
    this.element = document.getElementById("pane");
    this.element.addEventListener("click", (event) => {
      if (!event.target.closest("[data-close-pane]")) return;
      event.preventDefault();
      this.close();
    });
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !event.defaultPrevented && this.node && !document.querySelector("dialog[open]")) this.close();
    });
    document.addEventListener("click", (event) => {
      const link = event.target.closest(".tree .open");
      if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      this.#get(link.pathname);
    });
    this.element.addEventListener("click", (event) => this.#postpone(event), true);
    document.addEventListener("htmx:beforeRequest", ({ detail }) => detail.target === this.element && this.#asked(detail.elt));
    document.addEventListener("htmx:afterRequest", ({ detail }) => detail.target === this.element && this.#answered());
    this.element.addEventListener("htmx:beforeSwap", (event) => event.target === this.element && this.#before(event.detail));
    this.element.addEventListener("htmx:afterSwap", (event) => event.target === this.element && this.#shown());
    window.addEventListener("popstate", () => this.#follow());
    if (this.node) this.reveal();
  }

  get node() {
    return this.element.firstElementChild?.dataset.node;
  }

  mark() {
    for (const row of document.querySelectorAll(".tree tr.is-open")) row.classList.remove("is-open");
    if (this.node) document.getElementById(`node-${this.node}`)?.classList.add("is-open");
  }

  // Scrolls the node's row into view; the tree fetches the page that has it.
  async reveal() {
    const { node } = this;
    await this.grid.reveal(node, () => this.node === node);
    this.mark();
  }

  close() {
    if (location.pathname !== this.home) history.pushState({ pane: true }, "", this.home + (this.grid.query && `?${this.grid.query}`));
    this.#empty();
  }

  // Fetches the pane again if it shows one of these nodes, at most once per REFRESH_EVERY.
  changed(ids) {
    if (!this.node || this.#timer || !ids.has(Number(this.node))) return;
    this.#timer = setTimeout(() => {
      this.#timer = 0;
      if (this.#requests) this.changed(ids); // must not take the place of what a person asked for
      else if (this.node) this.#fetch();
    }, REFRESH_EVERY);
  }

  #fetch(address = this.element.firstElementChild.dataset.address) {
    const page = document.getElementById("items")?.dataset.page ?? 1;
    this.#get(`${address}?items=${page}`);
  }

  // A newer request takes the place of one that is under way, which is then rejected.
  #get(address) {
    htmx.ajax("GET", address, { source: this.element, target: this.element, swap: "innerHTML" })?.catch(() => null);
  }

  // A step is taken from the failure that the one before it led to.
  #postpone(event) {
    const step = STEPS[event.target.closest("a")?.id];
    if (!step || !this.#isStepping || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    event.stopPropagation();
    this.#steps += step;
  }

  #asked(by) {
    this.#requests += 1;
    this.#isStepping = by.id in STEPS;
  }

  #answered() {
    this.#requests -= 1;
    this.#isStepping &&= this.#requests > 0;
    queueMicrotask(() => {
      if (this.#requests || !this.#steps) return;
      const step = Math.sign(this.#steps);
      this.#steps -= step;
      document.getElementById(step > 0 ? "next-failure" : "previous-failure")?.click();
    });
  }

  // What could not be fetched does not take the place of what is shown.
  #before(detail) {
    if (detail.xhr.status < 400) return this.#keep();
    if (detail.shouldSwap) toastFor(detail.xhr.status);
    detail.shouldSwap = false;
    this.#steps = 0;
  }

  #empty() {
    this.#steps = 0;
    htmx.trigger(this.element, "htmx:abort"); // or what is under way would open it again
    const row = document.getElementById(`node-${this.node}`);
    this.element.replaceChildren();
    this.mark();
    const isInTree = this.#opener?.closest(".tree") && row; // the row of the node that was shown last
    const back = this.#opener?.isConnected && !isInTree ? this.#opener : row;
    this.#opener = null;
    back?.focus({ preventScroll: true });
  }

  #follow() {
    if (location.pathname === this.home) this.#empty();
    else if (location.pathname.startsWith(`${this.home}nodes/`)) this.#fetch(location.pathname);
  }

  // Keeps opened items and the scroll position across a refresh of the same node, and where the focus was before.
  #keep() {
    const { activeElement } = document;
    if (activeElement !== document.body && !this.element.contains(activeElement)) this.#opener = activeElement;
    const opened = [...this.element.querySelectorAll("details[id][open]")];
    const scroll = this.element.querySelector(".pane-body")?.scrollTop ?? 0;
    this.#kept = this.node ? { node: this.node, opened, scroll } : null;
  }

  #shown() {
    if (this.#kept?.node === this.node) {
      this.mark();
      for (const details of this.#kept.opened) {
        const fresh = document.getElementById(details.id);
        if (fresh && fresh.dataset.status === details.dataset.status) fresh.replaceWith(details);
        else if (fresh) fresh.open = true;
      }
      this.element.querySelector(".pane-body").scrollTop = this.#kept.scroll;
      return;
    }
    const { address } = this.element.firstElementChild.dataset;
    if (location.pathname !== address) history.pushState({ pane: true }, "", address);
    this.element.querySelector("h2").focus({ preventScroll: true });
    this.reveal();
  }
}
