// Timeline layout: lanes of children that ran one after another, or concurrency over time. Independent of the canvas.
import { duration, number } from "../lib/format.js";
import { decimal, fill } from "../lib/words.js";

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

const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 43_200, 86_400];
const APART = 88; // pixels between two ticks, at least

// The ticks of an axis as [x, time], at multiples of a step that a person counts in.
export function ticksOf({ parts }) {
  const scale = parts[0]?.scale ?? 1;
  const days = Math.ceil(APART / scale / 86_400) * 86_400;
  const step = STEPS.find((each) => each * scale >= APART) ?? days;
  const ticks = [];
  for (const { start, end, x } of parts) {
    for (let time = Math.ceil(start / step) * step; time <= end; time += step) ticks.push([x + (time - start) * scale, time]);
  }
  return { step, ticks };
}

// A time since the launch, no more exact than the step: 0 s, 1.5 s, 2 m, 1 h 30 m.
export function tickWords(time, step) {
  if (step < 1) return `${decimal(time, 1)} s`;
  if (time < 0) return `−${tickWords(-time, step)}`; // the clock of the host that ran it is behind
  const whole = Math.round(time);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const parts = [hours && `${number(hours)} h`, minutes && `${minutes} m`, rest && `${rest} s`].filter(Boolean);
  return parts.join(" ") || "0 s";
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
