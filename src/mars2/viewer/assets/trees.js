// The list of trees on the left, with its search.

import { el } from "./text.js";

const LISTED = 300; // entries that are made; more are found by searching

export class TreeList {
  #box;
  #search;
  #shown = [];
  #current = null;

  /** Calls `pick(tree)` when one is chosen. */
  constructor(box, search, model, pick) {
    this.#box = box;
    this.#search = search;
    this.model = model;
    search.addEventListener("input", () => this.refresh());
    search.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && this.#shown.length) pick(this.#shown[0]);
      if (event.key === "ArrowDown") box.focus();
    });
    box.addEventListener("click", (event) => {
      const entry = event.target.closest("[data-tree]");
      if (entry) pick(model.trees[Number(entry.dataset.tree)]);
    });
    box.addEventListener("keydown", (event) => {
      const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!by) return;
      event.preventDefault();
      event.stopPropagation();
      const next = this.neighbour(by);
      if (next) pick(next);
    });
  }

  /** The tree so many places further in what is listed, or null. */
  neighbour(by) {
    return this.#shown[this.#shown.indexOf(this.#current) + by] ?? null;
  }

  /** The first one that is listed; of an evaluation, the first of the team. */
  get first() {
    return this.#shown[0] ?? null;
  }

  select(tree) {
    this.#current = tree;
    this.refresh();
  }

  /** Lists the trees again: there are more, they have grown, or others are searched for. */
  refresh() {
    const wanted = this.#search.value.trim().toLowerCase().split(/\s+/);
    const fits = (tree) => {
      const text = `${tree.group} ${tree.id} ${tree.title ?? ""} ${tree.difficulty ?? ""}`.toLowerCase();
      return wanted.every((word) => text.includes(word));
    };
    const groups = new Map();
    for (const tree of this.model.trees) {
      if (!tree || !fits(tree)) continue;
      if (!groups.has(tree.group)) groups.set(tree.group, []);
      groups.get(tree.group).push(tree);
    }
    // Trees of the team first: those of independent attempts are less to look at.
    const alone = (name) => name.endsWith(" alone");
    const names = [...groups.keys()].sort((a, b) => alone(a) - alone(b));
    this.#shown = names.flatMap((name) => groups.get(name));
    const parts = [];
    let left = LISTED;
    for (const name of names) {
      const trees = groups.get(name).slice(0, left);
      if (!trees.length) break;
      left -= trees.length;
      const title = name ? [el("h3", { role: "presentation" }, name)] : [];
      const label = name || "trees";
      const entries = trees.map((t) => this.#entry(t));
      parts.push(el("div", { role: "group", "aria-label": label }, title, entries));
    }
    if (this.#shown.length > LISTED) {
      const more = this.#shown.length - LISTED;
      parts.push(el("p", { class: "note" }, `${more} more; search for them`));
    }
    if (!parts.length) parts.push(el("p", { class: "note" }, "No tree is called that."));
    this.#box.replaceChildren(...parts);
    const current = this.#box.querySelector('[aria-selected="true"]');
    if (current) {
      this.#box.setAttribute("aria-activedescendant", current.id);
      current.scrollIntoView({ block: "nearest" });
    } else this.#box.removeAttribute("aria-activedescendant");
  }

  #entry(tree) {
    const selected = tree === this.#current;
    const solved = tree.result.passed ? tree.result.passed.length > 0 : tree.result.any_passed;
    const end = solved === undefined ? tree.best >= 1 : solved;
    const name = tree.title ? `${tree.problem}: ${tree.title}` : (tree.problem ?? tree.id);
    const said = end ? (solved === undefined ? "best reward 1" : "solved") : "not solved";
    return el(
      "div",
      {
        role: "option",
        id: `tree-${tree.number}`,
        "data-tree": tree.number,
        "aria-selected": String(selected),
        title: `${tree.id}: ${tree.told} nodes, ${said}`,
      },
      el("span", { class: end ? "yes" : "no", "aria-label": said }, end ? "✓" : "·"),
      el("span", { class: "name" }, name),
      el("span", { class: "number" }, String(tree.told)),
    );
  }
}
