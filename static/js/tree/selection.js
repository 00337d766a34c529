// The selection: ticked nodes, kept by id so that it survives paging and filtering, or everything a query matches.
import { number, setText } from "../lib/format.js";

export class Selection {
  #ids = new Set();
  #last = null;
  #query = "";
  #number = 0;

  constructor(container, form) {
    this.container = container;
    this.form = form;
    this.all = form.querySelector("[data-all]");
    container.addEventListener("change", (event) => this.#change(event));
    container.addEventListener("click", (event) => (this.isRange = event.shiftKey));
    container.addEventListener("htmx:afterSwap", () => this.show());
    form.querySelector("[data-clear]").addEventListener("click", () => this.choose(""));
    this.all.addEventListener("click", () => this.#chooseAll());
    form.addEventListener("htmx:configRequest", (event) => {
      if (!this.#query) event.detail.parameters.nodes = [...this.#ids];
    });
    form.addEventListener("htmx:afterRequest", (event) => event.detail.successful && this.choose(""));
    this.show();
  }

  get #boxes() {
    return [...this.container.querySelectorAll("input[name='nodes']")];
  }

  get #table() {
    return this.container.querySelector(".tree");
  }

  // Selects everything a query matches, visible or not, described by `words`. Without a query, clears the selection.
  choose(query, count = 0, words = "") {
    this.#ids.clear();
    this.#query = query;
    this.#number = count;
    this.show(words);
  }

  // Selects everything in the filtered tree; in the unfiltered tree, everything below the root.
  #chooseAll() {
    const { selection, total } = this.#table.dataset;
    this.choose(selection, Number(total));
    if (selection) return;
    this.#ids.add(this.#table.querySelector("tr[data-kind='root']").dataset.node);
    this.show();
  }

  #change(event) {
    const box = event.target;
    const boxes = this.#boxes;
    this.#query = "";
    this.#number = 0;
    if (box.id === "pick-all") boxes.forEach((each) => this.#set(each, box.checked));
    else if (box.name === "nodes") {
      const from = boxes.indexOf(this.#last);
      const to = boxes.indexOf(box);
      const isRange = this.isRange && from >= 0;
      const range = isRange ? boxes.slice(Math.min(from, to), Math.max(from, to) + 1) : [box];
      range.forEach((each) => this.#set(each, box.checked));
      this.#last = box;
    } else return;
    this.show();
  }

  #set(box, isChecked) {
    if (isChecked) this.#ids.add(box.value);
    else this.#ids.delete(box.value);
  }

  show(words = "") {
    const boxes = this.#boxes;
    for (const box of boxes) {
      box.checked = this.#ids.has(box.value);
      box.closest("tr").setAttribute("aria-selected", String(box.checked));
    }
    const all = document.getElementById("pick-all");
    const checked = boxes.filter((box) => box.checked).length;
    const count = this.#number || this.#ids.size;
    const total = Number(this.#table.dataset.total);
    all.checked = checked > 0 && checked === boxes.length;
    all.indeterminate = checked > 0 && checked < boxes.length;
    this.form.elements.selection.value = this.#query;
    this.all.hidden = !all.checked || total <= count;
    setText(this.all.querySelector("b"), number(total));
    setText(this.form.querySelector("[data-selected]"), number(count));
    setText(this.form.querySelector("[data-of-those]"), words && `: ${words}`);
    this.form.classList.toggle("is-active", count > 0);
  }
}
