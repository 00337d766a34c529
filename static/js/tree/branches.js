// The rows below a row of the tree, fetched where it is: those that follow it and have a higher level.

const FRAMES_TO_SCROLL = 4;
const levelOf = (row) => Number(row.ariaLevel);

function rowsBelow(row) {
  const found = [];
  for (let next = row.nextElementSibling; next && levelOf(next) > levelOf(row); next = next.nextElementSibling) found.push(next);
  return found;
}

export function fold(row) {
  for (const below of rowsBelow(row)) below.remove();
}

// Fetches a page of the rows below one, and puts them there; they are dropped if it was collapsed meanwhile.
export async function fill(row, address) {
  await htmx.ajax("GET", address, { source: row, target: row, swap: "afterend" });
  if (row.getAttribute("aria-expanded") === "false") fold(row);
}

// Removes the rows that a new tree replaces: htmx tells each element of what it replaces that it goes, which takes longer
// than the replacement, and nobody listens. One that has the focus is left to htmx, which returns the focus.
export function clear(table) {
  for (const body of table.tBodies) if (!body.contains(document.activeElement)) body.replaceChildren();
}

// The row below which a pager's row is, if that is in the same place.
export function ownerOf(pager) {
  let owner = pager.previousElementSibling;
  while (owner && levelOf(owner) >= levelOf(pager)) owner = owner.previousElementSibling;
  return owner;
}

// Puts another page in the place of the one that is below a row.
export function turn(owner, address) {
  const isFocused = rowsBelow(owner).some((row) => row.contains(document.activeElement));
  fold(owner);
  if (isFocused) owner.focus({ preventScroll: true });
  return fill(owner, address);
}

// Scrolls a row into view. Rows get their real height once they are near the view: the place is right after some frames.
export async function scrollToRow(row) {
  for (let frame = 0; frame < FRAMES_TO_SCROLL; frame += 1) {
    row.scrollIntoView({ block: "nearest" });
    await new Promise(requestAnimationFrame);
  }
}
