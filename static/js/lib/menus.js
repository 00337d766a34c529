// Menus are details elements: Escape and a click elsewhere close them, arrow keys move within.
const MENU = "details.menu[open]";
const ITEMS = "a[href], button, summary, input";

const itemsOf = (menu) => [...menu.querySelectorAll(`:scope > :not(summary) :is(${ITEMS})`)].filter((each) => each.checkVisibility());

document.addEventListener("click", (event) => {
  const inside = event.target.closest(MENU);
  const isChosen = inside?.querySelector(".menu-list")?.contains(event.target) && event.target.closest(ITEMS);
  for (const menu of document.querySelectorAll(MENU)) if (menu !== inside || isChosen) menu.open = false;
});

document.addEventListener("keydown", (event) => {
  const menu = event.target.closest?.(MENU) ?? document.querySelector(MENU);
  if (!menu || document.querySelector("dialog[open]")) return;
  if (event.key === "Escape") {
    menu.open = false;
    menu.querySelector("summary").focus();
    event.stopImmediatePropagation();
    return;
  }
  const step = menu.contains(event.target) ? { ArrowDown: 1, ArrowUp: -1 }[event.key] : 0;
  if (!step || event.target.matches("input, select, textarea")) return;
  event.preventDefault();
  const items = itemsOf(menu);
  const place = items.indexOf(event.target);
  items[place < 0 ? (step > 0 ? 0 : items.length - 1) : (place + step + items.length) % items.length]?.focus();
});

// Where the navigation or tabs scroll, the current one is in view.
for (const current of document.querySelectorAll(":is(.topbar nav, .tabs, .status-tabs) [aria-current]")) {
  const row = current.parentElement;
  if (row.scrollWidth > row.clientWidth) row.scrollLeft = current.offsetLeft - row.offsetLeft - (row.clientWidth - current.offsetWidth) / 2;
}
