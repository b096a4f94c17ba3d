// What the marks of a tree mean: its agents, and the signs of nodes.

import { SIGNS, colour, drawNode } from "./marks.js";
import { el, words } from "./text.js";

/** Fills the legend with what occurs in the tree. */
export function legend(box, model, tree) {
  const nodes = tree.ids().slice(1);
  const agents = model.agents.filter((agent) => nodes.some((n) => n.agent === agent));
  const parts = agents.map((agent) => {
    const swatch = el("span", { class: "swatch" });
    swatch.style.background = colour(model.agents, agent);
    return el("span", {}, swatch, ` ${agent}`);
  });
  parts.push(el("span", {}, mark({ square: false, reward: 0 }), " first attempt"));
  parts.push(el("span", {}, mark({ square: true, reward: 0 }), " refinement"));
  parts.push(el("span", {}, mark({ square: false, reward: 0.5 }), " filled by reward"));
  const found = new Set(nodes.map((n) => n.details?.status).filter((s) => s !== undefined));
  const signs = Object.keys(SIGNS).filter((status) => found.has(status));
  for (const status of signs) parts.push(el("span", {}, `${SIGNS[status]} ${words(status)}`));
  if (tree.result.passed?.length) {
    parts.push(el("span", {}, mark({ square: false, reward: 1, all: true }), " passes all tests"));
  }
  if (tree.result.selected) parts.push(el("span", {}, "★ selected"));
  box.replaceChildren(...parts);
}

function mark(look) {
  const canvas = el("canvas", { width: 40, height: 40, class: "mark", "aria-hidden": "true" });
  const style = getComputedStyle(document.documentElement);
  const theme = Object.fromEntries(
    ["ink", "paper", "focus", "good", "star"].map((n) => [n, style.getPropertyValue(`--${n}`).trim()]),
  );
  const filled = { state: "told", colour: theme.ink, sign: "", ...look };
  drawNode(canvas.getContext("2d"), 20, 20, 11, filled, theme);
  return canvas;
}
