// Sends browser notifications about a batch while its page is open, even in a background tab: when it starts to fail,
// is held, or finishes.
import { FAILURES, number, statusLabel, sum } from "../lib/format.js";
import { fill } from "../lib/words.js";

const OPEN = new Set(["pending", "scheduled", "running", "paused"]);

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
    this.#refuse();
    return undefined;
  }

  // Says beside the button why there are none, until they are allowed.
  #refuse() {
    this.refusal ??= Object.assign(document.createElement("p"), { id: "notify-refused", className: "notice warning small" });
    this.refusal.setAttribute("role", "alert");
    this.refusal.textContent = gettext("Notifications are blocked. Allow them for this site in your browser's settings, then try again.");
    this.button.after(this.refusal);
    const menu = this.button.closest("details");
    if (menu) setTimeout(() => (menu.open = true)); // the click has closed it
    this.button.setAttribute("aria-describedby", this.refusal.id);
  }

  #show(isOn) {
    this.refusal?.remove();
    this.button.removeAttribute("aria-describedby");
    this.button.setAttribute("aria-pressed", String(isOn));
    if (isOn) sessionStorage.setItem(this.kept, "on");
    else sessionStorage.removeItem(this.kept);
  }

  // Compares each state of the batch with the previous one and notifies about what changed.
  see(batch) {
    const before = this.#before;
    this.#before = batch;
    if (!before || !this.isOn) return;
    const failed = sum(batch.children, FAILURES);
    const begins = failed > 0 && sum(before.children, FAILURES) === 0;
    const turns = batch.status !== before.status && !OPEN.has(batch.status);
    if (!begins && !turns) return;
    const { total } = batch.children;
    const of = fill(ngettext("%(failed)s of %(total)s child failed", "%(failed)s of %(total)s children failed", total), { failed: number(failed), total: number(total) });
    const said = new Notification(this.name, { body: `${statusLabel(batch.status)}: ${of}`, tag: location.pathname });
    said.onclick = () => window.focus();
  }
}
