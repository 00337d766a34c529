// The timeline of a batch: when each child ran, in lanes, or the concurrency if there are too many. Drawn on opening.
import { serverNow } from "../lib/clock.js";
import { duration, FAILURES, setText, statusLabel } from "../lib/format.js";
import { STATUSES } from "../map/map_cells.js";
import { css, Palette } from "../map/map_palette.js";
import { axisOf, densityOf, lanesOf, wordsOf } from "./timeline_layout.js";
import { fill } from "../lib/words.js";

const MOST_LANED = 5_000;
const HIGHEST = 14;
const HEIGHT = 240;
const PLACE = 3; // pixels per column of the density chart
const DRAW_EVERY = 1_000;

export class Timeline {
  #timer = 0;
  #bars = [];

  constructor(root, map) {
    this.root = root;
    this.map = map;
    this.starts = null;
    this.view = root.querySelector(".timeline-view");
    this.canvas = root.querySelector("canvas");
    this.said = root.querySelector("[data-said]");
    root.addEventListener("toggle", () => root.open && this.#open());
    root.addEventListener("click", (event) => this.#click(event));
    this.canvas.addEventListener("pointermove", (event) => this.#point(event));
    new ResizeObserver(() => this.#later()).observe(root);
  }

  async #open() {
    if (this.starts) return this.#draw();
    const response = await fetch(this.root.dataset.address);
    if (!response.ok) return setText(this.said, fill(gettext("The server returned an error (%(status)s)."), { status: response.status }));
    this.starts = new Float32Array(await response.arrayBuffer());
    this.since = Date.parse(this.root.dataset.since);
    return this.#draw();
  }

  // Applies the children of a delta.
  apply(nodes) {
    if (!this.starts) return;
    for (const node of nodes) {
      if (node.kind !== "child" || node.position >= this.starts.length) continue;
      this.starts[node.position] = node.started_at ? (Date.parse(node.started_at) - this.since) / 1000 : NaN;
    }
    this.#later();
  }

  #later() {
    this.#timer ||= setTimeout(() => {
      this.#timer = 0;
      if (this.root.open && this.starts) this.#draw();
    }, DRAW_EVERY);
  }

  // Runs as [start, end, failed, position], ordered by start, in seconds since the launch.
  #runs() {
    const { cells } = this.map;
    const now = (serverNow() - this.since) / 1000;
    const runs = [];
    this.starts.forEach((start, position) => {
      if (Number.isNaN(start) || position >= cells.length) return;
      const status = cells.statusAt(position);
      const took = cells.secondsAt(position) ?? (status === "running" ? Math.max(0, now - start) : 0);
      runs.push([start, start + took, FAILURES.split(" ").includes(status), position]);
    });
    return runs.sort((one, other) => one[0] - other[0]);
  }

  #draw() {
    const width = this.view.clientWidth;
    const runs = this.#runs();
    const isSlowest = this.root.dataset.order === "slowest";
    const palette = new Palette(this.map.view);
    const axis = axisOf(runs, width);
    this.#bars = [];
    let height = HEIGHT;
    let paint = (context) => this.#density(context, runs, axis, palette, width);
    if (isSlowest || runs.length <= MOST_LANED) {
      const shown = isSlowest ? runs.toSorted((one, other) => other[1] - other[0] - (one[1] - one[0])).slice(0, HEIGHT / 6) : runs;
      const lanes = isSlowest ? shown.map((_, place) => place) : lanesOf(shown);
      const most = lanes.reduce((all, lane) => Math.max(all, lane + 1), 1);
      const thick = Math.max(1, Math.min(HIGHEST, Math.floor(HEIGHT / most)));
      height = most * thick;
      paint = (context) => this.#lanes(context, shown, lanes, axis, palette, thick);
    }
    const scale = devicePixelRatio;
    Object.assign(this.canvas, { width: width * scale, height: height * scale });
    Object.assign(this.canvas.style, { width: `${width}px`, height: `${height}px` });
    const context = this.canvas.getContext("2d", { alpha: false });
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.fillStyle = css(palette.ground);
    context.fillRect(0, 0, width, height);
    paint(context);
    context.fillStyle = css(palette.statuses[0]);
    for (const part of axis.parts.slice(1)) context.fillRect(part.x - 8, 0, 2, height);
    setText(this.said, wordsOf(runs, axis));
  }

  #lanes(context, runs, lanes, axis, palette, thick) {
    runs.forEach(([start, end, , position], place) => {
      const x = axis.xOf(start);
      const length = Math.max(1, axis.xOf(end) - x);
      const y = lanes[place] * thick;
      const high = thick > 2 ? thick - 1 : thick;
      context.fillStyle = css(palette.statuses[STATUSES.indexOf(this.map.cells.statusAt(position))]);
      context.fillRect(x, y, length, high);
      this.#bars.push([x, y, Math.max(3, length), high, position, end - start]);
    });
  }

  #density(context, runs, axis, palette, width) {
    const places = Math.max(1, Math.floor(width / PLACE));
    const { running, failures } = densityOf(runs, axis, places, width);
    const most = Math.max(1, ...running);
    const worst = Math.max(1, ...failures);
    running.forEach((count, place) => {
      const high = (HEIGHT * count) / most;
      context.fillStyle = css(palette.statuses[STATUSES.indexOf("completed")]);
      context.fillRect(place * PLACE, HEIGHT - high, PLACE, high);
      const bad = failures[place] ? Math.max(2, (HEIGHT * failures[place]) / worst / 3) : 0;
      context.fillStyle = css(palette.statuses[STATUSES.indexOf("failed")]);
      context.fillRect(place * PLACE, HEIGHT - bad, PLACE, bad);
    });
  }

  #barAt(event) {
    return this.#bars.findLast(([x, y, wide, high]) => event.offsetX >= x && event.offsetX <= x + wide && event.offsetY >= y && event.offsetY <= y + high);
  }

  #point(event) {
    const bar = this.#barAt(event);
    this.canvas.title = bar ? `#${bar[4]} · ${statusLabel(this.map.cells.statusAt(bar[4]))} · ${duration(bar[5])}` : "";
  }

  async #click(event) {
    const button = event.target.closest("[data-order]");
    if (button && button !== this.root) {
      this.root.dataset.order = button.dataset.order;
      for (const each of button.parentElement.children) each.setAttribute("aria-pressed", String(each === button));
      this.#draw();
    }
    const bar = event.target === this.canvas ? this.#barAt(event) : null;
    const cell = bar && (await this.map.cells.named(bar[4]));
    if (cell) htmx.ajax("GET", cell.url, { target: "#pane", swap: "innerHTML" });
  }
}
