/** From one node to a later one: the Jacobian, and what each path contributes to it. */

import { sizeOf } from "./format.js";
import { identity, matrixOf, product, sumOf } from "./matrix.js";

/** Paths that are listed, and multiplications that are made for all of it. */
export const PATHS = 40;
const WORK = 400_000;
/** Entries of the node that a Jacobian starts from. */
const ENTRIES_OF_START = 1024;

const ordered = (one, other) => (one < other ? [one, other] : [other, one]);

/** The nodes on paths from the earlier of two nodes to the later one (both with them), in order. */
export function onPaths(graph, one, other) {
  const [from, to] = ordered(one, other);
  const after = new Set([from]);
  for (let id = from + 1; id <= to; id += 1) {
    if (graph.nodes[id].operands.some((o) => o.kind !== null && after.has(o.node))) after.add(id);
  }
  const before = new Set([to]);
  for (let id = to; id > from; id -= 1) {
    if (!before.has(id)) continue;
    for (const o of graph.nodes[id].operands) if (o.kind !== null && after.has(o.node)) before.add(o.node);
  }
  return [...before].filter((id) => after.has(id)).sort((a, b) => a - b);
}

/** How many paths lead from the first of these nodes to the last. */
function countPaths(graph, nodes) {
  const counts = new Map([[nodes[0], 1]]);
  for (const id of nodes.slice(1)) {
    counts.set(id, graph.nodes[id].operands.reduce((sum, o) => sum + (o.kind === null ? 0 : counts.get(o.node) ?? 0), 0));
  }
  return counts.get(nodes.at(-1));
}

/** The first paths, each as its steps { node, operand }, found from the end. */
function firstPaths(graph, nodes) {
  const inside = new Set(nodes);
  const [from] = nodes;
  const found = [];
  const waiting = [{ id: nodes.at(-1), steps: [] }];
  while (waiting.length && found.length < PATHS) {
    const { id, steps } = waiting.pop();
    if (id === from) {
      found.push(steps);
      continue;
    }
    for (const operand of [...graph.nodes[id].operands].reverse()) {
      if (operand.kind !== null && inside.has(operand.node)) {
        waiting.push({ id: operand.node, steps: [{ node: id, operand }, ...steps] });
      }
    }
  }
  return found;
}

/** ∂to/∂from as a matrix, or why the page cannot compute it. */
function accumulate(graph, nodes) {
  const found = new Map([[nodes[0], identity(sizeOf(graph.nodes[nodes[0]].value))]]);
  let left = WORK;
  for (const id of nodes.slice(1)) {
    let total = null;
    for (const operand of graph.nodes[id].operands) {
      if (operand.kind === null || !found.has(operand.node)) continue;
      const local = matrixOf(operand);
      if (!local) return { missing: [id, operand.node] };
      const part = product(local, found.get(operand.node), left);
      if (!part) return { tooLarge: true };
      left -= part.places.size;
      total = total ? sumOf(total, part) : part;
    }
    found.set(id, total);
  }
  return { total: found.get(nodes.at(-1)) };
}

function along(steps) {
  let total = null;
  for (const { operand } of steps) {
    const local = matrixOf(operand);
    total = local && (total ? product(local, total, WORK) : local);
    if (!total) return null;
  }
  return total;
}

/** Everything about a pair; what cannot be computed is null, with the reason beside it. */
export function between(graph, one, other) {
  const [from, to] = ordered(one, other);
  const nodes = onPaths(graph, from, to);
  const result = { from, to, nodes, count: 0, paths: [], total: null, missing: null, tooLarge: false };
  if (!nodes.length) return result;
  const large = sizeOf(graph.nodes[from].value) > ENTRIES_OF_START;
  result.count = countPaths(graph, nodes);
  result.paths = firstPaths(graph, nodes).map((steps) => ({ steps, contribution: large ? null : along(steps) }));
  return { ...result, ...(large ? { tooLarge: true } : accumulate(graph, nodes)) };
}
