// Says what went wrong with a request that has no other place to say it.
import { fill } from "./words.js";

const SHOWN_FOR = 10_000;

const TEXTS = {
  0: gettext("Canopy could not be reached. Nothing was changed; try again when the line is back."),
  403: gettext("Not allowed: changing a batch takes the operator role. If you are an operator, reload the page and try again."),
  404: gettext("This is not there any more. Reload the page to see what is."),
  429: gettext("Too many attempts. Wait a little, then try again."),
};

export function toast(text) {
  const note = document.createElement("p");
  note.className = "notice error";
  note.append(Object.assign(document.createElement("span"), { textContent: text }));
  document.getElementById("toasts").append(note);
  setTimeout(() => note.remove(), SHOWN_FOR);
}

export const toastFor = (status) =>
  toast(TEXTS[status] ?? fill(gettext("The server answered with an error (%(status)s). Its log says why; trying again is safe."), { status }));
