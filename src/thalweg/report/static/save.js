/** Files that the page hands out: the picture as SVG or PNG, the data as JSON. */

/** Milliseconds that a file is kept to be taken. */
const KEPT = 1000;
/** Sides that every browser's canvas can have, and the points that are drawn for one. */
const LONGEST_SIDE = 16384;
const SHARPEST = 2;

export function save(name, type, content) {
  const address = URL.createObjectURL(new Blob([content], { type }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), KEPT);
}

/** A picture in SVG as PNG, as sharp as a canvas of that size can be. */
export async function png(text) {
  const image = new Image();
  const address = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
  try {
    image.src = address;
    await image.decode();
    const scale = Math.min(SHARPEST, LONGEST_SIDE / Math.max(image.width, image.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.ceil(image.width * scale);
    canvas.height = Math.ceil(image.height * scale);
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    return await new Promise((done, fail) => canvas.toBlob(
      (blob) => (blob ? done(blob) : fail(new Error("the picture is too large for a PNG: save it as SVG")))));
  } finally {
    URL.revokeObjectURL(address);
  }
}
