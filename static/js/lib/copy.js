// Copies the text of an element, or the address if it is a link; if the browser forbids that, selects the text so that
// it can be copied by hand.
import { setText } from "./format.js";

const SAID_FOR = 1_500;

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  const word = button.querySelector("span");
  button.dataset.word ??= word.textContent;
  try {
    await navigator.clipboard.writeText(source.href ?? source.textContent);
    button.classList.add("is-copied");
    setText(word, gettext("Copied"));
    setTimeout(() => {
      button.classList.remove("is-copied");
      setText(word, button.dataset.word);
    }, SAID_FOR);
  } catch {
    const fold = source.closest("details");
    if (fold) fold.open = true;
    getSelection().selectAllChildren(source);
  }
});
