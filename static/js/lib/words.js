// Texts in the reader's language: gettext and ngettext come with the catalogue, which the page loads before any module.
export const language = document.documentElement.lang || "en";

// Made once: a formatter takes longer to make than a hundred numbers to format.
const whole = new Intl.NumberFormat(language);
const decimals = new Map();

export const number = (value) => whole.format(value);

export function decimal(value, digits) {
  if (!decimals.has(digits)) {
    const exactly = { minimumFractionDigits: digits, maximumFractionDigits: digits, useGrouping: false };
    decimals.set(digits, new Intl.NumberFormat(language, exactly));
  }
  return decimals.get(digits).format(value);
}

// Puts values into a text that has been translated: fill(gettext("%(done)s of %(total)s"), { done, total }).
export const fill = (text, values) => interpolate(text, values, true);
