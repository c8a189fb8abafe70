/** The forward and the backward equation of a node: with symbols, with shapes, with numbers. */

import { cut, entriesOf, entry, isNumber, shapeOf, sizeOf } from "./format.js";
import { coloured, equation, joined, math, operator, parenthesised, partial, row } from "./math.js";

const INFIX = new Set(["+", "-", "*", "/", "//", "%", "**", "@", "<", "<=", ">", ">=", "==", "!="]);
const SIGNS = { "*": "·", "-": "−", "@": "@" };
/** Entries up to which an array is written out, and terms up to which a sum is. */
const SMALL = 9;
export const TERMS = 12;

function hasName(node) {
  return node.named || /^\w+$/.test(node.label);
}

/** What the symbols v with a number stand for, of the nodes that a node's equations speak of. */
export function legend(graph, node) {
  const [output] = graph.outputs;
  const ids = new Set([output, node.id, ...node.operands.map((operand) => operand.node),
    ...node.consumers.slice(0, TERMS).map((edge) => edge.target)]);
  return [...ids].filter((id) => id !== null && id !== undefined && !hasName(graph.nodes[id]))
    .map((id) => graph.nodes[id]);
}

/** The node's name; v with its number, where it has none. */
export function symbol(node) {
  if (hasName(node)) return math("mi", cut(node.label, 20));
  return math("msub", math("mi", "v"), math("mn", String(node.id)));
}

function lossSymbol(graph) {
  const [output] = graph.outputs;
  const alone = graph.outputs.length === 1 && output !== null;
  if (alone && isNumber(graph.nodes[output].value) && Number(graph.nodes[output].upstream) === 1) {
    return symbol(graph.nodes[output]);
  }
  return math("mi", "L");
}

export function gradientSymbol(graph, node) {
  return partial(lossSymbol(graph), symbol(node));
}

/** A value as a formula: a number, a small vector or matrix, the shape of anything larger. */
export function valueFormula(value, role) {
  const entries = entriesOf(value);
  const shape = shapeOf(value);
  if (entries && entries.length === 1 && shape.length === 0) {
    return coloured("mn", role, entry(entries[0]));
  }
  if (!entries || !entries.length || entries.length > SMALL || shape.length > 2) {
    return coloured("mtext", role, value?.text ?? `[${shape.join(",")}]`);
  }
  const columns = shape.at(-1);
  const rows = [];
  for (let start = 0; start < entries.length; start += columns) {
    const cells = entries.slice(start, start + columns);
    rows.push(math("mtr", ...cells.map((x) => math("mtd", math("mn", entry(x, 5))))));
  }
  return coloured("mrow", role, operator("["), math("mtable", ...rows), operator("]"));
}

/** As a factor: a negative number in parentheses. */
function factor(value, role) {
  const entries = entriesOf(value);
  const formula = valueFormula(value, role);
  const negative = isNumber(value) && entries && entry(entries[0]).startsWith("-");
  return negative ? parenthesised(formula) : formula;
}

function applied(node, operands) {
  if (INFIX.has(node.gate) && operands.length === 2) {
    return row(...joined(operands, SIGNS[node.gate] ?? node.gate));
  }
  if (node.gate === "neg" && operands.length === 1) return row(operator("−"), operands[0]);
  const shown = operands.length > 8 ? [...operands.slice(0, 7), operator("…")] : operands;
  return row(math("mi", node.gate), parenthesised(...joined(shown, ",")));
}

/** Lines of the forward equation. */
export function forward(graph, node, { reveal }) {
  const own = () => symbol(node);
  if (node.input || !node.operands.length) {
    return [equation(own(), operator("="), reveal ? valueFormula(node.value, "value") : operator("?"))];
  }
  const values = node.operands.map((o) => (o.node === null ? o.value : graph.nodes[o.node].value));
  const symbols = node.operands.map((o) =>
    o.node === null ? factor(o.value, "") : symbol(graph.nodes[o.node]));
  const lines = [equation(own(), operator("="), applied(node, symbols))];
  if (!values.every(isNumber)) {
    const shapes = values.map((value) => math("mtext", `[${shapeOf(value).join(",")}]`));
    lines.push(equation(math("mtext", `[${shapeOf(node.value).join(",")}]`), operator("="),
      applied(node, shapes)));
  }
  const small = [...values, node.value].every((value) => entriesOf(value) && sizeOf(value) <= SMALL);
  if (small && reveal) {
    lines.push(equation(own(), operator("="), applied(node, values.map((v) => factor(v, "value"))),
      operator("="), valueFormula(node.value, "value")));
  }
  return lines;
}

/** How one consumer's share is written: in symbols, and in words where that needs some. */
function share(graph, node, edge) {
  const consumer = graph.nodes[edge.target];
  const above = gradientSymbol(graph, consumer);
  const local = partial(symbol(consumer), symbol(node));
  const kind = edge.operand.kind ?? "";
  const other = consumer.operands[1 - edge.position];
  const transposed = () =>
    math("msup", other.node === null ? math("mi", "const") : symbol(graph.nodes[other.node]),
      math("mi", "⊤"));
  if (isNumber(consumer.value) && isNumber(node.value)) return row(above, operator("·"), local);
  if (kind === "matmul left" && consumer.operands.length === 2) {
    return row(transposed(), operator("·"), above);
  }
  if (kind === "matmul right" && consumer.operands.length === 2) {
    return row(above, operator("·"), transposed());
  }
  if (kind === "identity") return above;
  if (["diagonal", "router", "scale"].includes(kind)) return row(above, operator("⊙"), local);
  return row(math("msup", parenthesised(local), math("mi", "⊤")), operator("·"), above);
}

/** What a reader should know about a share that is not a plain product. */
export function remark(graph, node, edge) {
  const consumer = graph.nodes[edge.target];
  const name = node.named ? node.label : "it";
  const kind = edge.operand.kind ?? "";
  const to = `[${shapeOf(node.value).join(",")}]`;
  const from = `[${shapeOf(consumer.value).join(",")}]`;
  if (kind.includes("broadcast")) {
    return `${from} summed to ${to}, because ${name} is repeated there`;
  }
  if (kind.startsWith("matmul")) {
    const other = consumer.operands[1 - edge.position];
    if (!other) return "";
    const value = other.node === null ? other.value : graph.nodes[other.node].value;
    const flipped = `[${[...shapeOf(value)].reverse().join(",")}]`;
    return kind === "matmul left" ? `${flipped} · ${from} → ${to}` : `${from} · ${flipped} → ${to}`;
  }
  if (kind === "sum" || kind === "weighted sum") return `${from} repeated to ${to}`;
  return "";
}

function numbersOf(graph, node, edge) {
  const consumer = graph.nodes[edge.target];
  const { operand } = edge;
  if (isNumber(consumer.value) && isNumber(node.value) && operand.local !== null &&
      consumer.upstream !== null) {
    return row(factor(consumer.upstream, "gradient"), operator("·"), factor(operand.local, "local"));
  }
  if (isProduct(graph, node, edge)) {
    return row(factor(consumer.upstream, "gradient"), operator("⊙"), factor(operand.entries, "local"));
  }
  return factor(operand.downstream, "gradient");
}

/** Whether a share can be written as upstream times local, entry by entry. */
function isProduct(graph, node, edge) {
  const consumer = graph.nodes[edge.target];
  const { operand } = edge;
  if (consumer.upstream === null) return false;
  if (isNumber(consumer.value) && isNumber(node.value)) return operand.local !== null;
  const same = shapeOf(consumer.value).join() === shapeOf(node.value).join();
  const held = operand.entries !== null && entriesOf(operand.entries) !== null;
  return same && held && entriesOf(consumer.upstream) !== null && sizeOf(operand.entries) <= SMALL &&
    ["diagonal", "router", "scale"].includes(operand.kind);
}

/** Lines of the backward equation: the sum over all that use the node. */
export function backward(graph, node, { reveal, all }) {
  const own = () => gradientSymbol(graph, node);
  const paths = node.consumers.filter((edge) => edge.operand.kind !== null);
  const shown = all ? paths : paths.slice(0, TERMS);
  const symbols = shown.map((edge) => share(graph, node, edge));
  const more = paths.length > shown.length ? [operator("+"), operator("⋯")] : [];
  const start = node.output ? [math("mtext", "given")] : [];
  const lines = [];
  if (symbols.length + start.length) {
    lines.push(equation(own(), operator("="), ...joined([...start, ...symbols], "+"), ...more));
  }
  if (node.upstream === null || !reveal) return lines;
  const ready = shown.every((edge) => edge.operand.downstream !== null);
  const small = entriesOf(node.upstream) && sizeOf(node.upstream) <= SMALL;
  const telling = paths.length > 1 || (paths.length === 1 && isProduct(graph, node, paths[0]));
  if (ready && small && telling && !node.output) {
    lines.push(equation(own(), operator("="),
      ...joined(shown.map((edge) => numbersOf(graph, node, edge)), "+"), ...more,
      operator("="), valueFormula(node.upstream, "gradient")));
  }
  return lines;
}
