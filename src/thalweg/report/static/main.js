/** The page: reads the data, joins the parts, listens to keys and buttons. */

import { onPaths } from "./between.js";
import { arrange, around, readBlocks, toldOf } from "./blocks.js";
import { read } from "./data.js";
import { brief } from "./format.js";
import { readKernels } from "./kernels.js";
import { fillKeys } from "./keys.js";
import { blockPanel } from "./groups.js";
import { pairPanel } from "./pair.js";
import { nodePanel, overviewPanel } from "./panel.js";
import { png, save } from "./save.js";
import { Quiz } from "./quiz.js";
import { startSearch } from "./search.js";
import { Dock } from "./dock.js";
import { showRun, startSeries } from "./series.js";
import { change, listen, readFragment, restoreState, state } from "./state.js";
import { stepsOf } from "./steps.js";
import { heatLegend, heatScale } from "./trouble.js";
import { View } from "./view.js";
import { WhatIf } from "./whatif.js";

const SECOND = 1000;
/** @returns {any} an element of page.html */
const byId = (id) => document.getElementById(id);

const graph = read(byId("data"));
readBlocks(graph);
readKernels(graph);
arrange(graph, []);
const steps = stepsOf(graph);
const stage = byId("stage");
const panel = byId("panel");
const what = new WhatIf(graph);
const dock = new Dock(graph, what, byId("whatif"));
const quiz = new Quiz(graph, steps, byId("quiz"), askAt);
const series = startSeries(graph,
  { group: byId("runs"), slider: byId("run"), label: byId("run-label"), play: byId("run-play") },
  (run) => change({ run }, false));
const dark = matchMedia("(prefers-color-scheme: dark)");
let playing = null;

const view = new View(graph,
  { stage, canvas: byId("overview"), world: byId("world"), edgeLayer: byId("edges"), cards: byId("cards") },
  { onChoose: choose, onOpen: (id) => toggle(id), onMove: (place) => change({ view: place }) });
const result = (id) => graph.card(id).stands ?? id;
view.isShown = (id) => ({
  value: steps.hasValue(state.step, result(id)),
  gradient: steps.hasGradient(state.step, result(id)),
  everything: state.step === null,
  asked: state.quiz ? quiz.askedAt(state.step)?.id : undefined,
  kernel: state.kernel,
});

function fillHeader() {
  byId("title").textContent = graph.function;
  byId("title").title = graph.function;
  const output = graph.output_values.map((value) => brief(value)).join(", ");
  const compiled = graph.kernels.length > 0;
  const backward = graph.backward || compiled ? "" : " · backward not run";
  byId("subtitle").textContent = `${graph.nodes.length} nodes${compiled ? ` in ${graph.kernels.length} kernels` : ""} · output ${output}${backward}`;
  const warnings = [];
  if (!graph.backward && !compiled) warnings.push("backward not run: there are no gradients to show");
  if (graph.trouble) warnings.push(`NaN or Inf begin at ${graph.nodes[graph.trouble.node].label.slice(0, 40)} (!)`);
  byId("warning").hidden = !warnings.length;
  byId("warning").textContent = warnings.join(" · ");
}

/** A click chooses; with shift, the second of two. */
function choose(id, second = false) {
  if (second && !state.quiz && state.node !== null && id !== state.node) change({ other: id });
  else change({ node: id });
}

/** The nodes of a pair; a group stands for its result. In the quiz none: it could be the answer. */
function pair() {
  if (state.quiz) return null;
  const ids = [state.node, state.other].map((id) => (id === null ? null : result(id)));
  return ids.includes(null) || ids[0] === ids[1] ? null : ids;
}

/** The chosen node as the one that others are compared with; again: no longer. */
function markNode() {
  change({ other: state.other === null ? state.node : null });
  if (state.other !== null) byId("said").textContent = `${graph.card(state.other).label} marked: choose another node`;
}

function contents() {
  const two = pair();
  if (two) return pairPanel(graph, ...two);
  if (state.node === null) return overviewPanel(graph, state, view.isShown);
  const block = graph.blockOf(state.node);
  return block ? blockPanel(graph, block, state, view.isShown(state.node)) : nodePanel(graph, graph.nodes[state.node], view.isShown(state.node), state);
}

/** What stands out in the drawing: the chosen node, the paths between two. */
function mark() {
  const two = pair();
  view.choose(two ? null : state.node);
  view.markPath(two ? onPaths(graph, ...two) : state.other === null ? [] : [state.other]);
}

function fillPanel() {
  // The link that a key has followed is gone: Tab goes on from the panel, not from the page's start.
  const focused = document.activeElement;
  const within = focused !== panel && panel.contains(focused) && focused.matches(":focus-visible");
  panel.replaceChildren(...contents());
  if (within) panel.focus({ preventScroll: true });
  const card = state.node === null ? null : graph.card(state.node);
  const shown = card && view.isShown(state.node);
  byId("said").textContent = !card ? "" : card.block ? toldOf(card.block)
    : `${card.label}, ${card.gate}, value ${shown.value ? brief(card.value) : "…"}, gradient ${card.upstream === null ? "none" : shown.gradient ? brief(card.upstream) : "…"}`;
}

function fillStep() {
  const event = state.step === null ? null : steps.event(state.step);
  byId("step").textContent = state.step === null ? ""
    : `${state.step}/${steps.count} ${event ? event.pass : "start"}`;
  byId("play").textContent = playing === null ? "play" : "pause";
}

function applyTheme() {
  document.documentElement.dataset.theme = state.theme ?? (dark.matches ? "dark" : "light");
  view.redraw();
}

/** Cards in the colour of their gradient's size, or as they are. */
function applyHeat() {
  view.heat = state.heat ? heatScale(graph) : null;
  byId("heat").setAttribute("aria-pressed", String(state.heat));
  byId("scale").hidden = !state.heat;
  if (view.heat) heatLegend(byId("scale"), view.heat);
  view.redraw();
}

function goTo(step) {
  const next = Math.min(Math.max(step, 0), steps.count);
  change({ step: next, node: steps.event(next)?.node ?? null, quiz: false });
}

/** Ask for the gradient that comes after a step; null: no quiz any more. */
function askAt(step) {
  if (step === null) change({ quiz: false, step: null });
  else change({ quiz: true, step, node: quiz.askedAt(step).id, other: null });
}

function toggleQuiz() {
  stop();
  askAt(state.quiz ? null : quiz.first(state.node));
}

function move(by) {
  if (state.quiz) {
    const next = quiz.onward(state.step, by);
    if (next !== null) askAt(next);
    return;
  }
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
  if (state.quiz) change({ quiz: false });
  if (state.step === null || state.step === steps.count) goTo(0);
  playing = setInterval(() => {
    if (state.step === null || state.step >= steps.count) stop();
    else move(1);
  }, Math.max(SECOND * 0.9 - steps.count * 4, 120));
  fillStep();
}

/** Along an edge, or up and down in a column. */
function walk(key) {
  if (state.node === null) {
    change({ node: graph.inputs[0] ?? 0 });
    return;
  }
  const node = graph.card(graph.standsFor(state.node));
  const column = graph.layers[node.layer];
  const place = column.indexOf(node.id);
  const next = {
    ArrowLeft: node.operands.find((operand) => operand.node !== null)?.node,
    ArrowRight: node.consumers[0]?.target,
    ArrowUp: column[place - 1],
    ArrowDown: column[place + 1],
  }[key];
  if (next !== undefined && next !== null) change({ node: graph.standsFor(next) });
}

/** Show the innermost open group of a node as one card. */
function collapse(id) {
  if (id === null) return;
  const shown = graph.standsFor(id);
  const block = around(graph, shown)[0];
  if (block) change({ collapsed: [...state.collapsed, block.number], node: block.id });
}

/** Show what is in a collapsed group again. */
function expand(id) {
  const block = id === null ? null : graph.blockOf(graph.standsFor(id));
  if (!block) return;
  const node = id === block.id ? block.card.stands : id;
  change({ collapsed: state.collapsed.filter((number) => number !== block.number), node });
}

function toggle(id) {
  if (id === null) return;
  if (graph.blockOf(id)) expand(id);
  else collapse(id);
}

/** Show a node even where it is in a collapsed group. */
function reveal(id) {
  const open = new Set(around(graph, id).map((block) => block.number));
  const collapsed = state.collapsed.filter((number) => !open.has(number));
  change(collapsed.length === state.collapsed.length ? { node: id } : { node: id, collapsed });
}

function collapseAll() {
  const outer = graph.blocks.filter((block) => block.parent === null).map((block) => block.number);
  change({ collapsed: state.collapsed.length ? [] : outer });
}

const actions = {
  n: () => move(1),
  p: () => move(-1),
  " ": play,
  Home: () => goTo(0),
  End: () => { stop(); change({ step: null, quiz: false }); },
  "+": () => view.zoom(1.3),
  "=": () => view.zoom(1.3),
  "-": () => view.zoom(1 / 1.3),
  0: () => { view.fit(); view.moved(); },
  c: () => collapse(state.node),
  e: () => expand(state.node),
  C: collapseAll,
  m: () => { if (!state.quiz) markNode(); },
  h: () => change({ heat: !state.heat }),
  t: () => change({ theme: document.documentElement.dataset.theme === "dark" ? "light" : "dark" }),
  q: toggleQuiz,
  "[": () => series.move(-1),
  "]": () => series.move(1),
  w: () => dock.focus(),
  u: () => dock.back(),
  r: () => dock.clear(),
  "/": () => byId("search").focus(),
  "?": () => byId("keys").showModal(),
  Escape: () => { stop(); change({ node: null, other: null, kernel: null }); },
};
for (const key of ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"]) actions[key] = () => walk(key);

document.addEventListener("keydown", (event) => {
  const inside = /** @type {Element} */ (event.target).closest("#panel, dialog, input, button");
  if (event.ctrlKey || event.metaKey || event.altKey || byId("keys").open) return;
  if (inside?.matches("input[type=range]")) return;
  if (inside && (event.key === " " || (event.key.startsWith("Arrow") && inside.id === "panel"))) return;
  const action = actions[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});

const buttons = { first: "Home", back: "p", play: " ", next: "n", last: "End", ask: "q", out: "-", fit: "0", in: "+", theme: "t", heat: "h", help: "?" };
for (const [id, key] of Object.entries(buttons)) byId(id).addEventListener("click", () => actions[key]());
byId("svg").addEventListener("click", () => save("graph.svg", "image/svg+xml", view.picture()));
byId("png").addEventListener("click", async () => save("graph.png", "image/png", await png(view.picture())));
byId("json").addEventListener("click", () => save("trace.json", "application/json", JSON.stringify(what.data())));
panel.addEventListener("click", (event) => {
  const path = event.target.closest("[data-path]");
  if (path && event.target.closest(".show")) view.markPath(path.dataset.path.split(",").map(Number));
  const run = event.target.closest("[data-run]")?.dataset.run;
  if (run !== undefined) change({ run: Number(run) });
  const kernel = event.target.closest("[data-kernel]")?.dataset.kernel;
  if (kernel !== undefined) change({ kernel: Number(kernel), node: null, other: null });
  const link = event.target.closest("[data-go], [data-collapse], [data-expand]");
  const cell = event.target.closest("td[data-entry]");
  const input = graph.inputs.indexOf(state.node);
  if (cell && input >= 0) dock.choose(input, Number(cell.dataset.entry));
  if (!link) return;
  const { go, collapse: closing, expand: opening } = link.dataset;
  if (go !== undefined) change({ node: Number(go) });
  else if (closing !== undefined) {
    change({ collapsed: [...state.collapsed, Number(closing)], node: graph.blocks[closing].id });
  } else expand(graph.blocks[opening].id);
});

listen((before) => {
  if (state.theme !== before.theme) applyTheme();
  if (state.heat !== before.heat) applyHeat();
  const folded = state.collapsed !== before.collapsed;
  if (folded) {
    const blocks = [...state.collapsed, ...before.collapsed].filter((number) =>
      state.collapsed.includes(number) !== before.collapsed.includes(number));
    const place = blocks.length === 1 ? graph.blocks[blocks[0]].id : state.node ?? graph.visible[0].id;
    view.rearranged(place, () => arrange(graph, state.collapsed));
  }
  if (state.kernel !== before.kernel) view.redraw();
  if (state.run !== before.run) {
    turnTo(state.run);
    view.redraw();
    fillHeader();
  }
  const moved = folded || ["node", "other", "step", "kernel", "run"].some((key) => state[key] !== before[key]);
  if (moved || state.what !== before.what) {
    mark();
    if (moved && state.node !== null) view.show(state.node, !folded);
    fillPanel();
    fillStep();
  }
  if (moved) panel.scrollTop = 0;
  if (state.node !== before.node) dock.follow(state.node);
  if (state.what !== before.what) fillHeader();
  if ((state.what !== before.what || state.run !== before.run) && state.heat) applyHeat();
  if (state.quiz || before.quiz) quiz.show(state.quiz ? state.step : null);
});

/** The numbers of another run. */
function turnTo(run) {
  if (!graph.frames.length) return;
  showRun(graph, run);
  series.show(run);
}

function restore(fragment = location.hash) {
  restoreState(readFragment(fragment,
    { nodes: graph.count, steps: steps.count, blocks: graph.blocks.length, kernels: graph.kernels.length,
      runs: graph.frames.length }));
  arrange(graph, state.collapsed);
  turnTo(state.run);
  const refused = what.apply(state.what);
  restoreState({ what: what.shown, quiz: state.quiz && quiz.askedAt(state.step) !== null });
  dock.follow(state.node);
  dock.restore(refused);
  fillHeader();
  applyTheme();
  applyHeat();
  if (state.view) view.set(state.view);
  else view.fit(false);
  mark();
  if (state.node !== null && !state.view) view.show(state.node);
  fillPanel();
  fillStep();
  quiz.show(state.quiz ? state.step : null);
}

window.addEventListener("popstate", () => restore());
/** What is chosen in another page of the same graph is chosen here; the window stays, if not told. */
window.addEventListener("message", ({ source, data }) => {
  if (source !== parent || parent === window || typeof data?.fragment !== "string") return;
  const { view: place } = state;
  const told = data.window === true;
  const given = new URLSearchParams(data.fragment.replace(/^#/, ""));
  if (!told) given.delete("view");
  restore(`${given}`);
  if (place && !told) view.set(place);
});
dark.addEventListener("change", applyTheme);
// Paper is white, and browsers leave backgrounds out.
window.addEventListener("beforeprint", () => {
  document.documentElement.dataset.theme = "light";
  view.paper(true);
});
window.addEventListener("afterprint", () => {
  applyTheme();
  view.paper(false);
});
fillKeys(byId("keys"));
startSearch(graph, byId("search"), byId("found"), (id) => {
  stage.focus();
  reveal(id);
});
restore();
document.documentElement.dataset.ready = "true";
// The frame after that in which the graph is drawn: so long it took to be seen.
requestAnimationFrame(() => requestAnimationFrame(() => performance.mark("drawn")));
