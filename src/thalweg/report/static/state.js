/** What the reader has chosen: in one place, and in the URL's fragment, so that it can be shared. */

const listeners = [];
/** What makes an entry in the browser's history when it changes. */
const LASTING = ["node", "other", "step", "collapsed"];

export const state = { node: null, other: null, collapsed: [], step: null, view: null, theme: null };

export function listen(listener) {
  listeners.push(listener);
}

/** Change the state; a new node, say, makes an entry in the browser's history (back is undo). */
export function change(changes) {
  const before = { ...state };
  Object.assign(state, changes);
  const fragment = fragmentOf(state);
  try {
    if (LASTING.some((key) => state[key] !== before[key])) {
      history.pushState(null, "", fragment);
    } else {
      history.replaceState(null, "", fragment);
    }
  } catch {
    // A page inside another one has no address of its own.
  }
  for (const listener of listeners) listener(before);
}

function fragmentOf({ node, other, step, view, theme, collapsed }) {
  const parts = [];
  if (node !== null) parts.push(`node=${node}`);
  if (other !== null) parts.push(`other=${other}`);
  if (step !== null) parts.push(`step=${step}`);
  if (view !== null) parts.push(`view=${view.map((x) => Number(x.toPrecision(6))).join(",")}`);
  if (theme !== null) parts.push(`theme=${theme}`);
  if (collapsed.length) parts.push(`collapsed=${collapsed.join(",")}`);
  return `#${parts.join("&")}`;
}

/** The state of a fragment; what makes no sense for this graph is left out. */
export function readFragment(fragment, { nodes, steps, blocks }) {
  const given = new URLSearchParams(fragment.replace(/^#/, ""));
  const whole = (name, most) => {
    const text = given.get(name) ?? "";
    return /^\d{1,9}$/.test(text) && Number(text) <= most ? Number(text) : null;
  };
  const view = (given.get("view") ?? "").split(",").map(Number);
  const theme = given.get("theme");
  return {
    node: whole("node", nodes - 1),
    other: whole("other", nodes - 1),
    step: whole("step", steps),
    view: view.length === 3 && view.every(Number.isFinite) && view[2] > 0 ? view : null,
    collapsed: (given.get("collapsed") ?? "").split(",")
      .filter((text) => /^\d{1,9}$/.test(text) && Number(text) < blocks).map(Number),
    theme: theme === "dark" || theme === "light" ? theme : null,
  };
}
