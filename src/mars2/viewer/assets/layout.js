// A tidy tree (Reingold and Tilford, IEEE TSE 1981): children centred under their parent, subtrees
// as close as their outlines allow, the same subtree drawn the same everywhere.
//
// An outline is the least and greatest x of each level, deepest level first, so that a parent is
// added at the end; its values are relative to an offset, so that moving a subtree is one addition.
// Joining two subtrees looks at as many levels as the flatter one has, and keeps the arrays of the
// deeper one: the whole takes time linear in the nodes. No recursion: a chain may be thousands deep.

/** Sets x of every node, in units of one node's room; the root is at 0. */
export function layout(root, nodes) {
  const outlines = new Map();
  // Ids rise from parents to children, so going down the ids, children come first.
  for (let i = nodes.length - 1; i >= 0; i--) {
    const node = nodes[i];
    outlines.set(node, place(node.children, outlines));
    for (const child of node.children) outlines.delete(child);
  }
  root.x = 0;
  for (const node of nodes) if (node !== root) node.x = node.parent.x + node.shift;
}

/** Puts the children side by side (`shift` from their parent); the outline of them and it. */
function place(children, outlines) {
  if (!children.length) return { left: [0], right: [0], l: 0, r: 0 };
  let whole = outlines.get(children[0]);
  children[0].shift = 0;
  for (let i = 1; i < children.length; i++) {
    const next = outlines.get(children[i]);
    children[i].shift = room(whole, next);
    next.l += children[i].shift;
    next.r += children[i].shift;
    whole = join(whole, next);
  }
  const middle = (children[0].shift + children.at(-1).shift) / 2;
  for (const child of children) child.shift -= middle;
  whole.l -= middle;
  whole.r -= middle;
  whole.left.push(-whole.l);
  whole.right.push(-whole.r);
  return whole;
}

/** How far right of 0 the second outline must go to be clear of the first. */
function room(a, b) {
  const levels = Math.min(a.right.length, b.left.length);
  let need = -Infinity;
  for (let k = 1; k <= levels; k++) {
    // A little more room between the children of different parents.
    const gap = k === 1 ? 1 : 1.2;
    need = Math.max(need, a.right.at(-k) + a.r + gap - (b.left.at(-k) + b.l));
  }
  return need;
}

/** The outline of both; takes over the arrays of the deeper one. */
function join(a, b) {
  const left = a.left.length >= b.left.length ? a : overwrite(b, a, "left", "l");
  const right = b.right.length >= a.right.length ? b : overwrite(a, b, "right", "r");
  return { left: left.left, l: left.l, right: right.right, r: right.r };
}

/** The deeper outline with its upper levels those of the flatter one. */
function overwrite(deep, flat, side, offset) {
  const from = flat[side];
  const to = deep[side];
  for (let k = 1; k <= from.length; k++) {
    to[to.length - k] = from[from.length - k] + flat[offset] - deep[offset];
  }
  return deep;
}
