// How a node looks. Nothing is told by colour alone: who wrote it is a colour and initials, a first
// attempt is a circle and a refinement a square, the reward is how far it is filled, the verdict is
// a sign, passing everything is a second outline, and the selected node has a star.

// Okabe and Ito's colours, which people with any colour vision can tell apart; black left out.
const COLOURS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#b5a300"];

export const SIGNS = {
  passed: "✓",
  wrong_answer: "✗",
  runtime_error: "!",
  time_limit: "T",
  memory_limit: "M",
  output_limit: "O",
  compile_error: "C",
  no_code: "∅",
  sandbox_violation: "S",
  infra: "?",
};

export const RADIUS = 10; // of a node, in CSS pixels at scale 1

/** The colour of an agent: its place in the team. */
export function colour(agents, agent) {
  const place = agents.indexOf(agent);
  return place < 0 ? "#888888" : COLOURS[place % COLOURS.length];
}

/** What a screen reader says of a node. */
export function spoken(node, state) {
  if (node.id === 0) return "the problem, root of the tree";
  const what = node.parent.id === 0 ? "first attempt" : `refines ${node.parent.id}`;
  let end = state;
  if (state === "told") {
    const { status, passed, total } = node.details;
    end = `${status.replaceAll("_", " ")}, ${passed} of ${total} tests, reward ${node.reward}`;
  }
  return `node ${node.id} by ${node.agent}, ${what}: ${end}`;
}

/**
 * Draws one node at (x, y) with radius r.
 *
 * look: {colour, square, state, reward, sign, all (passes everything), selected, current}
 * theme: {ink, paper, focus, good}
 */
export function drawNode(context, x, y, r, look, theme) {
  const done = look.state === "told";
  context.lineWidth = Math.max(1, r / 6);
  outline(context, x, y, r, look.square);
  context.fillStyle = theme.paper;
  context.fill();
  if (done && look.reward > 0) {
    context.save();
    context.clip();
    context.fillStyle = look.colour;
    context.fillRect(x - r, y + r - 2 * r * look.reward, 2 * r, 2 * r * look.reward);
    context.restore();
  }
  context.strokeStyle = look.colour;
  context.lineWidth = Math.max(1.2, r / 4.5);
  if (!done && r > 3) context.setLineDash([2, 2]);
  outline(context, x, y, r, look.square);
  context.stroke();
  context.setLineDash([]);
  if (look.all) ring(context, x, y, r * 1.42, look.square, theme.good, Math.max(1.2, r / 5));
  if (look.current) ring(context, x, y, r * 1.42 + 3.5, look.square, theme.focus, 3);
  if (r >= 6.5) sign(context, x, y, r, look, theme);
  if (look.selected) star(context, x + r * 1.25, y - r * 1.25, Math.max(5, r * 0.75), theme);
}

function outline(context, x, y, r, square) {
  context.beginPath();
  if (square) context.roundRect(x - r, y - r, 2 * r, 2 * r, r / 3);
  else context.arc(x, y, r, 0, 2 * Math.PI);
}

function ring(context, x, y, r, square, style, width) {
  outline(context, x, y, r, square);
  context.strokeStyle = style;
  context.lineWidth = width;
  context.stroke();
}

function sign(context, x, y, r, look, theme) {
  const text = look.sign ?? { failed: "?", cancelled: "–", pending: "…" }[look.state] ?? "";
  context.font = `600 ${Math.round(r * 1.15)}px system-ui, sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  // On a filled node the sign is in its own halo, so that it reads on every colour.
  context.lineWidth = r / 3;
  context.lineJoin = "round";
  context.strokeStyle = theme.paper;
  context.strokeText(text, x, y + r * 0.06);
  context.fillStyle = theme.ink;
  context.fillText(text, x, y + r * 0.06);
}

function star(context, x, y, r, theme) {
  context.beginPath();
  for (let i = 0; i < 10; i++) {
    const angle = (i * Math.PI) / 5 - Math.PI / 2;
    const radius = i % 2 ? r * 0.45 : r;
    context.lineTo(x + radius * Math.cos(angle), y + radius * Math.sin(angle));
  }
  context.closePath();
  context.fillStyle = theme.star;
  context.fill();
  context.strokeStyle = theme.ink;
  context.lineWidth = 1;
  context.stroke();
}
