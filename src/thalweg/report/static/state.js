/** What the reader has chosen: in one place, and in the URL's fragment, so that it can be shared. */

const listeners = [];
/** What makes an entry in the browser's history when it changes. */
const LASTING = ["node", "other", "step", "collapsed", "kernel", "run", "what", "quiz"];

export const state = { node: null, other: null, heat: false, collapsed: [], kernel: null, run: 0, step: null, view: null, theme: null, what: "", quiz: false };
/** What the last entry of the history was made for. */
let told = { ...state };

export function listen(listener) {
  listeners.push(listener);
}

/**
 * Change the state; a new node, say, makes an entry in the browser's history (back is undo),
 * unless it is `passing`: on the way to another one.
 */
export function change(changes, passing = false) {
  const before = { ...state };
  Object.assign(state, changes);
  if (!passing) tell();
  for (const listener of listeners) listener(before);
}

/** Take over the state that an address has. */
export function restoreState(given) {
  Object.assign(state, given);
  told = { ...state };
}

function tell() {
  const entry = LASTING.some((key) => state[key] !== told[key]);
  told = { ...state };
  try {
    history[entry ? "pushState" : "replaceState"](null, "", fragmentOf(state));
  } catch {
    // A page inside another one has no address of its own.
  }
  // The page of a training hands it on to the next step.
  if (parent !== window) parent.postMessage({ fragment: fragmentOf(state) }, "*");
}

function fragmentOf({ node, other, kernel, run, heat, step, view, theme, collapsed, what, quiz }) {
  const parts = [];
  if (node !== null) parts.push(`node=${node}`);
  if (other !== null) parts.push(`other=${other}`);
  if (heat) parts.push("heat=1");
  if (kernel !== null) parts.push(`kernel=${kernel}`);
  if (run) parts.push(`run=${run}`);
  if (step !== null) parts.push(`step=${step}`);
  if (view !== null) parts.push(`view=${view.map((x) => Number(x.toPrecision(6))).join(",")}`);
  if (theme !== null) parts.push(`theme=${theme}`);
  if (collapsed.length) parts.push(`collapsed=${collapsed.join(",")}`);
  if (quiz) parts.push("quiz=1");
  if (what) parts.push(`what=${what}`);
  return `#${parts.join("&")}`;
}

/** The state of a fragment; what makes no sense for this graph is left out. */
export function readFragment(fragment, { nodes, steps, blocks, kernels, runs }) {
  const given = new URLSearchParams(fragment.replace(/^#/, ""));
  const whole = (name, most) => {
    const text = given.get(name) ?? "";
    return /^\d{1,9}$/.test(text) && Number(text) <= most ? Number(text) : null;
  };
  const view = (given.get("view") ?? "").split(",").map(Number);
  const theme = given.get("theme");
  return {
    node: whole("node", nodes - 1),
    heat: given.get("heat") === "1",
    other: whole("other", nodes - 1),
    kernel: whole("kernel", kernels - 1),
    run: whole("run", runs - 1) ?? 0,
    step: whole("step", steps),
    view: view.length === 3 && view.every(Number.isFinite) && view[2] > 0 ? view : null,
    collapsed: (given.get("collapsed") ?? "").split(",")
      .filter((text) => /^\d{1,9}$/.test(text) && Number(text) < blocks).map(Number),
    theme: theme === "dark" || theme === "light" ? theme : null,
    what: given.get("what") ?? "",
    quiz: given.get("quiz") === "1",
  };
}
