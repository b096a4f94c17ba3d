// The tree on a canvas: a camera, what is in view of it, and where a click landed.

import { layout } from "./layout.js";
import { RADIUS, SIGNS, colour, drawNode } from "./marks.js";

const COLUMN = 29; // room of a node in CSS pixels at scale 1
const ROW = 64;
const LEAST = 0.001;
const MOST = 4;
const DOT = 3.5; // radius below which a node is a mere dot

export class TreeCanvas {
  #canvas;
  #context;
  #tree = null;
  #laidOut = -1;
  #nodes = [];
  #due = false;
  #theme = {};
  #leastRows = 0;
  #width = 0;
  #height = 0;

  /** Calls `pick(node)` for a click. `model` has the agents. */
  constructor(canvas, model, pick) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d");
    this.model = model;
    this.camera = { x: 0, y: 0, scale: 1 }; // the world's point in the middle of the top
    this.time = 0;
    this.current = null;
    this.#pointer(pick);
    this.#resize();
    new ResizeObserver(() => this.#resize()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.restyle());
    this.restyle();
  }

  /** Shows another tree, or the same one after it has grown. */
  show(tree) {
    const other = tree !== this.#tree;
    this.#tree = tree;
    if (other || this.#laidOut !== tree.version) {
      this.#nodes = tree.ids();
      layout(tree.nodes[0], this.#nodes);
      for (const node of this.#nodes) {
        node.px = node.x * COLUMN;
        node.py = node.depth * ROW;
      }
      this.#laidOut = tree.version;
    }
    if (other) this.fit();
    this.draw();
  }

  /** Zooms so that the tree fills the view, or its top where it is too large to be read. */
  fit() {
    const [width, height] = this.#size();
    let [left, right, bottom] = [0, 0, 0];
    for (const node of this.#nodes) {
      left = Math.min(left, node.px);
      right = Math.max(right, node.px);
      bottom = Math.max(bottom, node.py);
    }
    const tall = (height - 90) / (bottom || 1);
    const scale = Math.min(1.6, Math.max(LEAST, Math.min((width - 60) / (right - left || 1), tall)));
    // Seen from afar a wide tree keeps as much room between its rows as there is.
    this.#leastRows = Math.min(1.6, tall);
    this.camera = { x: (left + right) / 2, y: 0, scale };
    this.camera.y = -40 / this.#rows;
    this.draw();
  }

  /** Zooms by a factor around a point of the canvas (its middle by default). */
  zoom(factor, at = this.#size().map((side) => side / 2)) {
    const before = this.#toWorld(at);
    this.camera.scale = Math.min(MOST, Math.max(LEAST, this.camera.scale * factor));
    const after = this.#toWorld(at);
    this.camera.x += before[0] - after[0];
    this.camera.y += before[1] - after[1];
    this.draw();
  }

  /** Moves the camera so that a node can be seen. */
  reveal(node) {
    const [width, height] = this.#size();
    const [x, y] = this.#toScreen(node);
    const margin = 50;
    const { scale } = this.camera;
    if (x < margin) this.camera.x -= (margin - x) / scale;
    if (x > width - margin) this.camera.x += (x - width + margin) / scale;
    if (y < margin) this.camera.y -= (margin - y) / this.#rows;
    if (y > height - margin) this.camera.y += (y - height + margin) / this.#rows;
    this.draw();
  }

  /** Takes the page's colours, which differ by day, night and paper. */
  restyle() {
    const style = getComputedStyle(document.documentElement);
    for (const name of ["ink", "paper", "focus", "good", "star", "edge", "dim"]) {
      this.#theme[name] = style.getPropertyValue(`--${name}`).trim();
    }
    this.draw();
  }

  /** Draws at the next frame, once however often this is called. */
  draw() {
    if (this.#due) return;
    this.#due = true;
    requestAnimationFrame(() => {
      this.#due = false;
      this.drawNow();
    });
  }

  drawNow() {
    const [width, height] = this.#size();
    const context = this.#context;
    const ratio = devicePixelRatio;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    if (!this.#tree) return;
    const { scale } = this.camera;
    const r = Math.max(1.5, RADIUS * scale);
    const inView = [];
    const edges = new Path2D();
    for (const node of this.#nodes) {
      if (node.asked > this.time) continue;
      const [x, y] = this.#toScreen(node);
      const visible = x > -40 && x < width + 40 && y > -40 && y < height + 40;
      if (visible) inView.push([node, x, y]);
      if (node.parent) this.#edge(edges, node, x, y, width, height);
    }
    context.strokeStyle = this.#theme.edge;
    context.lineWidth = Math.min(1.5, Math.max(0.4, scale));
    context.stroke(edges);
    const selected = this.#tree.selectedAt(this.time);
    if (r < DOT) this.#dots(inView, r);
    for (const [node, x, y] of inView) {
      const special = node.id === 0 || node === this.current || node.id === selected;
      if (r >= DOT || special) this.#node(node, x, y, Math.max(r, DOT), selected);
    }
  }

  /** Nodes too small for marks: squares in their agents' colours, stronger with the reward. */
  #dots(nodes, r) {
    const context = this.#context;
    const batches = new Map();
    for (const [node, x, y] of nodes) {
      if (node.id === 0) continue;
      const key = `${node.agent} ${node.reward >= 1}`;
      if (!batches.has(key)) batches.set(key, [node, new Path2D()]);
      batches.get(key)[1].rect(x - r, y - r, 2 * r, 2 * r);
    }
    const full = ([node]) => node.reward >= 1;
    for (const batch of [...batches.values()].sort((a, b) => full(a) - full(b))) {
      context.globalAlpha = full(batch) ? 1 : 0.45;
      context.fillStyle = colour(this.model.agents, batch[0].agent);
      context.fill(batch[1]);
    }
    context.globalAlpha = 1;
  }

  #edge(path, node, x, y, width, height) {
    const [px, py] = this.#toScreen(node.parent);
    if (Math.max(x, px) < 0 || Math.min(x, px) > width || y < 0 || py > height) return;
    path.moveTo(px, py);
    if (this.camera.scale < 0.3) {
      path.lineTo(x, y);
      return;
    }
    const middle = (y + py) / 2;
    path.bezierCurveTo(px, middle, x, middle, x, y);
  }

  #node(node, x, y, r, selected) {
    const context = this.#context;
    const theme = this.#theme;
    const tree = this.#tree;
    if (node.id === 0) {
      this.#root(x, y, r);
      return;
    }
    const state = tree.stateAt(node, this.time);
    const told = state === "told";
    const look = {
      state,
      colour: colour(this.model.agents, node.agent),
      square: node.parent.id !== 0,
      reward: node.reward ?? 0,
      sign: told ? SIGNS[node.details.status] : undefined,
      all: told && passesAll(tree, node),
      selected: node.id === selected,
      current: node === this.current,
    };
    drawNode(context, x, y, r, look, theme);
    if (this.camera.scale >= 0.75) {
      context.font = "10px system-ui, sans-serif";
      context.textAlign = "center";
      context.textBaseline = "top";
      context.fillStyle = theme.dim;
      context.strokeStyle = theme.paper;
      context.lineWidth = 4;
      const label = `${node.id} ${node.agent.slice(0, 2)}`;
      const below = y + (look.current ? r * 1.42 + 7 : look.all ? r * 1.6 + 2 : r + 4);
      context.strokeText(label, x, below);
      context.fillText(label, x, below);
    }
  }

  #root(x, y, r) {
    const context = this.#context;
    context.beginPath();
    context.moveTo(x, y - r);
    context.lineTo(x + r, y);
    context.lineTo(x, y + r);
    context.lineTo(x - r, y);
    context.closePath();
    context.fillStyle = this.#theme.dim;
    context.fill();
    if (this.current?.id === 0) {
      context.strokeStyle = this.#theme.focus;
      context.lineWidth = 3;
      context.stroke();
    }
  }

  /** Scale from top to bottom. */
  get #rows() {
    return Math.max(this.camera.scale, this.#leastRows);
  }

  #size() {
    return [this.#width, this.#height];
  }

  #resize() {
    // Kept, because asking the page for its sizes makes it lay itself out.
    this.#width = this.#canvas.clientWidth;
    this.#height = this.#canvas.clientHeight;
    this.#canvas.width = this.#width * devicePixelRatio;
    this.#canvas.height = this.#height * devicePixelRatio;
    if (this.#tree) this.fit();
  }

  #toScreen(node) {
    const { x, y, scale } = this.camera;
    return [(node.px - x) * scale + this.#width / 2, (node.py - y) * this.#rows];
  }

  #toWorld([x, y]) {
    const { camera } = this;
    return [(x - this.#width / 2) / camera.scale + camera.x, y / this.#rows + camera.y];
  }

  /** The node under a point of the canvas, with some grace around small ones. */
  nodeAt(x, y) {
    const reach = Math.max(8, RADIUS * this.camera.scale + 3);
    let [found, least] = [null, reach * reach];
    for (const node of this.#nodes) {
      if (node.asked > this.time) continue;
      const [nx, ny] = this.#toScreen(node);
      const distance = (nx - x) ** 2 + (ny - y) ** 2;
      if (distance <= least) [found, least] = [node, distance];
    }
    return found;
  }

  /** Where a node is on the page, for tests and for whoever points at it. */
  where(id) {
    const box = this.#canvas.getBoundingClientRect();
    const [x, y] = this.#toScreen(this.#tree.nodes[id]);
    return [box.left + x, box.top + y];
  }

  #pointer(pick) {
    let held = null;
    this.#canvas.addEventListener("pointerdown", (event) => {
      held = { x: event.offsetX, y: event.offsetY, moved: false };
      this.#canvas.setPointerCapture(event.pointerId);
    });
    this.#canvas.addEventListener("pointermove", (event) => {
      if (!held) return;
      const [dx, dy] = [event.offsetX - held.x, event.offsetY - held.y];
      if (!held.moved && Math.hypot(dx, dy) < 4) return;
      this.camera.x -= dx / this.camera.scale;
      this.camera.y -= dy / this.#rows;
      held = { x: event.offsetX, y: event.offsetY, moved: true };
      this.draw();
    });
    this.#canvas.addEventListener("pointerup", (event) => {
      if (held && !held.moved) {
        const node = this.nodeAt(event.offsetX, event.offsetY);
        if (node) pick(node);
      }
      held = null;
    });
    const zoom = (event) => {
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY / 400), [event.offsetX, event.offsetY]);
    };
    this.#canvas.addEventListener("wheel", zoom, { passive: false });
  }
}

/** Whether a node passes every test there is; null if the results do not say. */
export function passesAll({ result }, node) {
  if (result.passed) return result.passed.includes(node.id);
  return node.id === result.selected ? (result.selected_passed ?? null) : null;
}
