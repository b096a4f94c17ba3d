// The run as the page knows it: records (see recorder.py) applied one after the other.

/** What is known at each time of one number list that changes; times rise. */
class History {
  times = [];
  values = [];

  put(time, value) {
    if (this.times.at(-1) === time) this.values[this.values.length - 1] = value;
    else {
      this.times.push(time);
      this.values.push(value);
    }
  }

  /** The value at a time, or undefined before the first. */
  at(time) {
    let low = 0;
    let high = this.times.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.times[middle] <= time) low = middle + 1;
      else high = middle;
    }
    return this.values[low - 1];
  }
}

/** One search tree. `nodes` is by id; the root, 0, is the problem and not a node of the search. */
class SearchTree {
  constructor(number) {
    this.number = number;
    this.nodes = [{ id: 0, parent: null, depth: 0, children: [], asked: 0, state: "root" }];
    this.events = []; // [kind, seconds, node or null, agent or null]; time t is after t of them
    this.arms = new Map();
    this.result = {};
    this.told = 0;
    this.best = 0;
    this.version = 0; // rises whenever a node is added
  }

  get time() {
    return this.events.length;
  }

  /** Ids in the order in which they were asked for, the root first. */
  ids() {
    return this.nodes.filter((node) => node !== undefined);
  }

  /** What the search believed at a time: numbers of `beliefs.py`, or the prior. */
  belief(key, name, time) {
    return this.arms.get(key)?.at(time) ?? this.prior?.[name];
  }

  /** How a node stands at a time: absent, pending, or what became of it. */
  stateAt(node, time) {
    if (node.id === 0) return "root";
    if (node.asked > time) return "absent";
    return node.ended === undefined || node.ended > time ? "pending" : node.state;
  }

  /** Whom the selector would have picked at a time, if the results say. */
  selectedAt(time) {
    const at = this.result.selected_at ?? [];
    if (!at.length) return this.result.selected ?? null;
    let found = null;
    for (const [nodes, node] of at) if (this.toldAt(time) >= nodes) found = node;
    return found;
  }

  toldAt(time) {
    let low = 0;
    let high = this.endings.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.endings[middle] <= time) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  endings = []; // times of tells
}

export class Model {
  run = { name: "", kind: "", notes: [], agents: [] };
  trees = [];
  status = "";
  agents = [];
  #lines = [];

  /** Take over one record; the tree it changed, if any. */
  apply(record) {
    const [kind, number] = record;
    if (kind === "lines") {
      for (const line of number) this.#lines.push(line);
      return null;
    }
    if (kind === "run") {
      this.run = { notes: [], ...number };
      for (const agent of number.agents ?? []) this.#meet(agent);
      return null;
    }
    if (kind === "status") {
      this.status = number;
      return null;
    }
    const tree = (this.trees[number] ??= new SearchTree(number));
    if (kind === "tree") Object.assign(tree, record[2]);
    else if (kind === "arms") this.#arms(tree, record[2], record[3]);
    else if (kind === "result") tree.result = record[2];
    else this.#event(tree, record);
    return tree;
  }

  /** A text of the records; `{text, cut, tail}` with cut > 0 if its middle is missing. */
  text(stored) {
    if (stored === null || stored === undefined) return null;
    if (Array.isArray(stored)) return { text: this.#join(stored), cut: 0, tail: "" };
    return { text: this.#join(stored.head), cut: stored.cut, tail: this.#join(stored.tail) };
  }

  #join(numbers) {
    return numbers.map((n) => this.#lines[n]).join("\n");
  }

  #meet(agent) {
    if (!this.agents.includes(agent)) this.agents.push(agent);
  }

  #arms(tree, time, changes) {
    for (const [key, numbers] of Object.entries(changes)) {
      if (!tree.arms.has(key)) tree.arms.set(key, new History());
      tree.arms.get(key).put(time, numbers);
    }
  }

  #event(tree, [kind, , seconds, ...rest]) {
    const time = tree.events.length + 1;
    if (kind === "team") {
      tree.events.push([rest[0], seconds, null, rest[1]]);
      this.#meet(rest[1]);
      return;
    }
    const id = rest[0];
    if (kind === "ask") {
      const [, parent, agent, depth, references] = rest;
      this.#meet(agent);
      const node = { id, parent: tree.nodes[parent], depth, agent, references, children: [] };
      Object.assign(node, { asked: time, askedAt: seconds, state: "pending" });
      node.parent.children.push(node);
      tree.nodes[id] = node;
      tree.version += 1;
    }
    const node = tree.nodes[id];
    tree.events.push([kind, seconds, node, node.agent]);
    if (kind === "ask") return;
    Object.assign(node, { ended: time, endedAt: seconds });
    if (kind === "tell") {
      [, node.reward, node.details] = rest;
      node.state = "told";
      tree.told += 1;
      tree.best = Math.max(tree.best, node.reward);
      tree.endings.push(time);
    } else if (kind === "fail") {
      [, node.failure, node.error, node.details] = rest;
      node.state = "failed";
    } else node.state = "cancelled";
  }
}
