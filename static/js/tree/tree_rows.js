// Applies the nodes of a delta to the visible rows. Rows never move.
import { drawBar } from "../live/counts.js";
import { doneOf, errorLine, FAILURES, folderWords, number, setStatus, setText } from "../lib/format.js";
import { fill } from "../lib/words.js";

const field = (row, name) => row.querySelector(`[data-field="${name}"]`);

export function applyNode(node) {
  const row = document.getElementById(`node-${node.id}`);
  if (!row || row.dataset.kind !== node.kind) return false;
  if (row.dataset.status !== node.status) mark(row);
  row.dataset.status = node.status;
  row.dataset.attempt = node.attempt;
  row.dataset.started = node.started_at ?? "";
  row.dataset.closed = node.closed_at ?? "";
  setStatus(row.querySelector(".status"), node.status, node.children);
  setText(field(row, "attempt"), node.attempt ? number(node.attempt) : "–");
  if (node.children && node.kind !== "root") {
    if (node.kind === "stage" && node.note) setText(field(row, "note"), node.note);
    drawBar(row, node.tally);
    setText(field(row, "tally"), folderWords(node.tally));
  } else {
    if (node.kind === "child" && node.length) {
      setText(field(row, "items"), doneOf(node.items.completed + node.items.failed, node.length));
    }
    const tally = node.kind === "root" ? folderWords(node.children) : "";
    setText(field(row, "error"), errorLine(node.error) || node.note || tally);
    field(row, "error").title = errorLine(node.error);
  }
  return true;
}

// Highlights a changed row briefly; the rows of one delta fade together.
const MARKED_FOR = 900;
let marked = null;

function mark(row) {
  row.classList.add("has-changed");
  if (marked) return marked.push(row);
  marked = [row];
  return queueMicrotask(() => {
    const rows = marked;
    marked = null;
    setTimeout(() => rows.forEach((each) => each.classList.remove("has-changed")), MARKED_FOR);
  });
}

// Children that reached the filtered status but have no row on the page.
export class News {
  #unseen = new Map();

  constructor(filter) {
    this.statuses = filter ? [filter] : FAILURES.split(" ");
    this.isFailure = !filter || FAILURES.split(" ").includes(filter);
  }

  note(node, hasRow) {
    if (node.kind !== "child") return;
    if (this.statuses.includes(node.status) && !hasRow) this.#unseen.set(node.id, node.status);
    else this.#unseen.delete(node.id);
  }

  get status() {
    return this.#unseen.values().next().value;
  }

  show(label) {
    const chip = document.getElementById("news");
    const count = this.#unseen.size;
    chip.hidden = !count;
    if (!count) return;
    const words = this.isFailure
      ? ngettext("%(number)s new failure", "%(number)s new failures", count)
      : gettext("%(number)s more %(status)s");
    setText(chip, `↑ ${fill(words, { number: number(count), status: label.toLowerCase() })}`);
  }
}
