/** The page: reads the data, joins the parts, listens to keys and buttons. */

import { read } from "./data.js";
import { brief } from "./format.js";
import { fillKeys } from "./keys.js";
import { nodePanel, overviewPanel } from "./panel.js";
import { startSearch } from "./search.js";
import { change, listen, readFragment, state } from "./state.js";
import { stepsOf } from "./steps.js";
import { View } from "./view.js";

const SECOND = 1000;
const byId = (id) => document.getElementById(id);

const graph = read(byId("data"));
const steps = stepsOf(graph);
const stage = byId("stage");
const panel = byId("panel");
const dark = matchMedia("(prefers-color-scheme: dark)");
let playing = null;

const view = new View(graph,
  { stage, canvas: byId("overview"), world: byId("world"), edgeLayer: byId("edges"), cards: byId("cards") },
  { onChoose: (id) => change({ node: id }), onMove: (place) => change({ view: place }) });
view.isShown = (id) => ({
  value: steps.hasValue(state.step, id),
  gradient: steps.hasGradient(state.step, id),
  everything: state.step === null,
});

function fillHeader() {
  byId("title").textContent = graph.function;
  byId("title").title = graph.function;
  const output = graph.output_values.map((value) => brief(value)).join(", ");
  const backward = graph.backward ? "" : " · backward not run";
  byId("subtitle").textContent = `${graph.nodes.length} nodes · output ${output}${backward}`;
  const warnings = [];
  if (!graph.backward) warnings.push("backward not run: there are no gradients to show");
  if (graph.trouble) warnings.push(`NaN or Inf begin at ${graph.nodes[graph.trouble.node].label.slice(0, 40)} (!)`);
  byId("warning").hidden = !warnings.length;
  byId("warning").textContent = warnings.join(" · ");
}

function fillPanel() {
  const node = state.node === null ? null : graph.nodes[state.node];
  panel.replaceChildren(...(node ? nodePanel(graph, node, view.isShown(node.id)) : overviewPanel(graph)));
  panel.scrollTop = 0;
  byId("said").textContent = node
    ? `${node.label}, ${node.gate}, value ${brief(node.value)}, gradient ${node.upstream === null ? "none" : brief(node.upstream)}`
    : "";
}

function fillStep() {
  const event = state.step === null ? null : steps.event(state.step);
  byId("step").textContent = state.step === null ? ""
    : `${state.step}/${steps.count} ${event ? event.pass : "start"}`;
  byId("play").textContent = playing === null ? "play" : "pause";
}

function applyTheme() {
  document.documentElement.dataset.theme = state.theme ?? (dark.matches ? "dark" : "light");
  view.request();
}

function goTo(step) {
  const next = Math.min(Math.max(step, 0), steps.count);
  change({ step: next, node: steps.event(next)?.node ?? null });
}

function move(by) {
  goTo((state.step ?? (by > 0 ? 0 : steps.count)) + by);
}

function stop() {
  clearInterval(playing);
  playing = null;
  fillStep();
}

function play() {
  if (playing !== null) {
    stop();
    return;
  }
  if (state.step === null || state.step === steps.count) goTo(0);
  playing = setInterval(() => {
    if (state.step === null || state.step >= steps.count) stop();
    else move(1);
  }, Math.max(SECOND * 0.9 - steps.count * 4, 120));
  fillStep();
}

function save(name, type, text) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), SECOND);
}

/** Along an edge, or up and down in a column. */
function walk(key) {
  if (state.node === null) {
    change({ node: graph.inputs[0] ?? 0 });
    return;
  }
  const node = graph.nodes[state.node];
  const column = graph.layers[node.layer];
  const place = column.indexOf(node.id);
  const next = {
    ArrowLeft: node.operands.find((operand) => operand.node !== null)?.node,
    ArrowRight: node.consumers[0]?.target,
    ArrowUp: column[place - 1],
    ArrowDown: column[place + 1],
  }[key];
  if (next !== undefined && next !== null) change({ node: next });
}

const actions = {
  n: () => move(1),
  p: () => move(-1),
  " ": play,
  Home: () => goTo(0),
  End: () => { stop(); change({ step: null }); },
  "+": () => view.zoom(1.3),
  "=": () => view.zoom(1.3),
  "-": () => view.zoom(1 / 1.3),
  0: () => { view.fit(); view.moved(); },
  t: () => change({ theme: document.documentElement.dataset.theme === "dark" ? "light" : "dark" }),
  "/": () => byId("search").focus(),
  "?": () => byId("keys").showModal(),
  Escape: () => { stop(); change({ node: null }); },
};
for (const key of ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"]) actions[key] = () => walk(key);

document.addEventListener("keydown", (event) => {
  const inside = event.target.closest("#panel, dialog, input, button");
  if (event.ctrlKey || event.metaKey || event.altKey || byId("keys").open) return;
  if (inside && (event.key === " " || (event.key.startsWith("Arrow") && inside.id === "panel"))) return;
  const action = actions[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});

const buttons = { first: "Home", back: "p", play: " ", next: "n", last: "End", out: "-", fit: "0", in: "+", theme: "t", help: "?" };
for (const [id, key] of Object.entries(buttons)) byId(id).addEventListener("click", () => actions[key]());
byId("svg").addEventListener("click", () => save("graph.svg", "image/svg+xml", view.picture()));
byId("json").addEventListener("click", () => save("trace.json", "application/json", byId("data").textContent));
panel.addEventListener("click", (event) => {
  const link = event.target.closest("[data-go]");
  if (link) change({ node: Number(link.dataset.go) });
});

listen((before) => {
  if (state.theme !== before.theme) applyTheme();
  if (state.node !== before.node || state.step !== before.step) {
    view.choose(state.node);
    if (state.node !== null) view.show(state.node);
    fillPanel();
    fillStep();
  }
});

function restore() {
  Object.assign(state, readFragment(location.hash, graph.nodes.length, steps.count));
  applyTheme();
  if (state.view) view.set(state.view);
  else view.fit(false);
  view.choose(state.node);
  if (state.node !== null && !state.view) view.show(state.node);
  fillPanel();
  fillStep();
}

window.addEventListener("popstate", restore);
dark.addEventListener("change", applyTheme);
fillHeader();
fillKeys(byId("keys"));
startSearch(graph, byId("search"), byId("found"), (id) => {
  stage.focus();
  change({ node: id });
});
restore();
document.documentElement.dataset.ready = "true";
