// The page: what is looked at (tree, node, time), and the keys that move it.

import { TreeCanvas } from "./canvas.js";
import { showNode } from "./details.js";
import { diff } from "./diff.js";
import { tokens } from "./highlight.js";
import { legend } from "./legend.js";
import { follow } from "./live.js";
import { spoken } from "./marks.js";
import { Model } from "./model.js";
import { summary } from "./posterior.js";
import { count, el, short, visible } from "./text.js";
import { TreeList } from "./trees.js";

performance.mark("begin");
const $ = (id) => document.getElementById(id);
const model = new Model();
const canvas = new TreeCanvas($("tree"), model, (node) => select(node));
const list = new TreeList($("trees"), $("search"), model, (tree) => show(tree));
let tree = null;
let node = null;
let time = 0;
let player = null;

// ---------------------------------------------------------------- what is shown

/** Another tree, at its end, with its selected or best node. */
function show(next) {
  if (!next || next === tree) return;
  tree = next;
  time = tree.time;
  node = null;
  list.select(tree);
  canvas.time = time;
  canvas.current = null;
  canvas.show(tree);
  select(target() ?? tree.nodes[0], false);
  around();
  moved();
}

/** What is above and below the tree. */
function around() {
  legend($("legend"), model, tree);
  const failed = tree.ids().filter((n) => n.state === "failed").length;
  const facts = [
    tree.group,
    tree.strategy,
    `${count(tree.told)} nodes`,
    failed ? `${count(failed)} failed` : "",
    tree.difficulty,
    tree.date,
  ];
  const name = tree.title ? `${tree.problem}: ${tree.title}` : (tree.problem ?? tree.id);
  const said = facts.filter(Boolean).join(" · ");
  $("heading").replaceChildren(el("span", {}, name), el("span", { class: "note" }, ` ${said}`));
}

/** Another node; the camera follows if it is not in view. */
function select(next, reveal = true) {
  if (!next || !tree) return;
  node = next;
  canvas.current = node;
  // A node from the future is looked at when it is there.
  if (node.asked > time) setTime(node.ended ?? node.asked);
  if (reveal) canvas.reveal(node);
  else canvas.draw();
  details();
  const state = tree.stateAt(node, time);
  const said = visible(spoken(node, state));
  $("announcer").textContent = said;
  describe($("current"), said);
}

/** The canvas has no elements; this one stands for the node on it. */
function describe(element, said) {
  const siblings = node.parent ? node.parent.children : [node];
  element.textContent = said;
  element.setAttribute("aria-level", node.depth + 1);
  element.setAttribute("aria-posinset", siblings.indexOf(node) + 1);
  element.setAttribute("aria-setsize", siblings.length);
  element.setAttribute("aria-selected", "true");
  if (node.children.length) element.setAttribute("aria-expanded", "true");
  else element.removeAttribute("aria-expanded");
}

function details() {
  showNode($("details"), model, tree, node, time);
}

/** Another moment: after so many of the tree's events. */
function setTime(to) {
  if (!tree) return;
  const next = Math.max(0, Math.min(tree.time, to));
  if (next === time) return;
  time = next;
  canvas.time = time;
  canvas.draw();
  moved();
  if (node) details();
}

function moved() {
  const slider = $("slider");
  slider.max = tree.time;
  slider.value = time;
  const said = moment();
  $("moment").textContent = said;
  slider.setAttribute("aria-valuetext", said);
}

/** The latest event in words. */
function moment() {
  const last = tree.events[time - 1];
  const where = `${count(time)} of ${count(tree.time)}`;
  if (!last) return `${where}: nothing yet`;
  const [kind, seconds, at, agent] = last;
  const who = visible(agent);
  const what = {
    ask: () => `node ${at.id} asked of ${who}`,
    tell: () => `node ${at.id} by ${who}: reward ${short(at.reward)}`,
    fail: () => `node ${at.id} by ${who} failed`,
    cancel: () => `node ${at.id} given up`,
    join: () => `${who} joins`,
    leave: () => `${who} leaves`,
  };
  return `${where}: ${what[kind]()} · ${seconds.toFixed(1)} s`;
}

function headline() {
  const { run, trees, status } = model;
  $("title").textContent = visible(run.name || "run");
  document.title = `${visible(run.name || "run")} · trees`;
  const nodes = trees.reduce((sum, t) => sum + t.told, 0);
  const kind = run.kind === "journal" ? "a journal" : run.kind;
  const said = [`${kind}: ${count(trees.length)} trees, ${count(nodes)} nodes`, ...run.notes];
  $("about").textContent = visible(said.join(" · "));
  if (!live) $("status").textContent = visible(status);
}

// ---------------------------------------------------------------- keys

const KEYS = {
  ArrowUp: () => select(node?.parent),
  ArrowDown: () => select(here(node?.children)[0]),
  ArrowLeft: () => sibling(-1),
  ArrowRight: () => sibling(1),
  "[": () => setTime(time - 1),
  "]": () => setTime(time + 1),
  "{": () => setTime(time - 10),
  "}": () => setTime(time + 10),
  Home: () => setTime(0),
  End: () => setTime(Infinity),
  " ": () => play(),
  s: () => select(target()),
  n: () => show(list.neighbour(1)),
  p: () => show(list.neighbour(-1)),
  "/": () => $("search").focus(),
  "+": () => canvas.zoom(1.3),
  "=": () => canvas.zoom(1.3),
  "-": () => canvas.zoom(1 / 1.3),
  0: () => canvas.fit(),
  "?": () => $("help").showModal(),
  Escape: () => $("tree").focus(),
};

/** Of these nodes, those that are there at this time. */
function here(nodes = []) {
  return nodes.filter((child) => child.asked <= time);
}

function sibling(by) {
  if (!node?.parent) return;
  const siblings = here(node.parent.children);
  select(siblings[siblings.indexOf(node) + by]);
}

/** The selected node, or the first with the best reward. */
function target() {
  const selected = tree.selectedAt(time);
  if (selected !== null) return tree.nodes[selected];
  const told = tree.ids().filter((n) => tree.stateAt(n, time) === "told");
  return told.reduce((best, n) => (n.reward > best.reward ? n : best), told[0]);
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || $("help").open) return;
  const at = document.activeElement;
  const typing = at === $("search");
  if (typing && event.key !== "Escape") return;
  if (event.key === "Enter" && at === $("tree")) {
    $("details").focus();
    event.preventDefault();
    return;
  }
  // Where arrows, Home, End and Space have a meaning of their own, they keep it.
  const own = at === $("slider") || $("details").contains(at) || at.tagName === "BUTTON";
  if (own && /^(Arrow|Home|End| )/.test(event.key)) return;
  const act = KEYS[event.key];
  if (!act || !tree) return;
  act();
  event.preventDefault();
});

function play() {
  if (player) {
    clearInterval(player);
    player = null;
  } else {
    if (time >= tree.time) setTime(0);
    // Long searches in about half a minute, short ones an event at a time.
    const step = Math.max(1, Math.round(tree.time / 300));
    player = setInterval(() => {
      setTime(time + step);
      if (time >= tree.time) play();
    }, 100);
  }
  $("play").textContent = player ? "⏸" : "▶";
  $("play").setAttribute("aria-label", player ? "Pause" : "Play");
}

$("play").addEventListener("click", () => tree && play());
$("slider").addEventListener("input", () => setTime(Number($("slider").value)));
$("help-button").addEventListener("click", () => $("help").showModal());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => tree && around());
addEventListener("beforeprint", () => canvas.restyle());

// ---------------------------------------------------------------- data

/** Takes records over; whoever looks at the end of a tree stays at its end. */
function take(records) {
  const before = tree?.time;
  const changed = new Set();
  for (const record of records) changed.add(model.apply(record));
  headline();
  list.refresh();
  if (!tree) show(list.first);
  else if (changed.has(tree)) {
    if (time === before) time = canvas.time = tree.time;
    canvas.show(tree);
    around();
    moved();
    details();
  }
}

const data = JSON.parse($("data").textContent);
const live = data.live;
take(data.records);
$("data").remove(); // the model has it now
if (live) follow(take, (said) => ($("status").textContent = visible(said)));
canvas.drawNow();
performance.measure("render", "begin");
// For tests and the console.
globalThis.mars2 = {
  model,
  canvas,
  summary,
  diff,
  tokens,
  look: () => ({ tree: tree?.id, node: node?.id, time, of: tree?.time, playing: player !== null }),
};
