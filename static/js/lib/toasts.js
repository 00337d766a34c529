// Shows the error of a failed request that has no place of its own on the page.
import { fill } from "./words.js";

const SHOWN_FOR = 10_000;

const TEXTS = {
  0: gettext("Can't reach Canopy. Nothing was changed; try again once the connection is back."),
  403: gettext("Not allowed: this needs the operator role. If you are an operator, reload the page and try again."),
  404: gettext("This no longer exists. Reload the page to see the current state."),
  413: gettext("This is too large. Nothing was changed; send less at once, or choose a file."),
  429: gettext("Too many requests. Wait a moment, then try again."),
};

export function toast(text) {
  const note = document.createElement("p");
  note.className = "notice error";
  note.append(Object.assign(document.createElement("span"), { textContent: text }));
  document.getElementById("toasts").append(note);
  setTimeout(() => note.remove(), SHOWN_FOR);
}

export const toastFor = (status) =>
  toast(TEXTS[status] ?? fill(gettext("The server returned an error (%(status)s). See its log for the cause; it is safe to try again."), { status }));
