// Copies the text of an element; if the browser forbids that, selects the text so that it can be copied by hand.
import { setText } from "./format.js";

const SAID_FOR = 1_500;

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  const word = button.querySelector("span");
  try {
    await navigator.clipboard.writeText(source.textContent);
    setText(word, gettext("Copied"));
    setTimeout(() => setText(word, gettext("Copy")), SAID_FOR);
  } catch {
    source.closest("details").open = true;
    getSelection().selectAllChildren(source);
  }
});
