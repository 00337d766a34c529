// How far an input is that is read while its batch runs; the same words as dashboard/templatetags/canopy.py says.
import { fill, number } from "../lib/words.js";

export function readingWords(reading) {
  if (!reading) return "";
  const values = { items: number(reading.items), line: reading.line, reason: reading.reason };
  const words = [];
  if (!reading.is_last) {
    const soFar = gettext("The input is read while it runs: %(items)s items so far.");
    words.push(fill(reading.is_open ? soFar : gettext("The input was not read to its end: %(items)s items were."), values));
  }
  if (reading.left_out) {
    const leftOut = ngettext(
      "%(number)s bad row was left out: line %(line)s: %(reason)s",
      "%(number)s bad rows were left out; the first: line %(line)s: %(reason)s",
      reading.left_out,
    );
    words.push(fill(leftOut, { ...values, number: number(reading.left_out) }));
  }
  return words.join(" ");
}
