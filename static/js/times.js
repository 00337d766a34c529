// Puts times into the reader's own time zone; the server writes UTC for pages without scripts.

const time = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
const dayAndTime = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });

export function showTimes(root) {
  for (const element of root.querySelectorAll("time[data-time]")) {
    const at = new Date(element.dateTime);
    const isToday = at.toDateString() === new Date().toDateString();
    element.textContent = isToday ? time.format(at) : dayAndTime.format(at);
    element.title = `${dayAndTime.format(at)} (${element.dateTime})`;
    element.removeAttribute("data-time");
  }
}
