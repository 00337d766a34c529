// The definition editor: line numbers, links from errors to their line, and loading a file into the editor.
const text = document.getElementById("id_text");
const gutter = document.getElementById("gutter");
const file = document.getElementById("id_file");

function number() {
  const lines = text.value.split("\n").length;
  while (gutter.children.length > lines) gutter.lastElementChild.remove();
  if (gutter.children.length === lines) return;
  const missing = Array.from({ length: lines - gutter.children.length }, () => document.createElement("li"));
  gutter.append(...missing);
}

function markErrors() {
  for (const line of gutter.querySelectorAll(".is-wrong")) line.classList.remove("is-wrong");
  const errors = document.querySelectorAll("#preview [data-line]");
  for (const error of errors) gutter.children[error.dataset.line - 1]?.classList.add("is-wrong");
  text.closest(".field").classList.toggle("has-error", errors.length > 0);
  text.setAttribute("aria-invalid", String(errors.length > 0));
}

function follow() {
  gutter.scrollTop = text.scrollTop;
}

function goTo(line, column) {
  const before = text.value.split("\n").slice(0, line - 1);
  const start = before.reduce((length, each) => length + each.length + 1, 0);
  const end = text.value.indexOf("\n", start);
  text.focus();
  text.setSelectionRange(Math.min(start + column - 1, text.value.length), end < 0 ? text.value.length : end);
  text.scrollTop = (line - 4) * parseFloat(getComputedStyle(text).lineHeight);
  text.scrollLeft = 0;
}

async function take(chosen) {
  let content;
  try {
    content = new TextDecoder("utf-8", { fatal: true }).decode(await chosen.arrayBuffer());
  } catch {
    return; // not a text file: it stays selected, and the server rejects it
  }
  text.value = content;
  file.value = "";
  text.dispatchEvent(new Event("input", { bubbles: true }));
}

text.addEventListener("input", number);
text.addEventListener("scroll", follow);
file.addEventListener("change", () => file.files[0] && take(file.files[0]));
document.addEventListener("htmx:afterSwap", markErrors);
document.addEventListener("click", (event) => {
  const error = event.target.closest("#preview [data-line]");
  if (!error) return;
  event.preventDefault();
  goTo(Number(error.dataset.line), Number(error.dataset.column));
});

number();
markErrors();
