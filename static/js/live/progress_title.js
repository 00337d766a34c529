// The page's title and icon say how its batch fares, for whoever looks at another tab.
import { FAILURES, number, percent, statusWords, sum } from "../lib/format.js";
import { fill } from "../lib/words.js";
import { failuresOf } from "./counts.js";

const AROUND = 2 * Math.PI * 6;
const COLOURS = { completed: "#157a48", held: "#ad4f09", paused: "#8a6100" };
const STOPPED = new Set(["failed", "completed_with_failures", "timed_out", "terminated"]);

export class ProgressTitle {
  #shown = "";

  constructor(name) {
    this.name = name;
    this.product = document.title.split(" · ").at(-1);
    this.icon = document.querySelector("link[rel='icon']");
  }

  show(state) {
    const counts = state.progress;
    const share = counts.completed / (counts.total || 1);
    const failed = failuresOf(state);
    const words = [state.status === "running" ? percent(share) : statusWords(state.status, state.children)];
    if (failed) words.push(fill(gettext("%(number)s failed"), { number: number(failed) }));
    document.title = `${words.join(" · ")} – ${this.name} · ${this.product}`;
    const bad = sum(counts, FAILURES) / (counts.total || 1);
    const key = `${state.status} ${share.toFixed(2)} ${Math.ceil(20 * bad)}`;
    if (key !== this.#shown) this.icon.href = `data:image/svg+xml,${encodeURIComponent(this.#drawn(state, share, bad))}`;
    this.#shown = key;
  }

  // A ring that fills up, with what failed in red; full in its colour once the batch has ended.
  #drawn({ status }, share, bad) {
    const colour = STOPPED.has(status) ? "#c3242d" : (COLOURS[status] ?? "#1c62c7");
    const ring = (part, from, stroke) =>
      `<circle cx="8" cy="8" r="6" fill="none" stroke="${stroke}" stroke-width="4" stroke-dasharray="${(AROUND * part).toFixed(1)} ${AROUND.toFixed(1)}" stroke-dashoffset="${(-AROUND * from).toFixed(1)}" transform="rotate(-90 8 8)"/>`;
    const red = bad ? Math.max(bad, 0.06) : 0;
    return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">${ring(1, 0, "#b9c2bc")}${ring(share, 0, colour)}${red ? ring(red, Math.min(share, 1 - red), "#c3242d") : ""}</svg>`;
  }
}
