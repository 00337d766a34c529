// The timeline of a batch: when each child ran, in lanes, or the concurrency if there are too many, over an axis of times.
import { serverNow } from "../lib/clock.js";
import { duration, FAILURES, setText, statusLabel } from "../lib/format.js";
import { Cells, STATUSES } from "../map/map_cells.js";
import { axisOf, lanesOf, wordsOf } from "./timeline_layout.js";
import { AXIS, HEIGHT, paintAxis, paintDensity, paintLanes } from "./timeline_paint.js";
import { fill } from "../lib/words.js";

const MOST_LANED = 5_000;
const HIGHEST = 14;
const DRAW_EVERY = 1_000;

export class Timeline {
  #timer = 0;
  #bars = [];

  constructor(root) {
    this.root = root;
    this.cells = new Cells(root.dataset.cells);
    this.since = Date.parse(root.dataset.since);
    this.starts = null;
    this.view = root.querySelector(".timeline-view");
    this.canvas = root.querySelector("canvas");
    this.said = root.querySelector("[data-said]");
    root.addEventListener("click", (event) => this.#click(event));
    this.canvas.addEventListener("pointermove", (event) => this.#point(event));
    new ResizeObserver(() => this.#later()).observe(this.view);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#later());
    new MutationObserver(() => this.#later()).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    this.#load();
  }

  async #load() {
    const [response] = await Promise.all([fetch(this.root.dataset.address), this.cells.load()]);
    if (!response.ok) return setText(this.said, fill(gettext("The server returned an error (%(status)s)."), { status: response.status }));
    this.starts = new Float32Array(await response.arrayBuffer());
    return this.#draw();
  }

  // Applies the deltas of a frame; a child that is new to the page has everything fetched again.
  apply(deltas) {
    if (!this.starts) return;
    for (const { nodes, revision, reload } of deltas) {
      const isKnown = !reload && this.cells.apply(nodes, revision) !== null;
      for (const node of nodes) {
        if (node.kind !== "child" || node.position >= this.starts.length) continue;
        this.starts[node.position] = node.started_at ? (Date.parse(node.started_at) - this.since) / 1000 : NaN;
      }
      if (!isKnown) this.isMissing = true;
    }
    this.#later();
  }

  #later() {
    this.#timer ||= setTimeout(() => {
      this.#timer = 0;
      if (this.isMissing) {
        this.isMissing = false;
        this.#load();
      } else if (this.starts) this.#draw();
    }, DRAW_EVERY);
  }

  // Runs as [start, end, failed, position], ordered by start, in seconds since the launch.
  #runs() {
    const now = (serverNow() - this.since) / 1000;
    const runs = [];
    this.starts.forEach((start, position) => {
      if (Number.isNaN(start) || position >= this.cells.length) return;
      const status = this.cells.statusAt(position);
      const took = this.cells.secondsAt(position) ?? (status === "running" ? Math.max(0, now - start) : 0);
      runs.push([start, start + took, FAILURES.split(" ").includes(status), position]);
    });
    return runs.sort((one, other) => one[0] - other[0]);
  }

  // The colours of the style sheet: of the statuses from the legend's swatches, of the axis from the chart.
  get #colours() {
    const of = (element, property) => getComputedStyle(element)[property];
    const swatch = (status) => this.root.querySelector(`.swatch[data-status="${status}"]`);
    const statuses = Object.fromEntries(STATUSES.map((status) => [status, of(swatch(status), "backgroundColor")]));
    return { ...statuses, ground: of(this.view, "backgroundColor"), line: of(this.view, "borderTopColor"), ink: of(this.view, "color") };
  }

  #draw() {
    const width = this.view.clientWidth;
    const runs = this.#runs();
    const isSlowest = this.root.dataset.order === "slowest";
    const colours = this.#colours;
    const axis = axisOf(runs, width);
    this.#bars = [];
    let height = HEIGHT;
    let paint = (context) => paintDensity(context, runs, axis, colours, width);
    if (isSlowest || runs.length <= MOST_LANED) {
      const shown = isSlowest ? runs.toSorted((one, other) => other[1] - other[0] - (one[1] - one[0])).slice(0, HEIGHT / 6) : runs;
      const lanes = isSlowest ? shown.map((_, place) => place) : lanesOf(shown);
      const most = lanes.reduce((all, lane) => Math.max(all, lane + 1), 1);
      const thick = Math.max(1, Math.min(HIGHEST, Math.floor(HEIGHT / most)));
      height = Math.max(HEIGHT, most * thick);
      paint = (context) => {
        const statusOf = (position) => this.cells.statusAt(position);
        this.#bars = paintLanes(context, shown, lanes, axis, colours, thick, statusOf);
      };
    }
    const context = this.#sized(width, height + AXIS);
    context.fillStyle = colours.ground;
    context.fillRect(0, 0, width, height + AXIS);
    paintAxis(context, axis, colours, height, getComputedStyle(this.said).font);
    paint(context);
    setText(this.said, wordsOf(runs, axis));
  }

  #sized(width, height) {
    const scale = devicePixelRatio;
    Object.assign(this.canvas, { width: width * scale, height: height * scale });
    Object.assign(this.canvas.style, { width: `${width}px`, height: `${height}px` });
    const context = this.canvas.getContext("2d", { alpha: false });
    context.setTransform(scale, 0, 0, scale, 0, 0);
    return context;
  }

  #barAt(event) {
    return this.#bars.findLast(([x, y, wide, high]) => event.offsetX >= x && event.offsetX <= x + wide && event.offsetY >= y && event.offsetY <= y + high);
  }

  #point(event) {
    const bar = this.#barAt(event);
    this.canvas.title = bar ? `#${bar[4]} · ${statusLabel(this.cells.statusAt(bar[4]))} · ${duration(bar[5])}` : "";
  }

  async #click(event) {
    const button = event.target.closest("[data-order]");
    if (button && button !== this.root) {
      this.root.dataset.order = button.dataset.order;
      for (const each of button.parentElement.children) each.setAttribute("aria-pressed", String(each === button));
      this.#draw();
    }
    const bar = event.target === this.canvas ? this.#barAt(event) : null;
    const cell = bar && (await this.cells.named(bar[4]));
    if (cell) location.assign(cell.url);
  }
}
