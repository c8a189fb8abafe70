/** What the reader has chosen: in one place, and in the URL's fragment, so that it can be shared. */

const listeners = [];

export const state = { node: null, step: null, view: null, theme: null };

export function listen(listener) {
  listeners.push(listener);
}

/** Change the state; a new node makes an entry in the browser's history (back is undo). */
export function change(changes) {
  const before = { ...state };
  Object.assign(state, changes);
  const fragment = fragmentOf(state);
  try {
    if (state.node !== before.node || state.step !== before.step) {
      history.pushState(null, "", fragment);
    } else {
      history.replaceState(null, "", fragment);
    }
  } catch {
    // A page inside another one has no address of its own.
  }
  for (const listener of listeners) listener(before);
}

function fragmentOf({ node, step, view, theme }) {
  const parts = [];
  if (node !== null) parts.push(`node=${node}`);
  if (step !== null) parts.push(`step=${step}`);
  if (view !== null) parts.push(`view=${view.map((x) => Number(x.toPrecision(6))).join(",")}`);
  if (theme !== null) parts.push(`theme=${theme}`);
  return `#${parts.join("&")}`;
}

/** The state of a fragment; what makes no sense for this graph is left out. */
export function readFragment(fragment, nodeCount, stepCount) {
  const given = new URLSearchParams(fragment.replace(/^#/, ""));
  const whole = (name, most) => {
    const text = given.get(name) ?? "";
    return /^\d{1,9}$/.test(text) && Number(text) <= most ? Number(text) : null;
  };
  const view = (given.get("view") ?? "").split(",").map(Number);
  const theme = given.get("theme");
  return {
    node: whole("node", nodeCount - 1),
    step: whole("step", stepCount),
    view: view.length === 3 && view.every(Number.isFinite) && view[2] > 0 ? view : null,
    theme: theme === "dark" || theme === "light" ? theme : null,
  };
}
