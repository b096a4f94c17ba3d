// What the search believed: at the moment of an ask, along its way down the tree, and at any time.
// The numbers are those of the search's own arms, played back (beliefs.py).

import { armRow, numberRow } from "./posterior.js";
import { el, short } from "./text.js";

const LEVELS = 12; // of the way down that are shown
const SIBLINGS = 4; // children of a level that are shown

/** The section "how this node was chosen". */
export function chosenBy(model, tree, node) {
  const time = node.asked - 1;
  const path = [];
  for (let at = node.parent; at !== null; at = at.parent) path.unshift(at);
  const shown = path.length <= LEVELS ? path : [...path.slice(0, 3), null, ...path.slice(3 - LEVELS)];
  const parts = shown.map((at) => {
    if (at === null) return el("p", { class: "note" }, `${path.length - LEVELS} levels left out`);
    const next = path[at.depth + 1] ?? null;
    return level(model, tree, at, next, time);
  });
  return [...parts, agentTable(model, tree, node.parent, time, node.agent)];
}

/** The section "what it believes at this node", at the slider's time. */
export function beliefsAt(model, tree, node, time) {
  return [level(model, tree, node, null, time, true), agentTable(model, tree, node, time, null)];
}

/** GEN against CONT at one node, and the best of its children. */
function level(model, tree, at, next, time, only = false) {
  const kind = model.run.search?.arm ?? "beta";
  const name = at.id === 0 ? "At the root" : `At node ${at.id}`;
  const rows = [];
  const told = at.children.filter((child) => tree.stateAt(child, time) === "told");
  if (tree.prior.edge) {
    const busy = at.children.filter((child) => tree.stateAt(child, time) === "pending").length;
    rows.push(numberRow("children", `${told.length}, ${busy} under way`, false));
  } else {
    const weight = tree.belief(`${at.id}:weight`, "weight", time)?.[0] ?? 1;
    const gen = weight < 1 ? `GEN × ${Number(weight.toPrecision(2))}` : "GEN";
    const [widen, deepen] = only ? [false, false] : [next === null, next !== null];
    rows.push(armRow(gen, kind, tree.belief(`${at.id}:gen`, "gen", time), widen));
    if (told.length) {
      rows.push(armRow("CONT", kind, tree.belief(`${at.id}:cont`, "cont", time), deepen));
    }
  }
  for (const child of best(tree, told, next, time)) {
    rows.push(childRow(tree, child, kind, time, child === next));
  }
  const more = told.length > SIBLINGS ? `, ${told.length} children` : "";
  return el("table", { class: "arms" }, el("caption", {}, name + more), el("tbody", {}, rows));
}

/** The child that was taken, and those with the highest means. */
function best(tree, children, next, time) {
  const mean = (child) => {
    if (tree.prior.edge) return tree.belief(`${child.id}:edge`, "edge", time)[0];
    const [a, b, c] = tree.belief(`${child.id}:arm`, "arm", time);
    return c === undefined ? a / (a + b) : a;
  };
  const sorted = [...children].sort((x, y) => mean(y) - mean(x));
  const shown = sorted.slice(0, SIBLINGS);
  if (next && !shown.includes(next)) shown[shown.length - 1] = next;
  return shown;
}

function childRow(tree, child, kind, time, taken) {
  const name = `node ${child.id}`;
  if (!tree.prior.edge) {
    return armRow(name, kind, tree.belief(`${child.id}:arm`, "arm", time), taken);
  }
  const [value, nodes, busy] = tree.belief(`${child.id}:edge`, "edge", time);
  const text = `Q ${short(value)}, ${nodes} nodes below, ${busy} under way`;
  return numberRow(name, text, taken);
}

/** Whom it could ask, and whom it did. */
function agentTable(model, tree, at, time, taken) {
  const choice = model.run.search?.agent_choice;
  const kind = model.run.search?.arm ?? "beta";
  const rows = model.agents.flatMap((agent) => {
    const key = choice === "node" ? `${at.id}:@${agent}` : `@${agent}`;
    const numbers = tree.belief(key, `@${agent}`, time);
    if (!numbers) return [];
    if (choice !== "ucb1") return [armRow(agent, kind, numbers, agent === taken)];
    const [score, mean, pulls] = numbers;
    const text = `score ${short(score)}: mean ${short(mean)} of ${pulls}, with those under way`;
    return [numberRow(agent, text, agent === taken)];
  });
  if (!rows.length) return null;
  return el("table", { class: "arms" }, el("caption", {}, "Agents"), el("tbody", {}, rows));
}
