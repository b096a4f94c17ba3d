// The node on the right: who wrote it and when, its verdict, program, prompt, and why it is there.

import { beliefsAt, chosenBy } from "./beliefs.js";
import { passesAll } from "./canvas.js";
import { diff } from "./diff.js";
import { coloured } from "./highlight.js";
import { colour } from "./marks.js";
import { count, el, short, visible, words } from "./text.js";

const CONTEXT = 3; // equal lines around a change
const SHOWN = 50_000; // characters of a text that are shown at once

// What somebody folded or unfolded stays so from node to node, so that one can walk along a section.
const folded = new Map();

/** Fills the panel. */
export function showNode(panel, model, tree, node, time) {
  const sections = node.id === 0 ? rootSections(model, tree, time) : sectionsOf(model, tree, node, time);
  panel.replaceChildren(...sections.filter((section) => section !== null));
}

function sectionsOf(model, tree, node, time) {
  const state = tree.stateAt(node, time);
  const told = state === "told" || (state === "failed" && node.details);
  return [
    heading(model, tree, node, state),
    facts(tree, node, state),
    state === "failed" ? failure(model, node) : null,
    told ? tests(model, node) : null,
    told ? program(model, node) : null,
    told && node.parent.id !== 0 ? changes(model, node) : null,
    told ? answer(model, node) : null,
    told ? prompt(model, node) : null,
    ...beliefSections(model, tree, node, time),
  ];
}

function rootSections(model, tree, time) {
  return [
    el("h2", {}, tree.title ?? tree.problem ?? tree.id),
    el("p", { class: "note" }, `The root is the problem. ${count(tree.told)} nodes below it.`),
    tree.beliefs === null ? section("beliefs", "What the search believes here now", () =>
      beliefsAt(model, tree, tree.nodes[0], time)) : whyNot(tree),
  ];
}

/** A part that can be folded; `fill` makes its content when it is first unfolded. */
function section(name, title, fill, open = false) {
  const body = el("div", {});
  const summary = el("summary", {}, title);
  const details = el("details", { "data-name": name }, summary, body);
  summary.addEventListener("click", () => folded.set(name, details.open));
  let filled = false;
  details.addEventListener("toggle", () => {
    if (!details.open || filled) return;
    filled = true;
    body.append(...fill().filter((part) => part !== null));
  });
  details.open = !(folded.get(name) ?? !open);
  return details;
}

function heading(model, tree, node, state) {
  const swatch = el("span", { class: "swatch" });
  swatch.style.background = colour(model.agents, node.agent);
  const what = node.parent.id === 0 ? "first attempt" : `refines node ${node.parent.id}`;
  const marks = [];
  if (tree.result.selected === node.id) marks.push("★ selected");
  const all = passesAll(tree, node);
  if (all !== null && state === "told") marks.push(all ? "passes all tests" : "does not pass all tests");
  return el(
    "header",
    {},
    el("h2", {}, `Node ${node.id}`),
    el("p", {}, swatch, ` ${node.agent}, ${what}`),
    marks.length ? el("p", { class: "marks" }, marks.join(" · ")) : null,
  );
}

function facts(tree, node, state) {
  const rows = [];
  const add = (name, value) => rows.push(el("dt", {}, name), el("dd", {}, value));
  if (state === "told") {
    const { status, passed, total } = node.details;
    add("verdict", `${words(status)}, ${passed} of ${total} tests`);
    add("reward", short(node.reward));
  } else add("state", { pending: "under way", failed: "failed", cancelled: "given up" }[state] ?? state);
  const d = state === "told" || state === "failed" ? node.details : null;
  if (d) {
    const g = d.generation;
    const cut = g.finish_reason === "length" ? ", cut at max_tokens" : "";
    add("tokens", `${count(g.prompt_tokens)} in, ${count(g.completion_tokens)} out${cut}`);
    if (g.logprob) {
      const { mean, sum, min, tokens } = g.logprob;
      add("log-prob", `mean ${short(mean)}, sum ${short(sum)}, least ${short(min)} (${tokens} tokens)`);
    }
    add("time", `${short(g.seconds)} s to write, ${short(d.seconds)} s to run`);
    if (g.policy_version) add("policy version", String(g.policy_version));
  }
  const ended = node.ended && state !== "pending" ? `, ended after ${short(node.endedAt)} s` : "";
  add("asked", `event ${node.asked}, after ${short(node.askedAt)} s of the run${ended}`);
  if (node.references?.length) add("was shown", `nodes ${node.references.join(", ")}`);
  return el("dl", { class: "facts" }, rows);
}

function failure(model, node) {
  const what = node.failure === "infra" ? "The verifier's machinery failed" : "The request failed";
  return el("div", {}, el("p", {}, `${what}; the node counts nowhere.`), block(model, node.error));
}

function tests(model, node) {
  const d = node.details;
  if (!d.tests) return leftOut();
  if (!d.tests.length) return null;
  const list = d.tests.map(([status, times]) => `${words(status)}${times > 1 ? ` × ${times}` : ""}`);
  const parts = () => [el("p", { class: "note" }, list.join(", ")), ...d.failing.map((t) => test(model, t))];
  return section("tests", d.failing.length ? "Failing test" : "Tests", parts, d.failing.length > 0);
}

function test(model, t) {
  const time = t.seconds === null ? "" : `, ${short(t.seconds)} s`;
  const rows = ["limit", "input", "expected", "actual", "exception", "traceback"].flatMap((name) =>
    t[name] === undefined
      ? []
      : [el("dt", {}, name === "actual" ? "got" : name), el("dd", {}, block(model, t[name]))],
  );
  const title = el("h3", {}, `Test ${t.test}: ${words(t.status)}${time}`);
  return el("div", {}, title, el("dl", { class: "evidence" }, rows));
}

function program(model, node) {
  if (!node.details.tests) return null;
  const stored = node.details.code;
  if (stored === null) return el("p", { class: "note" }, "There is no program in the answer.");
  return section("program", "Program", () => [block(model, stored, "code")], true);
}

function changes(model, node) {
  const mine = model.text(node.details.code);
  const theirs = model.text(node.parent.details?.code);
  if (!mine || !theirs) return null;
  const fill = () => {
    if (mine.cut || theirs.cut) return [el("p", { class: "note" }, "The programs are not here whole.")];
    const lines = diff(theirs.text, mine.text);
    if (lines === null) return [el("p", { class: "note" }, "Too much differs to be compared here.")];
    if (lines.every(([sign]) => sign === " ")) return [el("p", { class: "note" }, "The same program.")];
    return [el("pre", { class: "diff" }, shownLines(lines))];
  };
  return section("diff", `Changes from node ${node.parent.id}`, fill);
}

function shownLines(lines) {
  const near = lines.map(() => false);
  lines.forEach(([sign], i) => {
    if (sign !== " ") near.fill(true, Math.max(0, i - CONTEXT), i + CONTEXT + 1);
  });
  const kind = { "+": "added", "-": "removed", " ": "same" };
  return lines.flatMap(([sign, text], i) => {
    if (near[i]) return [el("span", { class: kind[sign] }, `${sign} ${text}\n`)];
    return i > 0 && !near[i - 1] ? [] : [el("span", { class: "skip" }, "⋯\n")];
  });
}

function answer(model, node) {
  if (!node.details.text) return null;
  return section("answer", "Whole answer", () => [block(model, node.details.text)]);
}

function prompt(model, node) {
  if (!node.details.prompt) return null;
  const messages = () =>
    node.details.prompt.flatMap(([role, text]) => [el("h3", {}, role), block(model, text)]);
  return section("prompt", "Prompt", messages);
}

function beliefSections(model, tree, node, time) {
  if (tree.beliefs !== null) return [whyNot(tree)];
  return [
    section("chosen", "Why here: the arms when it was asked for", () => [
      el("p", { class: "note" }, "Recomputed: the journal played back through the search's own arms. Thompson sampling draws one number from each, so the arm with the best mean need not win."),
      ...chosenBy(model, tree, node),
    ]),
    section("beliefs", "The arms at this node at the slider's time", () => beliefsAt(model, tree, node, time)),
  ];
}

function whyNot(tree) {
  return el("p", { class: "note" }, `No arms to show: ${tree.beliefs}.`);
}

function leftOut() {
  return el("p", { class: "note" }, "Texts of this node were left out to keep the file small; view its tree alone (--tree), or everything with --full.");
}

/** A text, with a note where its middle is missing. Long ones are shown by and by: a browser takes
 * minutes to break a line of a million characters. */
function block(model, stored, kind = "") {
  const { text, cut, tail } = model.text(stored);
  if (text === "" && !cut) return el("pre", { class: "empty" }, "(empty)");
  const paint = kind === "code" ? coloured : (part) => [part];
  const pre = el("pre", { class: kind, tabindex: 0 }, paint(text.slice(0, SHOWN)));
  if (text.length > SHOWN) {
    const more = el("button", { type: "button", onclick: () => (at = show(at)) });
    let at = SHOWN;
    const show = (from) => {
      more.before(visible(text.slice(from, from + SHOWN)));
      return label(from + SHOWN);
    };
    const label = (shown) => {
      more.textContent = `${count(text.length - shown)} more characters`;
      if (shown >= text.length) more.remove();
      return shown;
    };
    label(at);
    pre.append(more);
  }
  if (cut) {
    const note = `\n… ${count(cut)} characters left out (--full keeps them) …\n`;
    pre.append(el("span", { class: "cut" }, note), ...el("span", {}, paint(tail)).childNodes);
  }
  return pre;
}
