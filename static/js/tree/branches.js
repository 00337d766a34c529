// The rows below a row of the tree, fetched where it is: those that follow it and have a higher level.

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

// Puts another page in the place of the one that ends with a pager's row. Returns null if it is not below a row.
export function turn(pager, address) {
  const isFocused = pager.contains(document.activeElement);
  let owner = pager.previousElementSibling;
  while (owner && levelOf(owner) >= levelOf(pager)) owner = owner.previousElementSibling;
  if (!owner) return null;
  fold(owner);
  if (isFocused) owner.focus({ preventScroll: true });
  return fill(owner, address);
}
