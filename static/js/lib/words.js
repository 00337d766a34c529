// Localisation: gettext and ngettext come from Django's JavaScript catalogue, which loads before any module.
export const language = document.documentElement.lang || "en";

// Created once: creating a formatter takes longer than formatting a hundred numbers.
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

// Fills values into a translated text: fill(gettext("%(done)s of %(total)s"), { done, total }).
export const fill = (text, values) => interpolate(text, values, true);
