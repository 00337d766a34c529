// The tree as an ARIA treegrid: one row is in the tab order, arrow keys move, branches load when expanded.

import { clear, fill, fold, ownerOf, scrollToRow, turn } from "./branches.js";

const DEEPEST_EXPANDED = 3; // level of the deepest rows that are expanded in place

// The rows that are shown, by what hides the others in tree.css: to ask for their boxes would lay out the page.
const rowsOf = (table) => [...table.querySelectorAll(`${table.classList.contains("is-folded") ? ".above" : "tbody"} tr[tabindex]`)];

export class TreeGrid {
  #current = "";
  #opened = new Map(); // rows to expand again after the tree is fetched, and with which page

  constructor(container) {
    this.container = container;
    container.addEventListener("keydown", (event) => this.#key(event));
    container.addEventListener("click", (event) => this.#click(event));
    container.addEventListener("focusin", (event) => this.#enter(event.target.closest("tr[tabindex]")));
    container.addEventListener("htmx:beforeSwap", ({ target, detail }) => target === container && detail.shouldSwap && clear(this.table));
    container.addEventListener("htmx:afterSwap", () => this.prepare());
    this.prepare();
  }

  get table() {
    return this.container.querySelector(".tree");
  }

  // Keeps one row in the tab order: controls inside rows are reached by the row's keys.
  prepare() {
    for (const inner of this.table.querySelectorAll("tbody tr :is(a, input)")) inner.tabIndex = -1;
    const rows = rowsOf(this.table);
    const current = document.getElementById(this.#current);
    this.#enter(rows.includes(current) ? current : rows[0]);
  }

  #enter(row) {
    if (!row) return;
    const before = this.table.querySelector("tr[tabindex='0']");
    if (before) before.tabIndex = -1;
    row.tabIndex = 0;
    this.#current = row.id;
  }

  #click(event) {
    if (event.ctrlKey || event.metaKey) return;
    const row = event.target.closest("tr[tabindex]");
    const pager = event.target.closest(".pager a");
    if (pager) this.#turn(row, pager.search, event);
    else if (row && (event.target.closest(".twist") || row.classList.contains("run"))) {
      event.preventDefault();
      this.toggle(row);
    } else if (!row?.dataset.node) return;
    else if (event.target.closest(".pick")) {
      if (event.target.tagName !== "INPUT") row.querySelector(".pick input")?.click();
    } else if (!event.target.closest("a")) {
      row.querySelector(".open").click();
    }
  }

  #key(event) {
    const row = event.target.closest("tr[tabindex]");
    if (!row || event.altKey || event.ctrlKey || event.metaKey) return;
    const rows = rowsOf(this.table);
    const place = rows.indexOf(row);
    const moves = {
      ArrowDown: () => rows[place + 1]?.focus(),
      ArrowUp: () => rows[place - 1]?.focus(),
      Home: () => rows[0].focus(),
      End: () => rows.at(-1).focus(),
      ArrowRight: () => this.#right(row, rows[place + 1]),
      ArrowLeft: () => this.#left(row, rows),
      Enter: () => (row.querySelector(".open") ?? row.querySelector("[rel='next']") ?? row.querySelector(".twist"))?.click(),
      " ": () => row.querySelector(".pick input")?.click(),
    };
    if (!moves[event.key] || (event.target.tagName === "A" && event.key === "Enter")) return;
    event.preventDefault();
    moves[event.key]();
  }

  #right(row, next) {
    if (row.getAttribute("aria-expanded") === "false") this.toggle(row);
    else if (row.hasAttribute("aria-expanded")) next?.focus();
    else row.querySelector("[rel='next']")?.click();
  }

  #left(row, rows) {
    if (row.getAttribute("aria-expanded") === "true") return this.toggle(row);
    const level = Number(row.ariaLevel);
    const above = rows.slice(0, rows.indexOf(row)).reverse();
    return above.find((other) => Number(other.ariaLevel) < level)?.focus();
  }

  async toggle(row, search = row.querySelector(".twist").search) {
    const isOpen = row.getAttribute("aria-expanded") === "true";
    const twist = row.querySelector(".twist");
    if (row.dataset.node && row.dataset.kind !== "root" && (this.table.dataset.path || Number(row.ariaLevel) >= DEEPEST_EXPANDED)) {
      location.assign(isOpen ? location.pathname : twist.href); // a page of its own shows what is further down
      return;
    }
    row.setAttribute("aria-expanded", String(!isOpen));
    if (isOpen) this.#opened.delete(row.id);
    else this.#opened.set(row.id, search);
    if (row.dataset.kind === "root") this.table.classList.toggle("is-folded", isOpen);
    else if (isOpen) fold(row);
    else await fill(row, this.table.dataset.address + search);
    if (isOpen) this.prepare();
  }

  // Turns a page: below its row, or of the whole tree.
  #turn(row, search, event) {
    if (this.table.dataset.path && !search.includes("run=")) return; // a page of its own
    event.preventDefault();
    const owner = ownerOf(row);
    if (owner) {
      this.#opened.set(owner.id, search);
      turn(owner, this.table.dataset.address + search);
    } else this.load(this.table.dataset.address + search);
  }

  // The query string of what is shown, without a question mark.
  get query() {
    return this.table.dataset.selection;
  }

  // Scrolls a node's row into view. If it is not on the page, fetches the page that has it, unless `isWanted` says that
  // another node is wanted meanwhile.
  async reveal(node, isWanted = () => true) {
    const rowOf = () => document.getElementById(`node-${node}`);
    if (!rowOf()?.offsetParent) {
      this.table.classList.remove("is-folded");
      if (!rowOf()) await this.load(`${this.table.dataset.address}?${this.query}&around=${node}`);
      if (!isWanted()) return;
    }
    const row = rowOf();
    if (!row) return;
    this.#enter(row);
    await scrollToRow(row);
  }

  // Fetches the tree and restores the expanded rows, including those expanded during the request.
  async load(address) {
    for (const row of this.table.querySelectorAll(":is(.folder > [data-kind], .run)[aria-expanded='true']")) {
      if (!this.#opened.has(row.id)) this.#opened.set(row.id, row.querySelector(".twist").search);
    }
    await htmx.ajax("GET", address, { source: this.container, target: this.container, swap: "innerHTML" });
    for (const [id, search] of this.#opened) {
      const row = document.getElementById(id);
      if (row?.getAttribute("aria-expanded") === "false") await this.toggle(row, search);
    }
  }
}
