// Tells of a batch through the browser's notifications, for as long as its page is open, also in another tab: when it
// begins to fail, is held, or has ended.
import { FAILURES, number, statusLabel, sum } from "../lib/format.js";
import { fill } from "../lib/words.js";

const OPEN = new Set(["pending", "running", "paused"]);

export class Notifier {
  #before = null;

  constructor(button, name) {
    this.button = button;
    this.name = name;
    this.kept = `notify ${location.pathname}`;
    button.hidden = !("Notification" in window);
    button.addEventListener("click", () => this.#toggle());
    if (sessionStorage.getItem(this.kept) && Notification.permission === "granted") this.#show(true);
  }

  get isOn() {
    return this.button.getAttribute("aria-pressed") === "true";
  }

  async #toggle() {
    if (this.isOn) return this.#show(false);
    const answer = await Notification.requestPermission();
    if (answer === "granted") return this.#show(true);
    this.button.title = gettext("This browser does not allow it: see the settings of this site.");
    return undefined;
  }

  #show(isOn) {
    this.button.setAttribute("aria-pressed", String(isOn));
    if (isOn) sessionStorage.setItem(this.kept, "on");
    else sessionStorage.removeItem(this.kept);
  }

  // Looks at each state of the batch, and tells what has turned since the one before.
  see(batch) {
    const before = this.#before;
    this.#before = batch;
    if (!before || !this.isOn) return;
    const failed = sum(batch.children, FAILURES);
    const begins = failed > 0 && sum(before.children, FAILURES) === 0;
    const turns = batch.status !== before.status && !OPEN.has(batch.status);
    if (!begins && !turns) return;
    const of = fill(gettext("%(failed)s of %(total)s children failed"), { failed: number(failed), total: number(batch.children.total) });
    const said = new Notification(this.name, { body: `${statusLabel(batch.status)}: ${of}`, tag: location.pathname });
    said.onclick = () => window.focus();
  }
}
