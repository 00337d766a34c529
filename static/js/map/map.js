// The map of a batch: one cell per child, updated by deltas, with a legend that filters it, and zoom. The legend's numbers
// are the batch's, shown by live/counts.js with those of the header.
import { duration, setText } from "../lib/format.js";
import { MapCanvas } from "./map_canvas.js";
import { Cells, secondsOf } from "./map_cells.js";
import { MapCursor } from "./map_cursor.js";

const RELOAD_EVERY = 2_000;
const RAMP_EVERY = 500;
const OWN = ":is([data-only], [data-shown], [data-zoom])";
const ZOOMS = [1, 2, 4, 8, 16];

export class BatchMap {
  #changed = [];
  #isDrawing = false;
  #loading = 0;
  #counting = 0;

  // onBrush receives the first and last selected position and the counts by status between them, or nulls.
  constructor(root, onBrush) {
    this.root = root;
    this.onBrush = onBrush;
    this.cells = new Cells(root.dataset.address);
    this.view = root.querySelector(".map-view");
    this.drawing = new MapCanvas(this.view, this.cells);
    this.cursor = new MapCursor(this);
    this.view.addEventListener("scroll", () => this.drawing.draw());
    root.addEventListener("click", (event) => this.#click(event.target.closest(OWN)));
    root.querySelector(".map-size").addEventListener("click", (event) => this.#resize(event.currentTarget));
    new ResizeObserver(() => this.drawing.layOut()).observe(root);
    const repaint = () => requestAnimationFrame(() => this.#repaint());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
    new MutationObserver(repaint).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    this.reload();
  }

  async reload() {
    if (this.#loading) return;
    this.#loading = setTimeout(() => (this.#loading = 0), RELOAD_EVERY);
    try {
      await this.cells.load();
      this.root.dataset.state = "ready";
      this.drawing.layOut();
      this.#showRamp();
    } catch {
      this.root.dataset.state = "failed"; // the next delta that cannot be applied triggers another attempt
    }
  }

  // Applies a delta; changed cells are drawn once per frame.
  apply(message) {
    const changed = message.reload ? null : this.cells.apply(message.nodes, message.revision);
    if (changed === null) this.reload();
    else this.#changed.push(...changed);
    if (!this.#changed.length || this.#isDrawing) return;
    this.#isDrawing = true;
    requestAnimationFrame(() => {
      this.#isDrawing = false;
      this.drawing.drawSome(this.#changed.splice(0));
    });
    this.#counting ||= setTimeout(() => {
      this.#counting = 0;
      this.#showRamp();
    }, RAMP_EVERY);
  }

  select(one, other) {
    this.drawing.brush = one === undefined ? null : [Math.min(one, other), Math.max(one, other)];
    this.drawing.draw();
    this.onBrush(this.drawing.brush, this.drawing.brush && this.cells.countsBetween(...this.drawing.brush));
  }

  #repaint() {
    const { zoom, only, isHeat, brush, marks } = this.drawing;
    this.drawing = Object.assign(new MapCanvas(this.view, this.cells), { zoom, only, isHeat, brush, marks });
    this.drawing.layOut();
  }

  #showRamp() {
    if (!this.drawing.isHeat) return;
    const texts = this.cells.quantiles([0.01, 0.5, 0.99]).map((code) => (code ? duration(secondsOf(code)) : "–"));
    this.root.querySelectorAll(".ramp b").forEach((element, place) => setText(element, texts[place]));
  }

  // Marks the children whose rows are in view in the tree.
  mark(positions) {
    this.drawing.marks = positions;
    if (this.cells.length) this.drawing.draw();
  }

  // From a strip to full size, and back.
  #resize(button) {
    const isStrip = this.root.classList.toggle("is-strip");
    button.setAttribute("aria-expanded", String(!isStrip));
    this.drawing.layOut();
  }

  #click(button) {
    if (!button) return;
    const { only, shown, zoom } = button.dataset;
    const { drawing } = this;
    if (only) drawing.only = drawing.only === only ? null : only;
    if (shown) drawing.isHeat = shown === "duration";
    if (zoom) drawing.zoom = ZOOMS[Math.max(0, Math.min(ZOOMS.length - 1, ZOOMS.indexOf(drawing.zoom) + Number(zoom)))];
    this.root.classList.toggle("is-heat", drawing.isHeat);
    for (const each of this.root.querySelectorAll(":is([data-only], [data-shown])")) {
      const isOn = each.dataset.only ? each.dataset.only === drawing.only : (each.dataset.shown === "duration") === drawing.isHeat;
      each.setAttribute("aria-pressed", String(isOn));
    }
    this.#showRamp();
    drawing.layOut();
  }
}
