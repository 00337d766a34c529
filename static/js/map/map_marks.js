// Tells the map which children have their rows in view: the tree's viewport.

const COVERED = "-160px 0px 0px 0px"; // by what sticks to the upper edge

export class MapMarks {
  #inView = new Set();
  #isDrawing = false;

  constructor(map, tree) {
    this.map = map;
    this.tree = tree;
    this.observer = new IntersectionObserver((entries) => this.#see(entries), { rootMargin: COVERED });
    tree.addEventListener("htmx:afterSwap", () => this.#observe());
    this.#observe();
  }

  #observe() {
    this.observer.disconnect();
    this.#inView.clear();
    for (const row of this.tree.querySelectorAll("tr[data-position]")) this.observer.observe(row);
    this.#show();
  }

  #see(entries) {
    for (const { isIntersecting, target } of entries) {
      this.#inView[isIntersecting ? "add" : "delete"](Number(target.dataset.position));
    }
    this.#show();
  }

  #show() {
    if (this.#isDrawing) return;
    this.#isDrawing = true;
    requestAnimationFrame(() => {
      this.#isDrawing = false;
      this.map.mark(this.#inView);
    });
  }
}
