// Shows times in the reader's time zone; the server renders UTC for pages without scripts.

import { fill, language } from "./words.js";

const region = language === "en" ? "en-GB" : language;
const time = new Intl.DateTimeFormat(region, { timeStyle: "medium" });
const dayAndTime = new Intl.DateTimeFormat(region, { dateStyle: "medium", timeStyle: "medium" });

export const clockTime = (at) => time.format(at);

function show(element) {
  const at = new Date(element.dateTime);
  const isToday = at.toDateString() === new Date().toDateString();
  element.textContent = isToday ? time.format(at) : dayAndTime.format(at);
  element.title = `${dayAndTime.format(at)} (${element.dateTime})`;
  element.removeAttribute("data-time");
}

const AGES = [
  [48 * 3_600, 86_400, gettext("%(number)s d ago")],
  [3_600, 3_600, gettext("%(number)s h ago")],
  [60, 60, gettext("%(number)s min ago")],
  [0, 1, gettext("%(number)s s ago")],
];

function showAge(element) {
  const at = new Date(element.dateTime);
  const seconds = Math.max(0, Math.floor((Date.now() - at) / 1_000));
  const [, unit, words] = AGES.find(([least]) => seconds >= least);
  const text = fill(words, { number: Math.floor(seconds / unit) });
  if (element.textContent !== text) element.textContent = text;
  element.title = `${dayAndTime.format(at)} (${element.dateTime})`;
}

export function showTimes(root) {
  root.querySelectorAll("time[data-time]").forEach(show);
  root.querySelectorAll("time[data-ago]").forEach(showAge);
}

setInterval(() => document.hidden || document.querySelectorAll("time[data-ago]").forEach(showAge), 10_000);

// Sets, replaces or removes the time shown in an element.
export function showTime(place, at) {
  if (!at || place.firstElementChild?.dateTime === at) return;
  const element = document.createElement("time");
  element.dateTime = at;
  show(element);
  place.replaceChildren(element);
}

// The same as an age, which keeps right by itself.
export function showAgo(place, at) {
  if (!at || place.firstElementChild?.dateTime === at) return;
  const element = document.createElement("time");
  element.dateTime = at;
  element.dataset.ago = "";
  showAge(element);
  place.replaceChildren(element);
}
