// Numbers and colours of the table. With pointing.js and map_table.js it is one module, joined by __init__.py.

function bytesOf(base64) {
  const raw = atob(base64);
  const bytes = new Uint8Array(raw.length);
  for (let index = 0; index < raw.length; index += 1) bytes[index] = raw.charCodeAt(index);
  return bytes;
}

function unpacked(block) {
  const ramp = bytesOf(block.ramp);
  const floats = (base64) => new Float32Array(bytesOf(base64).buffer);
  const colours = new Uint32Array(256); // as a canvas has them in memory: alpha, blue, green, red
  for (let index = 0; index < 256; index += 1) {
    const [red, green, blue] = ramp.subarray(3 * index);
    colours[index] = (255 << 24) | (blue << 16) | (green << 8) | red;
  }
  const css = Array.from({ length: 256 }, (_, index) => `rgb(${ramp.slice(3 * index, 3 * index + 3)})`);
  const stops = css.filter((_, index) => index % 15 === 0);
  return {
    ...block,
    values: floats(block.values),
    low: floats(block.low),
    high: floats(block.high),
    colours,
    css,
    gradient: `linear-gradient(90deg, ${stops})`,
  };
}

const clamped = (value, least, most) => Math.max(least, Math.min(most, value));

// A unit is {block, row, channel, y, x}, all counted from 0 in what is shown; a bar is a map of one unit.
const valueOf = ({ values, channels, height, width }, { row, channel, y, x }) =>
  values[((row * channels + channel) * height + y) * width + x];

function scaleOf({ low, high, channels }, row, channel) {
  const index = row * channels + channel;
  return { low: low[index], high: high[index] };
}

// Where a value stands between the ends of its scale, 0 to 255; not a number stays one, and has no colour.
const place = (value, { low, high }) =>
  clamped(Math.round(((value - low) * 255) / Math.max(high - low, 1e-12)), 0, 255);

function number(value) {
  if (!Number.isFinite(value)) return "not finite";
  const size = Math.abs(value);
  if (size === 0) return "0";
  const text =
    size >= 1000 ? Math.round(value).toLocaleString("en")
    : size < 0.001 ? value.toExponential(1)
    : String(Number(value.toPrecision(3)));
  return text.replaceAll("-", "−");
}

// Paints values[start .. start + width * height) and returns what they are, in words.
function paintMap(canvas, block, row, channel) {
  const { values, width, height, channels, colours } = block;
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  const picture = context.createImageData(width, height);
  const pixels = new Uint32Array(picture.data.buffer);
  const start = (row * channels + channel) * width * height;
  const scale = scaleOf(block, row, channel);
  for (let index = 0; index < pixels.length; index += 1) pixels[index] = colours[place(values[start + index], scale)];
  context.putImageData(picture, 0, 0);
  return summary(values.subarray(start, start + pixels.length));
}

function summary(values) {
  let least = Infinity;
  let most = -Infinity;
  let sum = 0;
  for (const value of values) {
    if (value < least) least = value;
    if (value > most) most = value;
    sum += value;
  }
  return `from ${number(least)} to ${number(most)}, mean ${number(sum / values.length)}`;
}

// All units of a row as bars from zero, on a canvas of `width` by `height` CSS pixels.
function paintBars(canvas, block, row, width, height) {
  const sharpness = window.devicePixelRatio;
  Object.assign(canvas, { width: Math.round(width * sharpness), height: Math.round(height * sharpness) });
  const context = canvas.getContext("2d");
  const step = canvas.width / block.channels;
  const ink = getComputedStyle(canvas).color;
  const gap = step >= 4 * sharpness ? Math.round(sharpness) : 0;
  for (let channel = 0; channel < block.channels; channel += 1) {
    const value = valueOf(block, { row, channel, y: 0, x: 0 });
    const scale = scaleOf(block, row, channel);
    const share = barShare(scale);
    const zero = share(0) * canvas.height;
    const end = share(clamped(value, scale.low, scale.high)) * canvas.height;
    const left = Math.round(channel * step);
    const across = Math.max(1, Math.round((channel + 1) * step) - left - gap);
    context.fillStyle = block.css[place(value, scale)];
    if (Number.isFinite(value)) context.fillRect(left, Math.min(zero, end), across, Math.abs(zero - end));
    context.fillStyle = ink; // the line of zero
    context.fillRect(left, clamped(Math.round(zero), 0, canvas.height - sharpness), Math.ceil(step), sharpness);
  }
  return summary(block.values.subarray(row * block.channels, (row + 1) * block.channels));
}

// How far down a bar's field a value stands, 0 to 1; the field holds the scale and zero.
function barShare({ low, high }) {
  const top = Math.max(high, 0);
  const span = Math.max(top - Math.min(low, 0), 1e-12);
  return (value) => (top - value) / span;
}

// The first and last input row and column that a unit sees, without padding.
function fieldOf({ window: [offset, jump, side] }, { y, x }, [height, width]) {
  const span = (index, size) => {
    const start = offset + index * jump;
    return [clamped(start, 0, size - 1), clamped(start + side - 1, 0, size - 1)];
  };
  return { rows: span(y, height), columns: span(x, width) };
}

function whereabouts(block, { channel, y, x }) {
  if (!block.bars) return `${block.title}, map ${block.first + channel}, row ${y}, column ${x}`;
  return `${block.title}, ${block.names.length ? `class ${block.names[channel]}` : `unit ${block.first + channel}`}`;
}

function sight(block, unit, [height, width]) {
  const { rows, columns } = fieldOf(block, unit, [height, width]);
  const whole = rows[1] - rows[0] === height - 1 && columns[1] - columns[0] === width - 1;
  if (whole) return `sees the whole ${height} x ${width}`;
  return `sees rows ${rows.join(" to ")}, columns ${columns.join(" to ")} of ${height} x ${width}`;
}
