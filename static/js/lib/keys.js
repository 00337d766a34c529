// Keyboard shortcuts: the key in data-key clicks or focuses its element; "?" lists all shortcuts of the page.
const ROWS = ".tree tr[tabindex], [data-row]";
const TYPING = "input:not([type='checkbox'], [type='radio']), textarea, select, [contenteditable]";

// What a closed menu holds can be pressed all the same.
function isShown(element) {
  const menu = element.closest("details.menu:not([open])");
  const place = menu && !element.closest("[hidden]") ? menu : element;
  return place.checkVisibility({ visibilityProperty: true }) && !element.disabled;
}

const targetOf = (key) => [...document.querySelectorAll(`[data-key="${CSS.escape(key)}"]`)].find(isShown);

function press(element) {
  if (element.matches("input, textarea, select, [data-enter]")) {
    element.focus();
    element.scrollIntoView({ block: "nearest" });
  } else {
    element.click();
    if (element.matches("summary")) element.focus();
  }
}

// The row after or before the focused one; with no focused row, the one in the tab order.
function move(step) {
  const rows = [...document.querySelectorAll(ROWS)].filter(isShown);
  const place = rows.indexOf(document.activeElement.closest(ROWS));
  const first = Math.max(0, rows.findIndex((row) => row.tabIndex === 0));
  rows[place < 0 ? first : Math.max(0, Math.min(rows.length - 1, place + step))]?.focus();
}

function help() {
  const dialog = document.getElementById("key-help");
  const list = dialog.querySelector("[data-page-keys]");
  const named = [...document.querySelectorAll("[data-key]")].filter(isShown);
  const known = new Map(named.map((element) => [element.dataset.key, element.dataset.keyName ?? element.textContent.trim()]));
  list.replaceChildren(
    ...[...known].flatMap(([key, name]) => {
      const term = document.createElement("dt");
      term.append(Object.assign(document.createElement("kbd"), { textContent: key }));
      return [term, Object.assign(document.createElement("dd"), { textContent: name })];
    }),
  );
  dialog.showModal();
}

document.addEventListener("click", (event) => event.target.closest("[data-show-keys]") && help());

const BUILT_IN = { "?": help, j: () => move(1), k: () => move(-1) };

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.target.matches(TYPING) || document.querySelector("dialog[open]")) return;
  const act = BUILT_IN[event.key];
  const target = act ? null : targetOf(event.key);
  if (!act && !target) return;
  event.preventDefault();
  if (act) act();
  else press(target);
});

// Appearance settings apply immediately; the server saves them.
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-look]");
  if (!button) return;
  document.documentElement.dataset[button.name] = button.value;
  for (const each of button.parentElement.children) each.setAttribute("aria-pressed", String(each === button));
});
