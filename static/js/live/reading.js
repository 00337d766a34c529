// Progress of an input that is read while its batch runs, which workflow's task fails, and why a batch is held, in the
// same words as dashboard/templatetags/canopy.py and dashboard/models/statuses.py.
import { fill, number } from "../lib/words.js";

const GATE = ["No child starts until an operator approves.", gettext("No child starts until an operator approves.")];
const FAILED = /^([\d,]+) of ([\d,]+) children failed(?:, ([\d,]+) tolerated)?\.$/;

export function heldWords(reason) {
  const said = FAILED.exec(reason);
  if (!said) return reason === GATE[0] ? GATE[1] : reason;
  const [failed, total, tolerated] = said.slice(1).map((part) => Number((part ?? "").replaceAll(",", "")));
  const words = said[3]
    ? ngettext("%(failed)s of %(total)s child failed, %(tolerated)s tolerated.", "%(failed)s of %(total)s children failed, %(tolerated)s tolerated.", total)
    : ngettext("%(failed)s of %(total)s child failed.", "%(failed)s of %(total)s children failed.", total);
  return fill(words, { failed: number(failed), total: number(total), tolerated: number(tolerated) });
}

export function blockedWords(blocked) {
  const words = ngettext(
    "The workflow task of %(workflow_type)s keeps failing: %(workflow_id)s.",
    "The workflow tasks of %(number)s workflows keep failing; the first: %(workflow_type)s, %(workflow_id)s.",
    blocked.workflows,
  );
  return fill(words, { ...blocked, number: number(blocked.workflows) });
}

export function readingWords(reading) {
  if (!reading) return "";
  const values = { items: number(reading.items), line: reading.line, reason: reading.reason };
  const words = [];
  if (!reading.is_last) {
    const progress = reading.is_open
      ? ngettext("Reading the input: %(items)s item so far.", "Reading the input: %(items)s items so far.", reading.items)
      : ngettext("Input only partly read: %(items)s item.", "Input only partly read: %(items)s items.", reading.items);
    words.push(fill(progress, values));
  }
  if (reading.left_out) {
    const leftOut = ngettext(
      "%(number)s invalid row left out: line %(line)s: %(reason)s",
      "%(number)s invalid rows left out; the first: line %(line)s: %(reason)s",
      reading.left_out,
    );
    words.push(fill(leftOut, { ...values, number: number(reading.left_out) }));
  }
  return words.join(" ");
}
