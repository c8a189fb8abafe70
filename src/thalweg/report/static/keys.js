/** The keys, for the dialog that lists them; main.js acts on them. */

import { html } from "./math.js";

const KEYS = [
  ["←  →", "to an operand, to a node that uses this one"],
  ["↑  ↓", "to the neighbour in the same column"],
  ["n  p", "one gate on, one gate back"],
  ["space", "play, pause"],
  ["q", "quiz: the next gradient is hidden, type it; no quiz any more"],
  ["Home  End", "before the first gate; everything"],
  ["[  ]", "the run before, the next run (where a page has several)"],
  ["/", "search; Enter goes to the first that was found"],
  ["c  e  C", "the group around the node as one card; what is in it again; all groups"],
  ["m", "mark the node: then choose another one for the Jacobian between the two (shift and click does both)"],
  ["h", "cards in the colour of log |gradient|"],
  ["+  −  0", "larger, smaller, the whole graph"],
  ["t", "light or dark"],
  ["w  u  r", "what if: to the number field; undo; all inputs as they were"],
  ["Escape", "no node chosen"],
  ["Alt ←", "undo (the browser's own back)"],
];

export function fillKeys(dialog) {
  const close = html("button", {}, "close");
  close.addEventListener("click", () => dialog.close());
  dialog.append(html("table", {}, ...KEYS.map(([keys, what]) => html("tr", {},
    html("td", {}, ...keys.split("  ").flatMap((key) => [html("kbd", {}, key), " "])),
    html("td", {}, what)))), close);
}
