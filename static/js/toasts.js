// Says what went wrong with a request that has no other place to say it.

const SHOWN_FOR = 10_000;

const TEXTS = {
  0: "Canopy could not be reached. Nothing was changed; try again when the line is back.",
  403: "Not allowed: changing a batch takes the operator role. If you are an operator, reload the page and try again.",
  404: "This is not there any more. Reload the page to see what is.",
  429: "Too many attempts. Wait a little, then try again.",
};

export function toast(text) {
  const note = document.createElement("p");
  note.className = "notice error";
  note.append(Object.assign(document.createElement("span"), { textContent: text }));
  document.getElementById("toasts").append(note);
  setTimeout(() => note.remove(), SHOWN_FOR);
}

export const toastFor = (status) =>
  toast(TEXTS[status] ?? `The server answered with an error (${status}). Its log says why; trying again is safe.`);
