/** What if an input were another number: the graph computed again in the page. */

import { isFaulty } from "./format.js";
import { Interpreter } from "./interpreter.js";
import { pack, plainNumber } from "./pack.js";

/** Whether an entry of this dtype can be this number. */
export function takes(dtype, value) {
  if (dtype === "bool") return value === 0 || value === 1;
  return dtype.startsWith("float") || Number.isSafeInteger(value);
}

/** The edits of a text: "0:3.5,2.7:-1" is entry 0 of node 0, entry 7 of node 2. */
export function readEdits(graph, text) {
  const edits = new Map();
  for (const part of text ? text.split(",") : []) {
    const found = /^(\d{1,9})(?:\.(\d{1,9}))?:([-.\de]{1,30})$/.exec(part);
    if (!found) continue;
    const [id, at, value] = [Number(found[1]), Number(found[2] ?? 0), Number(found[3])];
    const place = graph.inputs.indexOf(id);
    const { shape = [], dtype = "float64" } = graph.nodes[id]?.value ?? {};
    const size = shape.reduce((n, length) => n * length, 1);
    if (place >= 0 && at < size && Number.isFinite(value) && takes(dtype, value)) edits.set(`${id}.${at}`, { id, place, at, value });
  }
  return edits;
}

export function writeEdits(edits) {
  return [...edits.values()].map(({ id, at, value }) => `${id}${at ? `.${at}` : ""}:${String(value).replace("+", "")}`).join(",");
}

/** What of an edge changes with the inputs. */
const VARYING = ["downstream", "local", "entries", "size", "matrix", "spy"];

/** What of a node the trace found for its own numbers. */
const OF_THE_RUN = ["symptoms", "error"];

const same = (a, b) => a === b || (Number.isNaN(a) && Number.isNaN(b));

/** The program of a graph, and the graph's numbers under it. */
export class WhatIf {
  constructor(graph) {
    this.graph = graph;
    this.missing = graph.program.missing ?? null;
    this.edits = new Map();
    this.shown = "";
    /** @type {any[] | null} the slots without a change */
    this.base = null;
    if (this.missing !== null) return;
    this.interpreter = new Interpreter(graph.program);
    this.originals = graph.nodes.map((node) => ({
      value: node.value,
      upstream: node.upstream,
      operands: node.operands.map((operand) => Object.fromEntries(VARYING.map((key) => [key, operand[key]]))),
    }));
    this.run = { outputs: graph.output_values, trouble: graph.trouble, groups: graph.groups };
  }

  /** The number of an entry of an input: as it is now. */
  entry(place, at) {
    const id = this.graph.inputs[place];
    return this.edits.get(`${id}.${at}`)?.value ?? this.interpreter.starts[place].data[at];
  }

  /** Compute with these edits; gives what keeps it from doing so, and then leaves the numbers. */
  apply(text) {
    if (this.missing !== null || text === this.shown) return null;
    const edits = readEdits(this.graph, text);
    if (!edits.size) {
      this.shown = text;
      this.edits = edits;
      this.restore();
      return null;
    }
    const inputs = this.interpreter.starts.map((x) => ({ ...x, data: x.data.slice() }));
    for (const { place, at, value } of edits.values()) inputs[place].data[at] = value;
    let slots = null;
    try {
      slots = this.interpreter.run(inputs);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      return `Not computed: ${error.message}.`;
    }
    const other = this.interpreter.otherBranch(slots);
    if (other) return branchText(other);
    this.shown = text;
    this.edits = edits;
    this.base ??= this.interpreter.run(this.interpreter.starts);
    this.fill(slots);
    return null;
  }

  restore() {
    const { graph, run } = this;
    Object.assign(graph, { output_values: run.outputs, trouble: run.trouble, groups: run.groups });
    graph.nodes.forEach((node, id) => {
      const { value, upstream, operands } = this.originals[id];
      Object.assign(node, { value, upstream, before: null });
      node.operands.forEach((operand, i) => Object.assign(operand, operands[i]));
    });
  }

  fill(slots) {
    const { graph } = this;
    const changed = (slot) => slot >= 0 && !slots[slot].data.every((x, i) => same(x, this.base[slot].data[i]));
    const now = (slot, before) => (changed(slot) ? pack(slots[slot], before) : before);
    const { constants } = this.interpreter;
    this.restore();
    graph.program.nodes.forEach(([value, upstream, edges], id) => {
      const node = graph.nodes[id];
      const before = this.originals[id];
      node.value = now(value, before.value);
      node.upstream = now(upstream, before.upstream);
      if (node.value !== before.value || node.upstream !== before.upstream) node.before = before;
      edges.forEach(([downstream = -1, local = -1, entries = -1, nonzeros = -1, matrix = -1, ...places], i) => {
        const operand = node.operands[i];
        operand.downstream = now(downstream, operand.downstream);
        operand.local = now(local, operand.local);
        operand.entries = now(entries, operand.entries);
        if (nonzeros !== -1) operand.size = operand.size.with(2, nonzeros < 0 ? null : slots[nonzeros].data[0]);
        if (changed(matrix)) operand.matrix = matrixNow(operand.matrix, slots[matrix].data, places.map((k) => constants[k].data));
        if (matrix === -2) operand.matrix = null;
        if (changed(nonzeros) || nonzeros === -2) operand.spy = null;
      });
    });
    graph.output_values = graph.program.outputs.map((slot, i) => now(slot, this.run.outputs[i]));
    graph.groups = this.run.groups.map((group) => ({ ...group, local: null }));
    graph.trouble = troubleOf(graph);
  }

  /** The page's data with the numbers of now. */
  data() {
    const { raw, nodes } = this.graph;
    if (!this.edits.size) return raw;
    const filled = raw.nodes.map((given, id) => ({
      ...Object.fromEntries(Object.entries(given).filter(([key]) => !nodes[id].before || !OF_THE_RUN.includes(key))),
      value: nodes[id].value,
      ...(nodes[id].upstream === null ? {} : { upstream: nodes[id].upstream }),
      operands: given.operands.map((operand, i) => {
        const now = nodes[id].operands[i];
        return Object.fromEntries(Object.entries(operand).map(([key, x]) => [key, VARYING.includes(key) ? now[key] : x])
          .filter(([, x]) => x !== null));
      }),
    }));
    const changes = [...this.edits.values()].map(({ id, at, value }) => ({ node: id, entry: at, value }));
    const { output_values, trouble, groups } = this.graph;
    return { ...raw, nodes: filled, output_values, trouble, groups, units: [], changes };
  }
}

/** A small local Jacobian by its entries: rows, columns, entries (left out where all are 1). */
function matrixNow(before, entries, places) {
  const [rows, columns] = places;
  if (before === null) return null;
  const kept = Array.from(entries, (_, i) => i).filter((i) => !rows || entries[i] !== 0);
  const at = rows ? [rows, columns].map((from) => kept.map((i) => from[i])) : before.slice(0, 2);
  const found = kept.map((i) => plainNumber(entries[i]));
  return found.every((x) => x === 1) ? at : [...at, found];
}

function branchText({ where, then, now, dtype }) {
  const text = (x) => (dtype === "bool" ? (x ? "True" : "False") : String(x));
  return `Not computed: Python asked for a value at ${where}; then it was ${text(then)}, with this input ` +
    `${text(now)}, and the program would go another way.`;
}

/** Where NaN or Inf begin: at a node that has some, but whose operands have none. */
function troubleOf(graph) {
  const begins = (faulty, sources) => faulty && !sources.some(isFaulty);
  const text = ["NaN or Inf begin here, with the inputs as they are changed."];
  for (const node of graph.nodes) {
    const sources = node.operands.map((o) => (o.node === null ? o.value : graph.nodes[o.node].value));
    if (begins(isFaulty(node.value), sources)) return { node: node.id, text };
  }
  for (const node of [...graph.nodes].reverse()) {
    const sources = node.consumers.map((edge) => graph.nodes[edge.target].upstream);
    if (begins(isFaulty(node.upstream), sources)) return { node: node.id, text };
  }
  return null;
}
