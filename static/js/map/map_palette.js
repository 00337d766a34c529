// The colours of a map as RGB, read from the legend's swatches so that the style sheet defines them.
import { STATUSES } from "./map_cells.js";

const FADED = 0.15;
const SHADES = 64;

const mix = (from, to, share) => from.map((part, place) => Math.round(part + (to[place] - part) * share));
const colourOf = (element) => getComputedStyle(element).backgroundColor.match(/[\d.]+/g).slice(0, 3).map(Number);

export const css = ([red, green, blue]) => `rgb(${red} ${green} ${blue})`;

export class Palette {
  constructor(view) {
    const map = view.closest(".map");
    this.ground = colourOf(view);
    this.ink = getComputedStyle(view).color;
    this.statuses = STATUSES.map((status) => colourOf(map.querySelector(`.swatch[data-status="${status}"]`)));
    const stops = [...map.querySelectorAll(".ramp i")].map(colourOf);
    this.shades = Array.from({ length: SHADES }, (_, place) => {
      const at = (place / (SHADES - 1)) * (stops.length - 1);
      const from = Math.min(Math.floor(at), stops.length - 2);
      return mix(stops[from], stops[from + 1], at - from);
    });
    this.fades = new Map([...this.statuses, ...this.shades].map((colour) => [colour, mix(this.ground, colour, FADED)]));
  }

  // The colour for a duration, from 0 (short) to 1 (long).
  shade(share) {
    return this.shades[Math.round(Math.max(0, Math.min(1, share)) * (SHADES - 1))];
  }

  faded = (colour) => this.fades.get(colour);
}
