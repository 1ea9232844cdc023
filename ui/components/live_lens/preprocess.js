// Ink made into a digit of MNIST's form, by the very arithmetic of lenet_core/preprocess.py, Pillow and NumPy.

const FIELD_SIZE = 28; // side of an MNIST image, pixels
const BOX_SIZE = 20; // longer side of the ink's box in it, pixels
const CENTRE = 14; // where the centre of mass lies, pixel index counted from 0

function roundedHalfToEven(value) {
  const below = Math.floor(value);
  const rest = value - below;
  return rest > 0.5 || (rest === 0.5 && below % 2) ? below + 1 : below;
}

// The smallest box that holds all ink: [left, top, right, bottom], right and bottom outside.
function inkBox(ink) {
  let [left, top, right, bottom] = [FIELD, FIELD, 0, 0];
  for (let row = 0; row < FIELD; row += 1) {
    const line = ink.subarray(row * FIELD, (row + 1) * FIELD);
    const first = line.indexOf(1);
    if (first < 0) continue;
    top = Math.min(top, row);
    bottom = row + 1;
    left = Math.min(left, first);
    right = Math.max(right, line.lastIndexOf(1) + 1);
  }
  return [left, top, right, bottom];
}

const boxFilter = (place) => (place > -0.5 && place <= 0.5 ? 1 : 0);
const triangleFilter = (place) => Math.max(0, 1 - Math.abs(place));

// What each of `count` pixels takes from the pixels `low` to `high` of `length`: where that begins, and the weights.
function weightsFor(length, low, high, count, filter, support) {
  const scale = (high - low) / count;
  const stretch = Math.max(scale, 1);
  const reach = support * stretch;
  return Array.from({ length: count }, (_, index) => {
    const centre = low + (index + 0.5) * scale;
    const start = Math.max(0, Math.trunc(centre - reach + 0.5));
    const end = Math.min(length, Math.trunc(centre + reach + 0.5));
    const weights = new Float64Array(end - start);
    const nearness = 1 / stretch;
    let sum = 0;
    for (let place = 0; place < weights.length; place += 1) {
      weights[place] = filter((place + start - centre + 0.5) * nearness);
      sum += weights[place];
    }
    for (let place = 0; place < weights.length; place += 1) weights[place] /= sum;
    return { start, weights };
  });
}

// The ink within a box as `width` x `height` values: Pillow's BOX, or BILINEAR where that enlarges. Rows first.
function resampled(ink, [left, top, right, bottom], width, height, isEnlarged) {
  const [filter, support] = isEnlarged ? [triangleFilter, 1] : [boxFilter, 0.5];
  const across = weightsFor(FIELD, left, right, width, filter, support);
  const down = weightsFor(FIELD, top, bottom, height, filter, support);
  const firstRow = down[0].start;
  const rows = down.at(-1).start + down.at(-1).weights.length - firstRow;
  const narrowed = new Float32Array(rows * width);
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < width; column += 1) {
      const { start, weights } = across[column];
      const from = (firstRow + row) * FIELD + start;
      let sum = 0;
      for (let place = 0; place < weights.length; place += 1) sum += ink[from + place] * weights[place];
      narrowed[row * width + column] = sum;
    }
  }
  const values = new Float32Array(width * height);
  for (let row = 0; row < height; row += 1) {
    const { start, weights } = down[row];
    for (let column = 0; column < width; column += 1) {
      let sum = 0;
      for (let place = 0; place < weights.length; place += 1) {
        sum += narrowed[(start - firstRow + place) * width + column] * weights[place];
      }
      values[row * width + column] = sum;
    }
  }
  return values;
}

// The pixel in the middle of what each of `count` pixels covers, stepped along as Pillow's NEAREST does.
function nearestFor(low, high, count) {
  const scale = (high - low) / count;
  const places = [];
  for (let place = low + scale * 0.5; places.length < count; place += scale) places.push(Math.trunc(place));
  return places;
}

function picked(ink, [left, top, right, bottom], width, height) {
  const columns = nearestFor(left, right, width);
  const rows = nearestFor(top, bottom, height);
  return Float32Array.from({ length: width * height }, (_, index) => {
    return ink[rows[Math.trunc(index / width)] * FIELD + columns[index % width]];
  });
}

// The ink's box scaled so that its longer side fits, 0 to 1.
function fitInto(ink, box, without) {
  const [left, top, right, bottom] = box;
  const longer = Math.max(right - left, bottom - top);
  const side = (length) => {
    return Math.max(1, roundedHalfToEven(((without.has("fit") ? FIELD_SIZE : BOX_SIZE) * length) / longer));
  };
  const [width, height] = [side(right - left), side(bottom - top)];
  const values = without.has("antialias")
    ? picked(ink, box, width, height)
    : resampled(ink, box, width, height, longer < BOX_SIZE);
  const most = Math.max(Math.fround(1e-6), values.reduce((one, other) => Math.max(one, other)));
  for (let index = 0; index < values.length; index += 1) values[index] = Math.min(values[index] / most, 1);
  return { width, height, values };
}

// The [row, column] of the centre of mass, pixel centres at whole numbers.
function centreOfMass({ width, height, values }) {
  let [total, down, across] = [0, 0, 0];
  values.forEach((value, index) => {
    total += value;
    down += value * Math.trunc(index / width);
    across += value * (index % width);
  });
  if (!total) return [(height - 1) / 2, (width - 1) / 2]; // without anti-aliasing a thin stroke may vanish
  return [down / total, across / total];
}

// A drawing's ink as MNIST has its digits, and the steps that led there; `without` names the steps left out.
function toDigit(ink, without) {
  const box = without.has("crop") ? [0, 0, FIELD, FIELD] : inkBox(ink);
  const fitted = fitInto(ink, box, without);
  const centre = centreOfMass(fitted);
  const offset = (mass, length) => {
    if (without.has("centre")) return Math.floor((FIELD_SIZE - length) / 2);
    return Math.min(Math.max(Math.floor(CENTRE - mass + 0.5), 0), FIELD_SIZE - length);
  };
  const [top, left] = [offset(centre[0], fitted.height), offset(centre[1], fitted.width)];
  const image = new Uint8Array(FIELD_SIZE * FIELD_SIZE);
  fitted.values.forEach((value, index) => {
    const [row, column] = [Math.trunc(index / fitted.width), index % fitted.width];
    image[(top + row) * FIELD_SIZE + left + column] = roundedHalfToEven(Math.fround(value * 255));
  });
  if (without.has("polarity")) image.forEach((value, index) => (image[index] = 255 - value));
  return { image, ink, box, fitted, centre };
}

// The pixels as the network gets them.
const asFed = (image, without) => Float32Array.from(image, (value) => (without.has("scale") ? value : value / 255));
