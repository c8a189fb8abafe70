/** The page's data as a graph: texts in place, edges both ways, the place of everything. */

const LINE = 20;

export function read(element) {
  return graphOf(JSON.parse(element.textContent));
}

/** What of an operand is another one in another run; `text` gives the texts of the data. */
export function operandNumbers(operand, text) {
  return {
    value: operand.value,
    kind: operand.kind === undefined ? null : text(operand.kind),
    local: operand.local ?? null,
    entries: operand.entries ?? null,
    size: operand.size ?? (operand.kind === undefined ? null : [1, 1, 1, 8]),
    matrix: operand.matrix ?? null,
    spy: operand.spy ?? null,
    downstream: operand.downstream ?? null,
  };
}

export function graphOf(data) {
  const text = (place) => data.texts[place];
  const nodes = data.nodes.map((given, id) => {
    const [layer, y, width, height, wires, pitch] = given.place;
    const base = text(given.base);
    const at = given.at ?? [];
    return {
      id,
      label: given.repeat ? `${base}.${given.repeat}` : base,
      gate: text(given.gate),
      named: Boolean(given.named),
      expression: given.expression === undefined ? base : text(given.expression),
      file: given.at ? text(at[0]) : null,
      line: given.at ? at[1] : null,
      source: given.at ? text(at[2]) : "",
      input: Boolean(given.input),
      output: false,
      constant: Boolean(given.constant),
      value: given.value,
      upstream: given.upstream ?? null,
      symptoms: given.symptoms ?? [],
      before: null,
      error: given.error ?? null,
      operands: given.operands.map((operand) => ({ node: operand.node ?? null, ...operandNumbers(operand, text) })),
      consumers: [],
      width, height, wires, pitch,
      home: { layer, y, way: given.way ?? [] },
    };
  });
  const wires = [];
  for (const node of nodes) {
    node.operands.forEach((operand, position) => {
      const edge = { target: node.id, position, source: operand.node, operand };
      wires.push(edge);
      if (operand.node !== null) nodes[operand.node].consumers.push(edge);
    });
  }
  for (const output of data.outputs) if (output !== null) nodes[output].output = true;
  return { ...data, raw: data, nodes, wires, home: { columns: data.columns, height: data.height } };
}

/** Height at which an operand's wire comes in. */
export function portOf(node, position) {
  return node.y + node.height / 2 + node.pitch * (position - (node.operands.length - 1) / 2);
}

/** The distance at which a card's wires come in, where it has no room of its own for them. */
export function portsPitch(card) {
  return Math.min(36, (card.height - 2 * LINE) / Math.max(card.operands.length, 1));
}

export function bodyOf(node) {
  return { x: node.x + node.wires, y: node.y + LINE, width: node.width - node.wires,
    height: node.height - 2 * LINE };
}

/** From a place to one further right: the path, and the box that it lies in. */
function bend(start, from, to, end) {
  const [x, y] = from;
  const [nextX, nextY] = to;
  const reach = Math.min(Math.abs(nextX - x) / 2, 60);
  return {
    path: `M${start} ${y}H${x}C${x + reach} ${y} ${nextX - reach} ${nextY} ${nextX} ${nextY}H${end}`,
    box: [Math.min(start, nextX), Math.min(y, nextY) - 14, Math.max(x, end), Math.max(y, nextY) + 14],
  };
}

/** Where a node's wire leaves a column, after so many columns besides its own. */
function leaves(graph, source, hops) {
  const [left, width] = graph.columns[source.layer + hops];
  return [left + width, hops ? source.way[hops - 1] : source.y + source.height / 2];
}

/** One piece of the wire that the edges of a node share: through one column. */
export function bus(graph, { source, hop }) {
  const node = graph.card(source);
  const [left, width] = graph.columns[node.layer + 1 + hop];
  const from = leaves(graph, node, hop);
  return bend(hop ? from[0] : node.x + node.width, from, [left, node.way[hop]], left + width);
}

/** The last piece of an edge, to its operand's place; all of it, where there is no shared wire. */
export function route(graph, edge) {
  const target = graph.card(edge.target);
  const port = portOf(target, edge.position);
  const end = target.x + target.wires;
  if (edge.source === null) {
    const start = target.x + 4;
    return { path: `M${start} ${port}H${end}`, box: [start, port - 14, end, port + 14] };
  }
  const source = graph.card(edge.source);
  const hops = target.layer - source.layer - 1;
  const shared = hops > 0 && source.way.length >= hops ? hops : 0;
  const from = leaves(graph, source, shared);
  return bend(shared ? from[0] : source.x + source.width, from, [target.x, port], end);
}
