// A map whose cells are too small for gaps: one pixel per cell, scaled up. The pixels are cached, because a delta
// changes only a few of up to 100,000 cells.

export class Pixels {
  #small = document.createElement("canvas");
  #image = null;
  #first = -1;

  // Draws the cells from `first` to `last`; with `positions`, and if the rest is already drawn, only those.
  draw(context, { first, last, columns, size, top, colourOf }, positions = null) {
    const rows = Math.max(1, Math.ceil((last - first + 1) / columns));
    const isKept = positions && this.#first === first && this.#image.width === columns && this.#image.height === rows;
    if (!isKept) {
      Object.assign(this.#small, { width: columns, height: rows });
      this.#image = new ImageData(columns, rows);
      this.#first = first;
    }
    const pixels = new Uint32Array(this.#image.data.buffer);
    const set = (position) => {
      const [red, green, blue] = colourOf(position);
      pixels[position - first] = 0xff000000 | (blue << 16) | (green << 8) | red;
    };
    if (isKept) positions.filter((position) => position >= first && position <= last).forEach(set);
    else for (let position = first; position <= last; position += 1) set(position);
    this.#small.getContext("2d").putImageData(this.#image, 0, 0);
    context.imageSmoothingEnabled = false;
    context.drawImage(this.#small, 0, top, columns * size, rows * size);
  }
}
