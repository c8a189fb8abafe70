/** The far view of a large graph: boxes and lines on a canvas. While it is moved, a picture of it. */

import { bodyOf } from "./data.js";

/** Wires from which a picture serves while the graph moves, and how far it reaches beyond the stage. */
const HEAVY = 1500;
const MARGIN = 0.25;

export class Overview {
  constructor(canvas) {
    this.canvas = canvas;
    this.picture = null;
  }

  hide() {
    this.canvas.hidden = true;
    this.picture = null;
  }

  size({ stage }) {
    const ratio = devicePixelRatio || 1;
    return { ratio, width: stage.clientWidth * ratio, height: stage.clientHeight * ratio };
  }

  /** Draw the part of the graph that `partOf(box)` gives; a heavy one with what is around it. */
  paint(view, box, partOf) {
    const { ratio, width, height } = this.size(view);
    this.canvas.hidden = false;
    Object.assign(this.canvas, { width, height });
    const pen = this.canvas.getContext("2d");
    const part = partOf(box);
    if (part.edges.length < HEAVY) {
      this.picture = null;
      this.draw(pen, view, { x: view.x, y: view.y, zoom: view.scale * ratio, ...part });
      return;
    }
    const [across, down] = [width * MARGIN, height * MARGIN];
    const zoom = view.scale * ratio;
    const [x, y] = [view.x - across / zoom, view.y - down / zoom];
    const canvas = document.createElement("canvas");
    Object.assign(canvas, { width: width + 2 * across, height: height + 2 * down });
    this.draw(canvas.getContext("2d"), view, { x, y, zoom, ...partOf([x, y, x + canvas.width / zoom, y + canvas.height / zoom]) });
    this.picture = { canvas, x, y, zoom };
    pen.drawImage(canvas, -across, -down);
  }

  /** Show the picture where it belongs now; false where there is none. */
  move(view) {
    if (!this.picture || this.canvas.hidden) return false;
    const { canvas, x, y, zoom } = this.picture;
    const now = view.scale * (devicePixelRatio || 1);
    const pen = this.canvas.getContext("2d");
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    pen.drawImage(canvas, (x - view.x) * now, (y - view.y) * now,
      (canvas.width * now) / zoom, (canvas.height * now) / zoom);
    return true;
  }

  draw(pen, view, { x, y, zoom, seen, edges }) {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    pen.setTransform(zoom, 0, 0, zoom, -x * zoom, -y * zoom);
    pen.lineWidth = Math.max(1.2, 0.7 / view.scale);
    pen.strokeStyle = colour("edge");
    pen.globalAlpha = 0.7;
    pen.stroke(new Path2D(edges.map((edge) => edge.path).join("")));
    pen.globalAlpha = 1;
    const fills = [colour("card"), colour("input"), colour("output")];
    const chosen = colour("chosen");
    const least = 2.5 / view.scale;
    for (const node of seen) {
      const body = bodyOf(node);
      pen.fillStyle = node.id === view.chosen ? chosen
        : view.heat?.colour(node) ?? fills[node.output ? 2 : node.input ? 1 : 0];
      const [width, height] = [Math.max(body.width, least), Math.max(body.height, least)];
      pen.fillRect(body.x, body.y, width, height);
      pen.strokeRect(body.x, body.y, width, height);
    }
  }
}
