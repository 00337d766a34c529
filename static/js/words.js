// Texts in the reader's language: gettext and ngettext come with the catalogue, which the page loads before any module.
export const language = document.documentElement.lang || "en";

export const number = (value) => value.toLocaleString(language);

export const decimal = (value, digits) =>
  value.toLocaleString(language, { minimumFractionDigits: digits, maximumFractionDigits: digits, useGrouping: false });

// Puts values into a text that has been translated: fill(gettext("%(done)s of %(total)s"), { done, total }).
export const fill = (text, values) => interpolate(text, values, true);
