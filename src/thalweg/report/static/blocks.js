/** Groups of nodes shown as one card: which there are, and the drawing when some are collapsed.
 *
 * A collapsed group stands where one of its nodes stood; what is empty then closes up by maps of x
 * and of y that keep the order, so nothing changes sides and nothing else is drawn anew.
 */

import { brief, entriesOf, isNumber } from "./format.js";
import { bus, portsPitch, route } from "./data.js";

/** Height of an empty stripe that is left of a larger one. */
const STRIPE = 60;

/** Blocks with their members and their card; nodes know (`within`) the innermost one around them. */
export function readBlocks(graph) {
  graph.blocks = graph.raw.blocks.map((given, number) => ({
    number,
    id: graph.nodes.length + number,
    name: given.name,
    kind: given.kind,
    parent: given.parent ?? null,
    get group() { return given.group === undefined ? null : graph.groups[given.group]; },
    members: given.members.flatMap(([first, last]) =>
      Array.from({ length: last - first + 1 }, (_, i) => first + i)),
    card: null,
  }));
  for (const node of graph.nodes) Object.assign(node, { block: null, within: null });
  for (const block of graph.blocks) for (const id of block.members) graph.nodes[id].within = block.number;
  for (const block of graph.blocks) block.card = cardOf(graph, block);
  graph.card = (id) => graph.nodes[id] ?? graph.blocks[id - graph.nodes.length].card;
  graph.blockOf = (id) => graph.blocks[id - graph.nodes.length] ?? null;
  graph.count = graph.nodes.length + graph.blocks.length;
}

/** Blocks around a node or a block's card, the innermost first. */
export function around(graph, id) {
  const found = [];
  const own = graph.blockOf(id);
  for (let at = own ? own.parent : graph.nodes[id].within; at !== null; at = graph.blocks[at].parent) {
    found.push(graph.blocks[at]);
  }
  return found;
}

/** The card of a block, in the place of the member that lies between all that it uses and serves. */
function cardOf(graph, block) {
  const inside = new Set(block.members);
  let first = -1;
  let last = Infinity;
  let end = block.members.at(-1);
  for (const id of block.members) {
    const node = graph.nodes[id];
    for (const { node: source } of node.operands) {
      if (source !== null && !inside.has(source)) first = Math.max(first, graph.nodes[source].home.layer);
    }
    const out = node.consumers.filter(({ target }) => !inside.has(target));
    for (const { target } of out) last = Math.min(last, graph.nodes[target].home.layer);
    if (out.length || node.output) end = id;
  }
  const between = block.members.filter((id) => {
    const { layer } = graph.nodes[id].home;
    return layer > first && layer < last;
  });
  const place = graph.nodes[between.includes(end) || !between.length ? end : between.at(-1)];
  const result = graph.nodes[end];
  return {
    id: block.id, block, stands: end, home: place.home, place: place.id,
    label: `${block.members.length} nodes`, named: true,
    gate: block.kind === "step" ? block.name.split(", ").at(-1) : block.name, expression: block.name,
    file: null, line: null, source: "", input: false, constant: false,
    output: block.members.some((id) => graph.nodes[id].output),
    get value() { return result.value; },
    get upstream() { return result.upstream; },
    get before() { return result.before; },
    get symptoms() { return block.members.flatMap((id) => (graph.nodes[id].before ? [] : graph.nodes[id].symptoms)); },
    get error() {
      const errors = block.members.map((id) => graph.nodes[id].error).filter((error) => error !== null);
      return errors.length ? errors.reduce((a, b) => (Number(a) > Number(b) ? a : b)) : null;
    },
    operands: [], consumers: [],
    layer: 0, x: 0, y: 0, way: [], wires: place.wires,
    width: place.width, height: place.height, pitch: place.pitch,
  };
}

/** One wire into a collapsed group for all that come from the same card. */
function bundle(source) {
  const wires = [];
  return {
    node: source,
    wires,
    get kind() { return wires.every(({ operand }) => operand.kind === null) ? null : ""; },
    get local() { return null; },
    entries: null,
    size: null,
    get downstream() {
      const given = wires.map(({ operand }) => operand.downstream).filter((value) => value !== null);
      if (given.length < 2) return given[0] ?? null;
      return given.every((value) => isNumber(value) && typeof entriesOf(value)[0] === "number")
        ? given.reduce((sum, value) => sum + entriesOf(value)[0], 0) : null;
    },
  };
}

/** Lay the graph out with these blocks (their numbers) collapsed. */
export function arrange(graph, collapsed) {
  const closed = new Set(collapsed);
  const roots = [];
  for (const block of graph.blocks) {
    const above = block.parent === null ? null : roots[block.parent];
    roots.push(above ?? (closed.has(block.number) ? block.number : null));
  }
  graph.standsFor = (id) => {
    if (id >= graph.nodes.length) {
      const root = roots[id - graph.nodes.length];
      return root === null ? id : graph.nodes.length + root;
    }
    const { within } = graph.nodes[id];
    return within === null || roots[within] === null ? id : graph.nodes.length + roots[within];
  };
  graph.visible = [...graph.nodes.filter((node) => graph.standsFor(node.id) === node.id),
    ...graph.blocks.filter((block) => roots[block.number] === block.number).map((block) => block.card)];
  const edges = connect(graph);
  squeeze(graph, edges);
  graph.edges = [...buses(graph, edges), ...edges];
  for (const edge of graph.edges) {
    Object.assign(edge, edge.target === null ? bus(graph, edge) : route(graph, edge));
  }
  graph.layers = graph.columns.map(() => []);
  for (const card of graph.visible) graph.layers[card.layer].push(card.id);
  for (const layer of graph.layers) layer.sort((a, b) => graph.card(a).y - graph.card(b).y);
}

/** The wires between what is shown; those into one group from the same card are one. */
function connect(graph) {
  const bundles = new Map();
  const edges = [];
  for (const card of graph.visible) {
    if (card.block) card.operands = [];
    if (card.block) card.consumers = [];
  }
  for (const wire of graph.wires) {
    const target = graph.standsFor(wire.target);
    const source = wire.source === null ? null : graph.standsFor(wire.source);
    if (target === source || (target !== wire.target && source === null)) continue;
    let edge = wire;
    if (target !== wire.target) {
      const key = `${source} ${target}`;
      edge = bundles.get(key);
      if (!edge) {
        const card = graph.card(target);
        const operand = bundle(source);
        edge = { target, source, operand, position: card.operands.length };
        card.operands.push(operand);
        bundles.set(key, edge);
        edges.push(edge);
      }
      edge.operand.wires.push(wire);
    } else {
      if (source !== wire.source) edge = { ...wire, source };
      edges.push(edge);
    }
    if (source !== null && graph.card(source).block) graph.card(source).consumers.push(edge);
  }
  for (const card of graph.visible) {
    if (card.block) card.pitch = portsPitch(card);
  }
  return edges;
}

/** Close up columns and stripes in which nothing is left. */
function squeeze(graph, edges) {
  const used = new Set(graph.visible.map((card) => card.home.layer));
  const kept = [];
  const places = graph.home.columns.map((_, layer) => {
    if (used.has(layer)) kept.push(layer);
    return kept.length - 1;
  });
  for (const card of graph.visible) {
    card.layer = places[card.home.layer];
    card.way = card.home.way.filter((_, hop) => used.has(card.home.layer + 1 + hop));
  }
  const whole = kept.length === graph.home.columns.length && graph.visible.length === graph.nodes.length;
  let x = 0;
  graph.columns = kept.map((layer) => {
    const [left, width] = graph.home.columns[layer];
    const next = graph.home.columns[layer + 1];
    const column = [whole ? left : x, width];
    x += next ? next[0] - left : width;
    return column;
  });
  const map = whole ? (y) => y : stripes(graph, edges);
  for (const card of graph.visible) {
    card.x = graph.columns[card.layer][0];
    const middle = card.home.y + card.height / 2;
    card.y = map(middle) - card.height / 2;
    card.way = card.way.map(map);
  }
  const last = graph.columns.at(-1) ?? [0, 0];
  graph.width = last[0] + last[1];
  graph.height = whole ? graph.home.height : map(graph.home.height);
}

/** The map of heights that makes every empty stripe a narrow one. */
function stripes(graph, edges) {
  const spans = graph.visible.map((card) => [card.home.y, card.home.y + card.height]);
  for (const { source, hop } of buses(graph, edges)) {
    const height = graph.card(source).way[hop];
    spans.push([height - 8, height + 8]);
  }
  spans.sort((a, b) => a[0] - b[0]);
  const ends = [[0, 0]]; // from this height on, so much is taken away
  let below = 0;
  for (const [top, bottom] of spans) {
    if (top > below + STRIPE) ends.push([top, ends.at(-1)[1] + top - below - STRIPE]);
    below = Math.max(below, bottom);
  }
  return (height) => {
    let [low, high] = [0, ends.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (ends[middle][0] <= height) low = middle;
      else high = middle - 1;
    }
    return height - ends[low][1];
  };
}

/** The pieces of shared wires that are needed. */
function buses(graph, edges) {
  const reach = new Map();
  for (const { source, target } of edges) {
    if (source === null) continue;
    const card = graph.card(source);
    const hops = graph.card(target).layer - card.layer - 1;
    if (hops > 0 && hops <= card.way.length) reach.set(source, Math.max(reach.get(source) ?? 0, hops));
  }
  return [...reach].flatMap(([source, hops]) =>
    Array.from({ length: hops }, (_, hop) => ({ source, target: null, hop })));
}

/** What a screen reader hears of a group. */
export function toldOf(block) {
  return `${block.name}, ${block.members.length} nodes as one, value ${brief(block.card.value)}`;
}
