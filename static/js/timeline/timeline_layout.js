// Timeline layout: lanes of children that ran one after another, or concurrency over time. Independent of the canvas.
import { duration, number } from "../lib/format.js";
import { fill } from "../lib/words.js";

const GAP = 0.04; // of the total busy time: longer idle gaps are collapsed
const COLLAPSED = 14; // pixels

// Maps times to pixels, with long idle gaps collapsed. `runs` are [start, end], ordered by start.
export function axisOf(runs, width) {
  const busy = [];
  for (const [start, end] of runs) {
    const last = busy.at(-1);
    if (last && start <= last[1]) last[1] = Math.max(last[1], end);
    else busy.push([start, end]);
  }
  const ran = busy.reduce((all, [start, end]) => all + end - start, 0) || 1;
  const pieces = [];
  for (const [start, end] of busy) {
    const last = pieces.at(-1);
    if (last && start - last[1] <= GAP * ran) last[1] = end;
    else pieces.push([start, end]);
  }
  const shown = pieces.reduce((all, [start, end]) => all + end - start, 0) || 1;
  const room = width - COLLAPSED * Math.max(0, pieces.length - 1);
  let x = 0;
  const parts = pieces.map(([start, end]) => {
    const part = { start, end, x, scale: room / shown };
    x += (end - start) * part.scale + COLLAPSED;
    return part;
  });
  return {
    parts,
    xOf(time) {
      const part = parts.findLast((each) => each.start <= time) ?? parts[0];
      return part ? part.x + (Math.min(time, part.end) - part.start) * part.scale : 0;
    },
  };
}

// Assigns each run, in order of start, to the first free lane.
export function lanesOf(runs) {
  const ends = [];
  return runs.map(([start, end]) => {
    let lane = ends.findIndex((free) => free <= start);
    if (lane < 0) lane = ends.length;
    ends[lane] = end;
    return lane;
  });
}

// Counts the running and the failed children in each column of the axis.
export function densityOf(runs, axis, places, width) {
  const changes = new Float64Array(places + 1);
  const failures = new Uint32Array(places);
  const placeOf = (time) => Math.max(0, Math.min(places - 1, Math.floor((axis.xOf(time) / width) * places)));
  for (const [start, end, isFailure] of runs) {
    changes[placeOf(start)] += 1;
    changes[placeOf(end) + 1] -= 1;
    if (isFailure) failures[placeOf(end)] += 1;
  }
  let running = 0;
  return { running: Array.from({ length: places }, (_, place) => (running += changes[place])), failures };
}

// Describes the chart in a sentence.
export function wordsOf(runs, axis) {
  if (!runs.length) return gettext("Nothing has started yet.");
  const whole = runs.reduce((last, [, end]) => Math.max(last, end), 0) - runs[0][0];
  const gaps = axis.parts.length - 1;
  const ran = fill(ngettext("%(number)s child over %(time)s", "%(number)s children over %(time)s", runs.length), {
    number: number(runs.length),
    time: duration(whole),
  });
  const idle = ngettext("%(number)s idle gap collapsed", "%(number)s idle gaps collapsed", gaps);
  return gaps ? `${ran}, ${fill(idle, { number: number(gaps) })}.` : `${ran}.`;
}
