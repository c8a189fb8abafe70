/** The stage: pan and zoom; near, cards as SVG; far, where they are many, boxes on a canvas. */

import { around } from "./blocks.js";
import { drawCard, drawEdge } from "./card.js";
import { svg } from "./math.js";
import { Overview } from "./overview.js";

/** Cards that are drawn as SVG at most. */
const MOST = 360;
/** Cards up to which a graph is shown as a whole at first. */
const FEW = 40;
const SMALLEST = 0.0002;
const LARGEST = 4;

export class View {
  constructor(graph, elements, callbacks) {
    this.graph = graph;
    this.stage = elements.stage;
    this.overview = new Overview(elements.canvas);
    this.world = elements.world;
    this.edgeLayer = elements.edgeLayer;
    this.cards = elements.cards;
    this.onChoose = callbacks.onChoose;
    this.onOpen = callbacks.onOpen;
    this.onMove = callbacks.onMove;
    this.x = 0;
    this.y = 0;
    this.scale = 1;
    /** @type {boolean | null} whether `fit` has placed it, as a whole or not */
    this.fitted = null;
    this.cardsShown = new Map();
    this.edgesShown = new Map();
    this.waiting = false;
    this.moving = false; // by wheel or pointer, just now
    this.onPaper = false; // while it is printed as a whole
    /** @type {(id: number) => { value: boolean, gradient: boolean, everything: boolean }} */
    this.isShown = () => ({ value: true, gradient: true, everything: true });
    this.chosen = null;
    this.path = new Set();
    this.pathReach = new Map();
    this.heat = null;
    this.listen();
    // A page in a frame gets its size late: until somebody moves it, the graph is fitted again.
    new ResizeObserver(() => (this.fitted === null ? this.request() : this.fit(this.fitted)))
      .observe(this.stage);
  }

  /** Forget what is drawn: the numbers or the choice have changed. */
  redraw() {
    this.moving = false;
    for (const map of [this.cardsShown, this.edgesShown]) {
      for (const element of map.values()) element.remove();
      map.clear();
    }
    this.request();
  }

  request() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.draw();
    });
  }

  /**
   * The part of the drawing that can be seen.
   * @returns {[number, number, number, number]}
   */
  window() {
    const { clientWidth, clientHeight } = this.stage;
    const margin = 40 / this.scale;
    return [this.x - margin, this.y - margin, this.x + clientWidth / this.scale + margin,
      this.y + clientHeight / this.scale + margin];
  }

  draw() {
    if (this.onPaper) return;
    this.world.setAttribute("transform",
      `scale(${this.scale}) translate(${-this.x} ${-this.y})`);
    if (this.moving && this.overview.move(this)) return;
    const box = this.window();
    const { seen, edges } = this.part(box);
    const few = seen.length <= MOST && edges.length <= 3 * MOST;
    this.keep(this.cardsShown, few ? seen : [], (node) => this.card(node), this.cards);
    this.keep(this.edgesShown, few ? edges : [], (edge) => this.edge(edge), this.edgeLayer);
    if (few) this.overview.hide();
    else this.overview.paint(this, box, (larger) => this.part(larger));
  }

  /** For paper the whole drawing, as large as the sheet lets it; a very large one as it is seen. */
  paper(on) {
    const { width, height, visible, edges } = this.graph;
    const picture = this.world.ownerSVGElement;
    this.onPaper = on && visible.length <= MOST && edges.length <= 3 * MOST;
    if (!this.onPaper) {
      picture.removeAttribute("viewBox");
      this.request();
      return;
    }
    picture.setAttribute("viewBox", `-20 -30 ${width + 40} ${height + 60}`);
    this.world.removeAttribute("transform");
    this.overview.hide();
    this.keep(this.cardsShown, visible, (node) => this.card(node), this.cards);
    this.keep(this.edgesShown, edges, (edge) => this.edge(edge), this.edgeLayer);
  }

  /** The cards and wires that lie in a box. */
  part([left, top, right, bottom]) {
    return {
      seen: this.graph.visible.filter(({ x, y, width, height }) =>
        x <= right && left <= x + width && y <= bottom && top <= y + height),
      edges: this.graph.edges.filter(({ box }) =>
        box[0] <= right && left <= box[2] && box[1] <= bottom && top <= box[3]),
    };
  }

  keep(shown, wanted, draw, parent) {
    const left = new Set(shown.keys());
    for (const item of wanted) {
      left.delete(item);
      if (shown.has(item)) continue;
      const element = draw(item);
      shown.set(item, element);
      parent.append(element);
    }
    for (const item of left) {
      shown.get(item).remove();
      shown.delete(item);
    }
  }

  card(node) {
    const element = drawCard(this.graph, node, this.isShown(node.id), this.heat);
    element.classList.toggle("chosen", node.id === this.chosen);
    element.classList.toggle("near", this.near?.has(node.id) ?? false);
    element.classList.toggle("path", this.path.has(node.id));
    element.classList.toggle("mate", this.mates?.has(node.id) ?? false);
    return element;
  }

  /** Mark these nodes: a path between two. */
  markPath(ids) {
    this.path = new Set(ids.map((id) => this.graph.standsFor(id)));
    this.pathReach = new Map(); // how far their shared wires are on the way
    for (const { source, target } of this.graph.edges) {
      if (target === null || !this.path.has(source) || !this.path.has(target)) continue;
      const hops = this.graph.card(target).layer - this.graph.card(source).layer - 1;
      this.pathReach.set(source, Math.max(hops, this.pathReach.get(source) ?? 0));
    }
    this.redraw();
  }

  edge(edge) {
    if (edge.target === null) {
      const near = edge.source === this.chosen || edge.hop < (this.reached?.get(edge.source) ?? 0);
      const along = edge.hop < (this.pathReach.get(edge.source) ?? 0);
      return svg("g", { class: `edge${near ? " near" : ""}${along ? " path" : ""}` }, svg("path", { d: edge.path }));
    }
    const shown = this.isShown(edge.target);
    // A wire into a group is what several gates hand back: it is known when all of them are.
    const { wires } = edge.operand;
    if (wires) shown.gradient = wires.every((wire) => wire.operand.downstream === null || this.isShown(wire.target).gradient);
    const element = drawEdge(this.graph, edge, shown);
    element.classList.toggle("path", this.path.has(edge.source) && this.path.has(edge.target));
    element.classList.toggle("near", edge.source !== null && this.chosen !== null &&
      (edge.target === this.chosen || edge.source === this.chosen));
    return element;
  }

  /** Mark the card that stands for a node, and its neighbours. */
  choose(chosen) {
    const id = chosen === null ? null : this.graph.standsFor(chosen);
    this.chosen = id;
    this.near = new Set();
    this.mates = new Set(id === null ? [] : (around(this.graph, id)[0]?.members ?? []));
    this.reached = new Map(); // how far the chosen node's operands' shared wires lead to it
    if (id !== null) {
      const node = this.graph.card(id);
      for (const operand of node.operands) {
        if (operand.node === null) continue;
        const source = this.graph.standsFor(operand.node);
        this.near.add(source);
        this.reached.set(source, node.layer - this.graph.card(source).layer - 1);
      }
      for (const { target } of node.consumers) this.near.add(this.graph.standsFor(target));
    }
    this.redraw();
  }

  zoom(factor, left = this.stage.clientWidth / 2, top = this.stage.clientHeight / 2) {
    const scale = Math.min(Math.max(this.scale * factor, SMALLEST), LARGEST);
    this.x += left / this.scale - left / scale;
    this.y += top / this.scale - top / scale;
    this.scale = scale;
    this.moved();
  }

  moved() {
    this.fitted = null;
    this.request();
    clearTimeout(this.timer);
    this.moving = true;
    this.timer = setTimeout(() => {
      this.moving = false;
      this.request();
      this.onMove([this.x, this.y, this.scale]);
    }, 200);
  }

  set([x, y, scale]) {
    [this.x, this.y] = [x, y];
    this.scale = Math.min(Math.max(scale, SMALLEST), LARGEST);
    this.fitted = null;
    this.request();
  }

  /** Change the drawing, with a node or a group in its place on the screen. */
  rearranged(id, rearrange) {
    const place = () => {
      const shown = this.graph.standsFor(id);
      const block = this.graph.blockOf(shown);
      return this.graph.card(block && !this.graph.visible.includes(block.card) ? block.card.place : shown);
    };
    const before = place();
    const [left, top] = [before.x, before.y];
    rearrange();
    const after = place();
    [this.x, this.y] = [this.x + after.x - left, this.y + after.y - top];
    this.redraw();
  }

  /** The whole graph in the middle; a large one from its left end, at a size that can be read. */
  fit(whole = true) {
    const { clientWidth, clientHeight } = this.stage;
    const { width, height } = this.graph;
    const fits = Math.min((clientWidth - 48) / width, (clientHeight - 72) / height, 1.4);
    const few = this.graph.visible.length <= FEW;
    const scale = whole || (few && fits >= 0.3) ? fits : Math.max(fits, 0.8);
    const [wide, high] = [clientWidth / scale, clientHeight / scale];
    const x = fits < scale && width > wide ? -24 / scale : (width - wide) / 2;
    const middle = fits < scale && height > high ? this.middle(x, x + wide) : height / 2;
    this.set([x, middle - high / 2, scale]);
    this.fitted = whole;
  }

  /** The height of the card in the middle of those between two places from the left. */
  middle(left, right) {
    const seen = this.graph.visible.filter((node) => node.x < right && node.x + node.width > left)
      .map((node) => node.y + node.height / 2).sort((a, b) => a - b);
    return seen[seen.length >> 1] ?? this.graph.height / 2;
  }

  /** Bring a node into sight, moving as little as that takes. */
  show(id, zoom = true) {
    const node = this.graph.card(this.graph.standsFor(id));
    const { clientWidth, clientHeight } = this.stage;
    const far = !touches(this.window(), [node.x, node.y, node.x + node.width, node.y + node.height]);
    if (far || (zoom && this.scale < 0.35)) {
      const scale = zoom && this.scale < 0.35 ? 0.9 : this.scale;
      this.set([node.x + node.width / 2 - clientWidth / 2 / scale,
        node.y + node.height / 2 - clientHeight / 2 / scale, scale]);
      return;
    }
    const margin = 30 / this.scale;
    const within = (at, low, high, room) =>
      Math.min(Math.max(at, Math.min(high - room + margin, low - margin)), low - margin);
    this.set([
      within(this.x, node.x, node.x + node.width, clientWidth / this.scale),
      within(this.y, node.y, node.y + node.height, clientHeight / this.scale), this.scale]);
  }

  /** The node at a place on the stage. */
  at(left, top) {
    const [x, y] = [this.x + left / this.scale, this.y + top / this.scale];
    return this.graph.visible.find((node) => x >= node.x && x <= node.x + node.width &&
      y >= node.y && y <= node.y + node.height)?.id ?? null;
  }

  listen() {
    const { stage } = this;
    const place = (event) => {
      const box = stage.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    stage.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016)), ...place(event));
    }, { passive: false });
    const down = new Map();
    let travelled = 0;
    stage.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      down.set(event.pointerId, place(event));
      travelled = 0;
      stage.setPointerCapture(event.pointerId);
    });
    stage.addEventListener("pointermove", (event) => {
      const before = down.get(event.pointerId);
      if (!before) return;
      const now = place(event);
      if (down.size === 2) {
        const other = [...down].find(([id]) => id !== event.pointerId)[1];
        const apart = (p) => Math.hypot(p[0] - other[0], p[1] - other[1]) || 1;
        this.zoom(apart(now) / apart(before), ...other);
      } else {
        this.x -= (now[0] - before[0]) / this.scale;
        this.y -= (now[1] - before[1]) / this.scale;
        this.moved();
      }
      travelled += Math.abs(now[0] - before[0]) + Math.abs(now[1] - before[1]);
      stage.classList.toggle("moving", travelled > 4);
      down.set(event.pointerId, now);
    });
    const up = (event) => {
      if (!down.delete(event.pointerId)) return;
      stage.classList.remove("moving");
      if (event.type === "pointerup" && travelled <= 4) this.onChoose(this.at(...place(event)), event.shiftKey);
    };
    stage.addEventListener("dblclick", (event) => this.onOpen(this.at(...place(event))));
    stage.addEventListener("pointerup", up);
    stage.addEventListener("pointercancel", up);
  }

  /** The whole drawing as an SVG file, with the colours of now. */
  picture() {
    const { width, height } = this.graph;
    const rules = [...document.styleSheets].flatMap((sheet) => [...sheet.cssRules])
      .map((rule) => rule.cssText).filter((text) => text.startsWith("#graph"))
      .map((text) => text.replaceAll("#graph ", ""));
    const style = getComputedStyle(document.documentElement);
    const plain = rules.join("\n").replace(/var\((--\w+)\)/g,
      (_, name) => style.getPropertyValue(name).trim());
    const root = svg("svg", { xmlns: "http://www.w3.org/2000/svg",
      viewBox: `-20 -20 ${width + 40} ${height + 40}`, width: width + 40, height: height + 40 },
      svg("style", {}, plain),
      svg("rect", { x: -20, y: -20, width: width + 40, height: height + 40,
        fill: style.getPropertyValue("--ground").trim() }),
      ...this.graph.edges.map((edge) => this.edge(edge)),
      ...this.graph.visible.map((node) => this.card(node)));
    return new XMLSerializer().serializeToString(root);
  }
}

function touches(box, other) {
  return box[0] <= other[2] && other[0] <= box[2] && box[1] <= other[3] && other[1] <= box[3];
}
