// Paints a timeline onto a canvas: its axis, and below that its children in lanes or their number over time.
import { densityOf, tickWords, ticksOf } from "./timeline_layout.js";

export const HEIGHT = 240;
export const AXIS = 24;
const PLACE = 3; // pixels per column of the density chart

// Times since the launch along the top, with a line down from each; a collapsed gap is two strokes.
export function paintAxis(context, axis, colours, height, font) {
  Object.assign(context, { font, textBaseline: "middle" });
  const { step, ticks } = ticksOf(axis);
  const width = context.canvas.clientWidth;
  for (const [x, time] of ticks) {
    context.fillStyle = colours.line;
    context.fillRect(Math.round(x), AXIS - 6, 1, height + 6);
    context.fillStyle = colours.ink;
    const words = tickWords(time, step);
    if (x + 4 + context.measureText(words).width < width) context.fillText(words, x + 4, AXIS / 2);
  }
  context.fillStyle = colours.ink;
  for (const part of axis.parts.slice(1)) {
    context.fillRect(part.x - 9, AXIS, 1, height);
    context.fillRect(part.x - 5, AXIS, 1, height);
  }
}

// Paints a bar for each run, and returns them as [x, y, width, height, position, seconds].
export function paintLanes(context, runs, lanes, axis, colours, thick, statusOf) {
  return runs.map(([start, end, , position], place) => {
    const x = axis.xOf(start);
    const length = Math.max(1, axis.xOf(end) - x);
    const y = AXIS + lanes[place] * thick;
    const high = thick > 2 ? thick - 1 : thick;
    context.fillStyle = colours[statusOf(position)];
    context.fillRect(x, y, length, high);
    return [x, y, Math.max(3, length), high, position, end - start];
  });
}

// Paints how many run in each column, and how many of them failed there.
export function paintDensity(context, runs, axis, colours, width) {
  const places = Math.max(1, Math.floor(width / PLACE));
  const { running, failures } = densityOf(runs, axis, places, width);
  const most = Math.max(1, ...running);
  const worst = Math.max(1, ...failures);
  running.forEach((count, place) => {
    const high = (HEIGHT * count) / most;
    context.fillStyle = colours.completed;
    context.fillRect(place * PLACE, AXIS + HEIGHT - high, PLACE, high);
    const bad = failures[place] ? Math.max(2, (HEIGHT * failures[place]) / worst / 3) : 0;
    context.fillStyle = colours.failed;
    context.fillRect(place * PLACE, AXIS + HEIGHT - bad, PLACE, bad);
  });
}
