// The tab with the tree: deltas update map and rows, and offer rows that are not shown; keyboard, selection and pane.
import { showDurations } from "../lib/clock.js";
import { number, statusLabel, sum } from "../lib/format.js";
import { showState } from "../live/counts.js";
import { BatchMap } from "../map/map.js";
import { MapMarks } from "../map/map_marks.js";
import { Pane } from "./pane.js";
import { Selection } from "./selection.js";
import { applyNode, News } from "./tree_rows.js";
import { TreeGrid } from "./treegrid.js";

// Kinds of nodes that can appear while a batch runs: their rows are fetched from the server.
const GROWN = new Set(["rollback", "stage", "step", "service", "pool_worker", "entity", "gate", "parent"]);

export class TreeTab {
  constructor(batch, tree) {
    const form = document.getElementById("retry-selected");
    const map = document.getElementById("map");
    this.batch = batch;
    this.tree = tree;
    this.state = null;
    this.grid = new TreeGrid(tree);
    this.pane = new Pane(batch.dataset.home, this.grid);
    this.find = document.querySelector("#find input");
    this.selected = form ? new Selection(tree, form) : null;
    this.map = map ? new BatchMap(map, (span, counts) => this.#showBrush(span, counts)) : null;
    if (this.map) new MapMarks(this.map, tree);
    this.news = new News(this.filter);
    batch.addEventListener("click", (event) => this.#filterBy(event));
    tree.addEventListener("click", (event) => this.#click(event));
    tree.addEventListener("htmx:afterSwap", (event) => this.#swapped(event));
  }

  get selection() {
    return this.grid.table.dataset.selection;
  }

  get filter() {
    return new URLSearchParams(this.selection).get("status") ?? "";
  }

  // Applies the deltas of a frame; `newest` is the batch's state after them, null if there is none.
  apply(deltas, newest) {
    const changed = new Set();
    let isReload = false;
    for (const delta of deltas) {
      this.map?.apply(delta);
      this.root = delta.nodes.find((node) => node.kind === "root") ?? this.root;
      for (const node of delta.nodes) {
        const hasRow = applyNode(node);
        this.news.note(node, hasRow);
        isReload ||= !hasRow && GROWN.has(node.kind) && !this.selection;
        if (node.revision > delta.since) changed.add(node.id); // the root always comes along
      }
      isReload ||= delta.reload;
    }
    if (newest) {
      isReload ||= this.state?.partitions < newest.partitions && !this.selection;
      isReload ||= newest.watched && this.state?.children.total !== newest.children.total && !this.selection;
      this.state = newest;
      showDurations(document, changed);
      this.news.show(statusLabel(this.filter));
      this.pane.changed(changed);
    }
    const { page } = this.grid.table.dataset;
    if (isReload) this.grid.load(this.#addressOf() + (page > 1 ? `&page=${page}` : ""));
  }

  #addressOf(query = this.selection) {
    const path = this.grid.table.dataset.path;
    return `${this.batch.dataset.home}nodes/?${!query && path ? `open=${path}&whole=1` : query}`;
  }

  // A click on a segment of the bar, or on a count below it, filters the tree as its chip does.
  #filterBy(event) {
    const status = event.target.closest("[data-filter]")?.dataset.filter ?? event.target.closest("[data-filters] rect")?.classList[0];
    if (!status || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.tree.querySelector(`.chip[data-status="${status}"]`).click();
    this.tree.scrollIntoView({ block: "start" });
  }

  #click(event) {
    if (event.target.closest(".chip[href]")) this.find.value = "";
    if (!event.target.closest("#news")) return;
    // In a partitioned tree the failures are not on the first page: filter by them.
    const isParted = !this.filter && this.tree.querySelector("tr:is([data-kind='partition'], [data-kind='stage'], [data-kind='parent'])");
    const query = isParted ? `status=${this.news.status}` : this.selection;
    const { home } = this.batch.dataset;
    if (location.pathname === home) history.replaceState(null, "", query ? `?${query}` : home);
    this.grid.load(this.#addressOf(query));
  }

  #swapped(event) {
    if (event.target === this.tree) this.news = new News(this.filter);
    if (this.state) showState(this.tree, this.state);
    if (this.root) applyNode(this.root); // fetched rows may be newer than the page: the root's numbers are the header's
    this.pane.mark();
    showDurations();
  }

  #showBrush(span, counts) {
    const some = Object.entries(counts ?? {}).filter(([, count]) => count);
    const words = some.map(([status, count]) => `${number(count)} ${statusLabel(status).toLowerCase()}`).join(", ");
    this.selected?.choose(span ? `span=${span.join("-")}` : "", sum(counts ?? {}, Object.keys(counts ?? {}).join(" ")), words);
  }
}
