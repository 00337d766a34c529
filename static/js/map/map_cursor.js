// The cursor of a map, for mouse, touch and keyboard: shows a hint for one cell, or selects a range of cells.
import { duration, FAILURES, setText, statusLabel } from "../lib/format.js";
import { STATUSES } from "./map_cells.js";

const FAILED = new Set(FAILURES.split(" ").map((status) => STATUSES.indexOf(status)));

export class MapCursor {
  #from = -1;
  #anchor = -1;

  constructor(map) {
    const { view } = map;
    this.map = map;
    this.hint = map.root.querySelector(".map-hint");
    view.addEventListener("pointermove", (event) => this.#point(event));
    view.addEventListener("pointerleave", () => this.at(-1));
    view.addEventListener("pointerdown", (event) => this.#press(event));
    view.addEventListener("pointerup", (event) => this.#release(event));
    view.addEventListener("keydown", (event) => this.#key(event));
    view.addEventListener("blur", () => this.at(-1));
  }

  #cellOf(event) {
    const box = this.map.drawing.canvas.getBoundingClientRect();
    return this.map.drawing.cellAt(event.clientX - box.left, event.clientY - box.top);
  }

  #point(event) {
    const position = this.#cellOf(event);
    if (this.#from >= 0 && position >= 0 && position !== this.#from) this.map.select(this.#from, position);
    this.at(position);
  }

  #press(event) {
    if (event.button !== 0) return;
    this.#from = this.#cellOf(event);
    if (event.pointerType === "mouse") this.map.view.setPointerCapture(event.pointerId);
  }

  #release(event) {
    const position = this.#cellOf(event);
    if (this.#from >= 0 && position === this.#from) {
      this.map.select();
      this.#open(position);
    }
    this.#from = -1;
  }

  async #open(position) {
    const cell = await this.map.cells.named(position);
    if (cell) htmx.ajax("GET", cell.url, { source: "#pane", target: "#pane", swap: "innerHTML" })?.catch(() => null);
  }

  // Shows what is known of a cell immediately, and adds its key once fetched.
  async at(position) {
    const { drawing, cells } = this.map;
    if (position === drawing.cursor) return;
    drawing.cursor = position;
    drawing.draw();
    this.hint.hidden = position < 0 || !cells.statusAt(position);
    if (this.hint.hidden) return;
    this.#tell(position, "");
    const cell = await cells.named(position);
    if (this.map.drawing.cursor === position && cell) this.#tell(position, cell.key);
  }

  #tell(position, key) {
    const { drawing, cells, view } = this.map;
    const seconds = cells.secondsAt(position);
    const words = [`${key} #${position + 1}`.trim(), statusLabel(cells.statusAt(position)), seconds === null ? "" : duration(seconds)];
    setText(this.hint, words.filter(Boolean).join(" · "));
    const [x, y] = drawing.placeOf(position);
    const left = Math.max(0, Math.min(x, view.clientWidth - this.hint.offsetWidth));
    Object.assign(this.hint.style, { left: `${left}px`, top: `${y + view.offsetTop + drawing.size + 6}px` });
  }

  #key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const { drawing, cells, root } = this.map;
    const { cursor, columns, rows } = drawing;
    const to = event.key === "n" ? this.#nextFailure(cursor) : this.#target(event.key, cursor, columns, rows);
    if (event.key === "Enter" && cursor >= 0) this.#open(cursor);
    else if (event.key === "Escape" && drawing.brush) this.map.select();
    else if (event.key === "+" || event.key === "-") root.querySelector(`button[data-zoom="${event.key}1"]`).click();
    else if (to < 0) return;
    event.preventDefault();
    event.stopPropagation();
    if (to < 0 || to >= cells.length) return;
    if (!event.shiftKey) this.#anchor = to;
    else this.map.select(Math.max(0, this.#anchor), to);
    drawing.reveal(to);
    this.at(to);
  }

  // The cell that a key moves to, or -1 if the key does not move the cursor.
  #target(key, cursor, columns, rows) {
    const last = this.map.cells.length - 1;
    const page = columns * Math.max(1, Math.floor(rows / 4));
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, PageDown: page, PageUp: -page, Home: -last, End: last };
    if (!(key in steps)) return -1;
    return cursor < 0 ? 0 : Math.max(0, Math.min(last, cursor + steps[key]));
  }

  #nextFailure(from) {
    const { cells } = this.map;
    for (let step = 1; step <= cells.length; step += 1) {
      const position = (from + step) % cells.length;
      if (FAILED.has(cells.statuses[position])) return position;
    }
    return -1;
  }
}
