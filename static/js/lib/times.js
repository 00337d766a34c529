// Shows times in the reader's time zone; the server renders UTC for pages without scripts.

import { language } from "./words.js";

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

export function showTimes(root) {
  root.querySelectorAll("time[data-time]").forEach(show);
}

// Sets, replaces or removes the time shown in an element.
export function showTime(place, at) {
  if (!at || place.firstElementChild?.dateTime === at) return;
  const element = document.createElement("time");
  element.dateTime = at;
  show(element);
  place.replaceChildren(element);
}
