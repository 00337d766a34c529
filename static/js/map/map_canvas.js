// Draws the cells of a map: one square each, in stable order, row by row. Does layout and drawing, no event handling.
import { EMPTY, STATUSES } from "./map_cells.js";
import { css, Palette } from "./map_palette.js";
import { Pixels } from "./map_pixels.js";

const LARGEST = 16;
const LARGEST_IN_STRIP = 32;
const STRIP = 64; // pixels high, as in map.css
const MANY = 2_000; // cells: from here on redrawing all is faster than drawing single ones
const SMALLEST_FRAMED = 5; // pixels: smaller cells get neither a gap nor a mark
// Marks distinguish statuses without colour: lines with start and end as fractions of a cell.
const MARKS = {
  failed: [[0.25, 0.25, 0.75, 0.75], [0.25, 0.75, 0.75, 0.25]],
  timed_out: [[0.5, 0.2, 0.5, 0.55], [0.5, 0.55, 0.75, 0.55]],
  terminated: [[0.25, 0.5, 0.75, 0.5]],
  canceled: [[0.25, 0.75, 0.75, 0.25]],
  running: [[0.5, 0.35, 0.5, 0.65]],
};

export class MapCanvas {
  zoom = 1;
  only = null;
  isHeat = false;
  cursor = -1;
  brush = null;
  marks = new Set(); // positions of the children whose rows are in view

  constructor(view, cells) {
    this.view = view;
    this.map = view.closest(".map");
    this.cells = cells;
    this.space = view.querySelector(".map-space");
    this.canvas = view.querySelector("canvas");
    this.context = this.canvas.getContext("2d", { alpha: false });
    this.pixels = new Pixels();
    this.palette = new Palette(view);
  }

  layOut() {
    const width = this.view.clientWidth;
    const isStrip = this.map.classList.contains("is-strip");
    const most = isStrip ? STRIP : Math.max(120, Math.min(320, innerHeight * 0.45));
    const largest = isStrip ? LARGEST_IN_STRIP : LARGEST;
    const number = Math.max(1, this.cells.length);
    let size = Math.max(1, Math.min(largest, Math.floor(Math.sqrt((width * most) / number))));
    while (size > 1 && Math.ceil(number / Math.floor(width / size)) * size > most) size -= 1;
    this.size = isStrip ? size : Math.min(Math.max(LARGEST, size), size * this.zoom);
    this.columns = Math.max(1, Math.floor(width / this.size));
    this.rows = Math.ceil(number / this.columns);
    const height = Math.min(this.rows * this.size, Math.ceil(most));
    this.space.style.height = `${this.rows * this.size}px`;
    this.view.style.height = isStrip ? "" : `${height}px`;
    const scale = devicePixelRatio;
    Object.assign(this.canvas, { width: width * scale, height: height * scale });
    Object.assign(this.canvas.style, { width: `${width}px`, height: `${height}px` });
    this.context.setTransform(scale, 0, 0, scale, 0, 0);
    [this.coolest, this.hottest] = this.isHeat ? this.cells.quantiles([0.01, 0.99]) : [0, 0];
    this.draw();
  }

  get first() {
    return Math.floor(this.view.scrollTop / this.size) * this.columns;
  }

  get last() {
    const rows = Math.ceil(this.view.clientHeight / this.size) + 1;
    return Math.min(this.cells.length, this.first + rows * this.columns) - 1;
  }

  colourOf(position) {
    const code = this.cells.statuses[position];
    if (code === EMPTY) return this.palette.ground;
    let colour = this.palette.statuses[code];
    if (this.isHeat) {
      const duration = this.cells.durations[position];
      const share = (duration - this.coolest) / Math.max(1, this.hottest - this.coolest);
      colour = duration ? this.palette.shade(share) : this.palette.statuses[0];
    }
    const isOut = (this.only && this.only !== STATUSES[code]) || (this.brush && (position < this.brush[0] || position > this.brush[1]));
    return isOut ? this.palette.faded(colour) : colour;
  }

  draw() {
    this.context.fillStyle = css(this.palette.ground);
    this.context.fillRect(0, 0, this.view.clientWidth, this.view.clientHeight);
    if (this.size < SMALLEST_FRAMED) this.#drawSmall();
    else for (let { first: position, last } = this; position <= last; position += 1) this.#drawCell(position);
    this.#drawCursor();
  }

  // Redraws the given cells that are in view.
  drawSome(positions) {
    if (positions.length > MANY) return this.draw();
    if (this.size < SMALLEST_FRAMED) {
      this.#drawSmall(positions);
      return this.#drawCursor();
    }
    const { first, last } = this; // read once: each read forces a layout
    for (const position of positions) if (position >= first && position <= last) this.#drawCell(position);
    return this.#drawCursor();
  }

  #drawSmall(positions = null) {
    const { first, last, columns, size } = this;
    const top = (first / columns) * size - this.view.scrollTop;
    const colourOf = (position) => this.colourOf(position);
    this.pixels.draw(this.context, { first, last, columns, size, top, colourOf }, positions);
  }

  #drawCell(position) {
    const [x, y] = this.placeOf(position);
    const { context } = this;
    const inner = this.size - 1;
    context.fillStyle = css(this.colourOf(position));
    context.fillRect(x, y, inner, inner);
    const marks = this.isHeat ? null : MARKS[this.cells.statusAt(position)];
    if (!marks || inner < 6) return;
    context.strokeStyle = css(this.palette.ground);
    context.lineWidth = Math.max(1, inner / 9);
    context.beginPath();
    for (const [fromX, fromY, toX, toY] of marks) {
      context.moveTo(x + fromX * inner, y + fromY * inner);
      context.lineTo(x + toX * inner, y + toY * inner);
    }
    context.stroke();
  }

  #drawMarks() {
    const { first, last, size } = this;
    const inner = size - 1;
    for (const position of this.marks) {
      if (position < first || position > last) continue;
      const [x, y] = this.placeOf(position);
      this.context.fillStyle = this.context.strokeStyle = this.palette.ink;
      this.context.lineWidth = 1;
      if (size < SMALLEST_FRAMED) this.context.strokeRect(x - 1.5, y - 1.5, size + 3, size + 3);
      else this.context.fillRect(x, y + inner - 2, inner, 2);
    }
  }

  #drawCursor() {
    this.#drawMarks();
    if (this.cursor < 0 || this.cursor < this.first || this.cursor > this.last) return;
    const [x, y] = this.placeOf(this.cursor);
    const edge = this.size < SMALLEST_FRAMED ? 3 : 1;
    this.context.strokeStyle = this.palette.ink;
    this.context.lineWidth = 2;
    this.context.strokeRect(x - edge, y - edge, this.size - 1 + 2 * edge, this.size - 1 + 2 * edge);
  }

  placeOf(position) {
    return [(position % this.columns) * this.size, Math.floor(position / this.columns) * this.size - this.view.scrollTop];
  }

  cellAt(x, y) {
    const column = Math.floor(x / this.size);
    const position = Math.floor((y + this.view.scrollTop) / this.size) * this.columns + column;
    return column >= 0 && column < this.columns && position >= 0 && position < this.cells.length ? position : -1;
  }

  reveal(position) {
    const top = Math.floor(position / this.columns) * this.size;
    const { scrollTop, clientHeight } = this.view;
    if (top < scrollTop) this.view.scrollTop = top;
    else if (top + this.size > scrollTop + clientHeight) this.view.scrollTop = top + this.size - clientHeight;
  }
}
