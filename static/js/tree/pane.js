// The pane of one node: its URL, focus, closing, and refresh while the node changes.

const REFRESH_EVERY = 1_500;

export class Pane {
  #timer = 0;
  #kept = null;

  constructor(home) {
    this.home = home;
    this.element = document.getElementById("pane");
    this.element.addEventListener("click", (event) => {
      if (!event.target.closest("[data-close-pane]")) return;
      event.preventDefault();
      this.close();
    });
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.node && !document.querySelector("dialog[open]")) this.close();
    });
    this.element.addEventListener("htmx:beforeSwap", (event) => event.target === this.element && this.#keep());
    this.element.addEventListener("htmx:afterSwap", (event) => event.target === this.element && this.#shown());
    window.addEventListener("popstate", () => this.#follow());
    this.mark();
  }

  get node() {
    return this.element.firstElementChild?.dataset.node;
  }

  mark() {
    for (const row of document.querySelectorAll(".tree tr.is-open")) row.classList.remove("is-open");
    if (this.node) document.getElementById(`node-${this.node}`)?.classList.add("is-open");
  }

  close() {
    if (location.pathname !== this.home) history.pushState({ pane: true }, "", this.home);
    this.#empty();
  }

  // Fetches the pane again if it shows one of these nodes, at most once per REFRESH_EVERY.
  changed(ids) {
    if (!this.node || this.#timer || !ids.has(Number(this.node))) return;
    this.#timer = setTimeout(() => {
      this.#timer = 0;
      if (this.node) this.#fetch();
    }, REFRESH_EVERY);
  }

  #fetch(address = this.element.firstElementChild.dataset.address) {
    const page = document.getElementById("items")?.dataset.page ?? 1;
    return htmx.ajax("GET", `${address}?items=${page}`, { target: this.element, swap: "innerHTML" });
  }

  #empty() {
    const row = document.getElementById(`node-${this.node}`);
    this.element.replaceChildren();
    this.mark();
    row?.focus({ preventScroll: true });
  }

  #follow() {
    if (location.pathname === this.home) this.#empty();
    else if (location.pathname.startsWith(`${this.home}nodes/`)) this.#fetch(location.pathname);
  }

  // Keeps opened items and the scroll position across a refresh of the same node.
  #keep() {
    const opened = [...this.element.querySelectorAll("details[id][open]")];
    const scroll = this.element.querySelector(".pane-body")?.scrollTop ?? 0;
    this.#kept = this.node ? { node: this.node, opened, scroll } : null;
  }

  #shown() {
    this.mark();
    if (this.#kept?.node === this.node) {
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
  }
}
