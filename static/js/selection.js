// Which nodes are ticked. Kept by id, so that paging, expanding and filtering lose none.
import { number, setText } from "./format.js";

export class Selection {
  #ids = new Set();
  #last = null;

  constructor(container, form) {
    this.container = container;
    this.form = form;
    container.addEventListener("change", (event) => this.#change(event));
    container.addEventListener("click", (event) => (this.isRange = event.shiftKey));
    container.addEventListener("htmx:afterSwap", () => this.show());
    form.querySelector("[data-clear]").addEventListener("click", () => this.clear());
    form.addEventListener("htmx:configRequest", (event) => (event.detail.parameters.nodes = [...this.#ids]));
    form.addEventListener("htmx:afterRequest", (event) => event.detail.successful && this.clear());
    this.show();
  }

  get #boxes() {
    return [...this.container.querySelectorAll("input[name='nodes']")];
  }

  #change(event) {
    const box = event.target;
    const boxes = this.#boxes;
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

  clear() {
    this.#ids.clear();
    this.show();
  }

  show() {
    const boxes = this.#boxes;
    for (const box of boxes) {
      box.checked = this.#ids.has(box.value);
      box.closest("tr").setAttribute("aria-selected", String(box.checked));
    }
    const all = document.getElementById("pick-all");
    const checked = boxes.filter((box) => box.checked).length;
    all.checked = checked > 0 && checked === boxes.length;
    all.indeterminate = checked > 0 && checked < boxes.length;
    setText(this.form.querySelector("[data-selected]"), number(this.#ids.size));
    this.form.classList.toggle("is-active", this.#ids.size > 0);
  }
}
