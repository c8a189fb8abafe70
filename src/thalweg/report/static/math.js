/** MathML and HTML elements; text is only ever a text node. */

const MATH = "http://www.w3.org/1998/Math/MathML";
const SVG = "http://www.w3.org/2000/svg";

function make(space, name, attributes, children) {
  const element = space ? document.createElementNS(space, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export function html(name, attributes = {}, ...children) {
  return make(null, name, attributes, children);
}

export function svg(name, attributes = {}, ...children) {
  return make(SVG, name, attributes, children);
}

export function math(name, ...children) {
  return make(MATH, name, {}, children);
}

export function coloured(name, role, ...children) {
  return make(MATH, name, { class: role }, children);
}

export const operator = (text) => math("mo", text);

export function row(...children) {
  return math("mrow", ...children);
}

export function joined(parts, sign) {
  return parts.flatMap((part, i) => (i ? [operator(sign), part] : [part]));
}

export function parenthesised(...children) {
  return row(operator("("), ...children, operator(")"));
}

/** ∂above/∂below */
export function partial(above, below) {
  return math("mfrac", row(operator("∂"), above), row(operator("∂"), below));
}

export function equation(...children) {
  return html("div", { class: "equation" }, make(MATH, "math", { display: "inline" }, children));
}
