// Keeps one WebSocket open: reconnects with backoff and jitter, detects a silent connection, closes it on a hidden tab.

const SILENCE = 12_000;
const LONGEST_PAUSE = 5_000;
const LOGGED_OUT = 4401;
const RIGHTS_CHANGED = 4403;
const UNKNOWN = 4404;
const RESTARTS = 1012;
const RESTART_WITHIN = 5_000;
const JITTER = 500;

export class Connection {
  // address() is called for each attempt, so that it can carry the newest revision. onState(state, since, late) receives
  // "live", "restarting" (the server said that it is), "lost" (since: the time of the last message), "resting" or "ended";
  // late is since when the server only polls for changes, or null. staysAwake() returns whether to stay connected on a hidden tab.
  constructor({ address, onMessage, onState, staysAwake = () => false }) {
    Object.assign(this, { address, onMessage, onState, staysAwake, tries: 0, socket: null, timer: 0, state: "", late: null });
    this.heard = Date.now();
    setInterval(() => this.#watch(), 1_000);
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#rest() : this.#wake()));
    window.addEventListener("online", () => this.open());
    window.addEventListener("offline", () => this.#lose());
    if (!document.hidden) this.open();
  }

  open() {
    if (this.state === "ended") return;
    this.#drop();
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}${this.address()}`);
    this.socket = socket;
    this.opened = Date.now();
    socket.onmessage = (event) => {
      if (socket !== this.socket) return;
      this.heard = Date.now();
      this.tries = 0;
      const message = JSON.parse(event.data);
      this.#tell("live", "late_since" in message ? message.late_since : this.late);
      this.onMessage(message);
    };
    socket.onclose = (event) => {
      if (socket !== this.socket) return;
      if (event.code === LOGGED_OUT || event.code === RIGHTS_CHANGED) location.reload();
      else if (event.code === UNKNOWN) this.#tell("ended");
      else this.#lose(event.code === RESTARTS);
    };
  }

  // A server that restarts leaves others, or is back in a moment: nothing is stale yet, and nothing is waited for but that
  // not all pages come at once.
  #lose(restarts = false) {
    this.#drop();
    if (document.hidden && !this.staysAwake()) return;
    if (restarts) this.restarted = Date.now();
    const isRestarting = Date.now() - (this.restarted ?? 0) < RESTART_WITHIN;
    this.#tell(isRestarting ? "restarting" : "lost");
    const pause = Math.min(LONGEST_PAUSE, 500 * 2 ** this.tries++) * (0.5 + Math.random() / 2);
    this.timer = setTimeout(() => this.open(), restarts ? JITTER * Math.random() : pause);
  }

  #wake() {
    if (this.state !== "live" || !this.socket) this.open();
  }

  #rest() {
    if (this.staysAwake()) return;
    this.#drop();
    if (this.state === "live") this.#tell("resting");
  }

  #watch() {
    const word = Math.max(this.heard, this.opened ?? 0);
    if (this.socket && Date.now() - word > SILENCE) this.#lose();
  }

  #drop() {
    clearTimeout(this.timer);
    const socket = this.socket;
    this.socket = null;
    socket?.close();
  }

  #tell(state, late = null) {
    if (state === this.state && late === this.late) return;
    Object.assign(this, { state, late });
    this.onState(state, new Date(this.heard), late && new Date(late));
  }
}

// Batches messages: delivers them together once per animation frame, or once a second on a hidden tab; a delta that comes
// in parts as a whole, so that all that is painted in a frame is of one revision.
export function perFrame(apply) {
  let waiting = [];
  let isPlanned = false;
  return (message) => {
    waiting.push(message);
    if (isPlanned || message.more) return;
    isPlanned = true;
    const later = document.hidden ? (act) => setTimeout(act, 1_000) : requestAnimationFrame;
    later(() => {
      isPlanned = false;
      const whole = waiting.findLastIndex((each) => !each.more) + 1;
      apply(waiting.splice(0, whole));
    });
  };
}
