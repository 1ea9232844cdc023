// Colours of the pictures. All files of this folder but loader.js are one module, joined by __init__.py.

function bytesOf(base64) {
  const raw = atob(base64);
  const bytes = new Uint8Array(raw.length);
  for (let index = 0; index < raw.length; index += 1) bytes[index] = raw.charCodeAt(index);
  return bytes;
}

// A ramp of 256 colours: as a canvas has them in memory (alpha, blue, green, red), and as a CSS gradient.
function rampOf(base64) {
  const bytes = bytesOf(base64);
  const colours = new Uint32Array(256);
  const stops = [];
  for (let index = 0; index < 256; index += 1) {
    const [red, green, blue] = bytes.subarray(3 * index);
    colours[index] = (255 << 24) | (blue << 16) | (green << 8) | red;
    if (index % 15 === 0) stops.push(`rgb(${red},${green},${blue})`);
  }
  return { colours, gradient: `linear-gradient(90deg, ${stops})` };
}

// The values as pixels, four bytes each; `low` and `high` are the values at the ends of the ramp.
function coloured(values, low, high, { colours }) {
  const pixels = new Uint32Array(values.length);
  const factor = 255 / Math.max(high - low, 1e-12);
  for (let index = 0; index < pixels.length; index += 1) {
    const place = Math.round((values[index] - low) * factor);
    pixels[index] = colours[place > 255 ? 255 : place > 0 ? place : 0]; // not a number: the lowest
  }
  return new Uint8ClampedArray(pixels.buffer);
}

function paint(canvas, width, height, rgba) {
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  canvas.getContext("2d").putImageData(new ImageData(rgba, width, height), 0, 0);
}
