// The cells of a map: status and duration of each child by position, as encoded by dashboard/queries/batch_map.py.

export const STATUSES = ["pending", "running", "completed", "failed", "canceled", "terminated", "timed_out", "skipped", "scheduled"];
export const EMPTY = 255;
const STEPS = 4_000;
export const secondsOf = (code) => (10 ** ((code - 1) / STEPS) - 1) / 1000;
const REVISION = "X-Canopy-Revision";
const CELLS_AT_ONCE = 250;

const codeOf = new Map(STATUSES.map((status, code) => [status, code]));

function durationCode({ started_at: started, closed_at: closed }) {
  if (!started || !closed) return 0;
  return Math.min(1 + Math.round(STEPS * Math.log10(1 + Math.max(0, Date.parse(closed) - Date.parse(started)))), 0xffff);
}

export class Cells {
  statuses = new Uint8Array(0);
  durations = new Uint16Array(0);
  counts = new Array(STATUSES.length).fill(0);
  revision = -1;
  #named = new Map();
  #early = [];

  constructor(address) {
    this.address = address;
  }

  get length() {
    return this.statuses.length;
  }

  async load() {
    const response = await fetch(this.address);
    if (!response.ok) throw new Error(`The map answered with ${response.status}.`);
    const content = await response.arrayBuffer();
    const number = content.byteLength / 3;
    this.statuses = new Uint8Array(content.slice(0, number));
    this.durations = new Uint16Array(content.slice(number));
    this.revision = Number(response.headers.get(REVISION));
    this.counts.fill(0);
    for (const code of this.statuses) if (code !== EMPTY) this.counts[code] += 1;
    for (const { nodes, revision } of this.#early.splice(0)) this.apply(nodes, revision);
  }

  // Applies a delta and returns the changed positions, or null when the map has to be loaded again.
  apply(nodes, revision) {
    if (this.revision < 0) {
      this.#early.push({ nodes, revision });
      return [];
    }
    if (revision <= this.revision) return [];
    const changed = [];
    for (const node of nodes) {
      if (node.kind !== "child") continue;
      if (node.position >= this.length) return null;
      const code = codeOf.get(node.status);
      const before = this.statuses[node.position];
      if (before !== EMPTY) this.counts[before] -= 1;
      this.counts[code] += 1;
      this.statuses[node.position] = code;
      this.durations[node.position] = durationCode(node);
      changed.push(node.position);
    }
    return changed;
  }

  statusAt = (position) => STATUSES[this.statuses[position]];

  secondsAt(position) {
    const code = this.durations[position];
    return code ? secondsOf(code) : null;
  }

  // Returns a cell's key and address; fetches them together with its neighbours' when they are not cached.
  async named(position) {
    const first = Math.floor(position / CELLS_AT_ONCE) * CELLS_AT_ONCE;
    if (!this.#named.has(first)) {
      const query = `?span=${first}-${first + CELLS_AT_ONCE - 1}`;
      this.#named.set(first, fetch(`${this.address}cells/${query}`).then((response) => response.json()));
    }
    try {
      const { cells } = await this.#named.get(first);
      return cells.find((cell) => cell.position === position);
    } catch {
      this.#named.delete(first);
      return undefined;
    }
  }

  // Quantiles of all known durations, as codes: quantiles([0.01, 0.5]).
  quantiles(shares) {
    const known = this.durations.filter((code) => code).sort();
    return shares.map((share) => known[Math.min(known.length - 1, Math.floor(share * known.length))] ?? 0);
  }

  countsBetween(first, last) {
    const counts = new Array(STATUSES.length).fill(0);
    for (let position = first; position <= last; position += 1) {
      if (this.statuses[position] !== EMPTY) counts[this.statuses[position]] += 1;
    }
    return Object.fromEntries(STATUSES.map((status, code) => [status, counts[code]]));
  }
}
