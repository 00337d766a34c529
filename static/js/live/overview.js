// The head of a batch page: rate, time left, what the batch waits for, and activity, updated by each delta.
import { seconds, serverNow, setHalts } from "../lib/clock.js";
import { showState } from "./counts.js";
import { CLOSED, duration, FAILURES, number, setText, statusLabel, sum } from "../lib/format.js";
import { announce } from "./live_state.js";
import { blockedWords, heldWords, readingWords } from "./reading.js";
import { showTime } from "../lib/times.js";
import { decimal, fill } from "../lib/words.js";

const STORY_EVERY = 10_000;
const MINUTE = 60;
const HEIGHT = 20;

export class Overview {
  state = null;
  #refreshedAt = Date.now();

  constructor(batch) {
    this.batch = batch;
    this.spark = document.getElementById("spark");
    this.samples = JSON.parse(this.spark.dataset.samples);
    this.told = ["story", "slowest", "reports"];
    this.#draw();
  }

  #field = (name) => this.batch.querySelector(`[data-field="${name}"]`);

  show(now) {
    const { batch, state } = this;
    const hasTurned = !state || ["status", "paused", "window", "moments"].some((key) => state[key] !== now[key]);
    this.state = now;
    batch.dataset.opened = now.opened_at ?? "";
    batch.dataset.closed = now.closed_at ?? "";
    setHalts(now.halts);
    showState(batch, now);
    setText(this.#field("rate"), now.rate ? fill(now.watched ? gettext("%(rate)s children/s") : gettext("%(rate)s items/s"), { rate: decimal(now.rate, 1) }) : "–");
    setText(this.#field("eta"), now.eta === null ? "–" : `≈ ${duration(now.eta)}`);
    setText(this.#field("eta_range"), now.eta_range ? fill(gettext("%(least)s to %(most)s"), { least: duration(now.eta_range[0]), most: duration(now.eta_range[1]) }) : "");
    setText(this.#field("start_error"), now.start_error);
    document.getElementById("start-error").hidden = !now.start_error;
    setText(this.#field("reading"), readingWords(now.reading));
    document.getElementById("reading").hidden = !now.reading;
    batch.dataset.held = now.held?.kind ?? "";
    setText(this.#field("held_reason"), heldWords(now.held?.reason ?? ""));
    showTime(this.#field("held_until"), now.held?.until);
    this.#showBlocked(now.blocked);
    this.#showLost(now.lost);
    for (const element of batch.querySelectorAll("[data-field='window']")) {
      if (element.tagName !== "INPUT") setText(element, number(now.window));
      else if (element !== document.activeElement) element.value = now.window;
    }
    this.#sample(now);
    this.#tell(hasTurned);
    const { total } = now.children;
    setText(this.#field("children"), fill(ngettext("%(number)s child:", "%(number)s children:", total), { number: number(total) }));
    const said = ngettext(
      "%(status)s. %(finished)s of %(total)s child finished, %(failed)s failed.",
      "%(status)s. %(finished)s of %(total)s children finished, %(failed)s failed.",
      total,
    );
    const numbers = { finished: number(sum(now.children, CLOSED)), total: number(total), failed: number(sum(now.children, FAILURES)) };
    announce(fill(said, { status: statusLabel(now.status), ...numbers }));
  }

  #showBlocked(blocked) {
    document.getElementById("blocked").hidden = !blocked;
    if (!blocked) return;
    setText(this.#field("blocked_what"), blockedWords(blocked));
    setText(this.#field("blocked_reason"), blocked.reason);
    showTime(this.#field("blocked_since"), blocked.since);
  }

  #showLost(lost) {
    document.getElementById("parted").hidden = !lost;
    if (!lost) return;
    for (const name of ["items", "children", "workflows"]) setText(this.#field(`lost_${name}`), number(lost[name]));
    showTime(this.#field("lost_since"), lost.since);
  }

  // Fetches what the tab tells of the batch again: when it changes state, and periodically for the slow children.
  #tell(hasTurned) {
    if (!hasTurned && Date.now() - this.#refreshedAt < STORY_EVERY) return;
    this.refresh();
  }

  refresh() {
    this.#refreshedAt = Date.now();
    for (const id of this.told) if (document.getElementById(id)) htmx.trigger(`#${id}`, "canopy:story");
  }

  showElapsed() {
    const { opened, closed } = this.batch.dataset;
    const elapsed = seconds({ started: opened, closed });
    setText(this.#field("elapsed"), elapsed === null ? "–" : duration(elapsed));
    if (opened && !closed) this.#tell(false); // what is held or waits sends no delta, and its time line goes on
    this.#draw();
  }

  #sample(now) {
    const second = Math.floor(serverNow() / 1000);
    const done = now.watched ? sum(now.children, CLOSED) : now.items.completed + now.items.failed;
    const last = this.samples.at(-1);
    if (last && done < last[1]) this.samples = [];
    this.samples = this.samples.filter(([at], place, all) => at !== second && (at > second - MINUTE || all[place + 1]?.[0] > second - MINUTE));
    this.samples.push([second, done]);
    this.#draw();
  }

  // Sparkline of the last minute: one point per second, scaled to the maximum rate.
  #draw() {
    const second = Math.floor(serverNow() / 1000);
    const rates = new Array(MINUTE).fill(0);
    this.samples.forEach(([at, done], place) => {
      const [before, was] = this.samples[place - 1] ?? [at, done];
      const from = Math.max(before + 1, second - MINUTE + 1);
      for (let each = from; each <= Math.min(at, second); each += 1) rates[each - second + MINUTE - 1] = (done - was) / (at - before);
    });
    const most = Math.max(...rates) || 1;
    const points = rates.map((rate, place) => `L${place} ${(HEIGHT - (HEIGHT - 1) * (rate / most)).toFixed(1)}`).join("");
    const path = this.spark.querySelector("path") ?? this.spark.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "path"));
    path.setAttribute("d", `M0 ${HEIGHT}${points}L${MINUTE - 1} ${HEIGHT}Z`);
    this.spark.classList.toggle("is-empty", !rates.some(Boolean));
  }
}
