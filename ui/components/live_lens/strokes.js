// Strokes made into ink, by the very arithmetic of lenet_core/strokes.py, so that the page and the server agree.
// A stroke is an array of points [x, y] in canvas pixels, y down.

const FIELD = 280; // side of the inked picture, pixels
const PEN = 27; // pixels of it
const LONGER_SIDE = 200; // of the strokes' box in it, pixels
const MOST_POINTS = 5_000; // of a stroke
const LEAST_SIDE = 1e-3; // what is shorter is no drawing, whatever the settings say
const CLOSEST = 0.4; // canvas pixels: the drawing canvas drops points that are nearer to the one before
const NUDGE = 0.022; // by which it moves a stroke's ends outward: a thousandth of its pen

const sign = (value) => (value > 0) - (value < 0);

// The points of a stroke without those that the canvas drops; the last always stays.
function thinned(points) {
  if (points.length < 3) return points;
  const kept = [points[0]];
  let [x, y] = points[0];
  for (let index = 1; index < points.length - 2; index += 1) {
    const [nextX, nextY] = points[index];
    if ((x - nextX) ** 2 + (y - nextY) ** 2 < CLOSEST ** 2) continue;
    kept.push(points[index]);
    [x, y] = points[index];
  }
  kept.push(points.at(-1));
  return kept;
}

// A stroke of pointer positions as the canvas will send it (Fabric's pencil: quadratic curves through the middles
// between points) and as ui/canvas.py reads that: of each curve its middle and its end, and not too many.
function smoothed(points) {
  const kept = thinned([points[0], ...points]); // the canvas takes the first point twice
  const last = kept.at(-1);
  // A stroke of two points has no direction in the canvas's eyes, and is taken to go to the right.
  const outward = (from, to) => (kept.length > 2 ? [sign(to[0] - from[0]), sign(to[1] - from[1])] : [1, 0]);
  const [right, down] = outward(kept[1], kept[2]);
  let [x, y] = [kept[0][0] - right * NUDGE, kept[0][1] - down * NUDGE];
  const smooth = [[x, y]];
  for (let index = 1; index < kept.length; index += 1) {
    const [bendX, bendY] = kept[index - 1];
    const [nextX, nextY] = kept[index];
    if (bendX === nextX && bendY === nextY) continue;
    const [endX, endY] = [bendX + (nextX - bendX) * 0.5, bendY + (nextY - bendY) * 0.5];
    smooth.push([(x + 2 * bendX + endX) / 4, (y + 2 * bendY + endY) / 4], [endX, endY]);
    [x, y] = [endX, endY];
  }
  const [lastRight, lastDown] = outward(kept.at(-2), last);
  smooth.push([last[0] + lastRight * NUDGE, last[1] + lastDown * NUDGE]);
  return smooth.slice(0, MOST_POINTS);
}

function longerSide(strokes) {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const stroke of strokes) {
    for (const [x, y] of stroke) {
      left = Math.min(left, x);
      top = Math.min(top, y);
      right = Math.max(right, x);
      bottom = Math.max(bottom, y);
    }
  }
  return { longer: Math.max(right - left, bottom - top), middleX: (left + right) / 2, middleY: (top + bottom) / 2 };
}

const moved = (strokes, move) => strokes.map((stroke) => stroke.map(move));

// The ink of a drawing, 280 x 280 of 0 and 1; null where there is none, or less than `minExtent` canvas pixels.
// `size` is the canvas's side and `pen` its pen in pixels; `without` names the steps left out; the pen is `thickness`
// times as wide.
function inkOf(strokes, { size, pen, minExtent, without, thickness = 1 }) {
  const stays = without.has("width") || without.has("crop");
  const near = (value) => Math.min(Math.max(value, -size), 2 * size);
  const drawn = stays ? moved(strokes, ([x, y]) => [near(x), near(y)]) : strokes;
  const { longer, middleX, middleY } = longerSide(drawn);
  if (!(longer >= Math.max(minExtent, LEAST_SIDE))) return null; // of no strokes it is minus infinity
  if (stays) {
    const scale = FIELD / size;
    const width = without.has("width") ? pen : (longer * PEN) / LONGER_SIDE;
    const ink = rasterised(moved(drawn, ([x, y]) => [x * scale, y * scale]), width * scale * thickness);
    return ink.includes(1) ? ink : null; // all of it may lie outside
  }
  const scale = LONGER_SIDE / longer;
  const placed = ([x, y]) => [FIELD / 2 + (x - middleX) * scale, FIELD / 2 + (y - middleY) * scale];
  return rasterised(moved(drawn, placed), PEN * thickness);
}

let passedPixels = new Uint8Array(0); // kept from one drawing to the next: made anew they would be most of the work
const discEdges = new Int32Array(FIELD * (FIELD + 1));

// A disc of pixels round every pixel that the pen's middle passes.
function rasterised(strokes, pen) {
  const radius = pen / 2;
  const reach = Math.trunc(radius);
  const side = FIELD + 2 * reach; // so far outside the field a disc still reaches into it
  const width = side + 1; // an empty column behind ends the last run of a row
  if (passedPixels.length < side * width) passedPixels = new Uint8Array(side * width);
  const passed = passedPixels.subarray(0, side * width).fill(0);
  for (const stroke of strokes) passAlong(stroke, passed, reach, side);
  discEdges.fill(0);
  let start = passed.indexOf(1);
  while (start >= 0) {
    const end = passed.indexOf(0, start);
    const row = Math.floor(start / width);
    const first = start - row * width;
    addDiscs(row - reach, first - reach, first + (end - start) - 1 - reach, radius);
    start = passed.indexOf(1, end);
  }
  return filled();
}

// Marks the pixels of a stroke, in steps of at most one.
function passAlong(stroke, passed, reach, side) {
  const mark = (x, y) => {
    const column = Math.floor(x + 0.5) + reach;
    const row = Math.floor(y + 0.5) + reach;
    if (column >= 0 && column < side && row >= 0 && row < side) passed[row * (side + 1) + column] = 1;
  };
  let [x, y] = stroke[0] ?? [NaN, NaN];
  mark(x, y);
  for (let index = 1; index < stroke.length; index += 1) {
    const acrossWay = stroke[index][0] - x;
    const downWay = stroke[index][1] - y;
    const count = Math.max(1, Math.ceil(Math.max(Math.abs(acrossWay), Math.abs(downWay))));
    for (let step = 1; step <= count; step += 1) mark(x + acrossWay * (step / count), y + downWay * (step / count));
    [x, y] = stroke[index];
  }
}

// Discs side by side from one column to another: a mark where each of their rows begins, and one behind its end.
function addDiscs(row, first, last, radius) {
  const reach = Math.trunc(radius);
  const from = Math.max(-reach, -row);
  const to = Math.min(reach, FIELD - 1 - row);
  for (let down = from; down <= to; down += 1) {
    const across = Math.floor(Math.sqrt(radius * radius - down * down));
    const start = (row + down) * (FIELD + 1);
    discEdges[start + Math.min(Math.max(first - across, 0), FIELD)] += 1;
    discEdges[start + Math.min(Math.max(last + across + 1, 0), FIELD)] -= 1;
  }
}

// The sums along the rows say how many discs lie on a pixel.
function filled() {
  const ink = new Uint8Array(FIELD * FIELD);
  for (let row = 0; row < FIELD; row += 1) {
    let discs = 0;
    for (let column = 0; column < FIELD; column += 1) {
      discs += discEdges[row * (FIELD + 1) + column];
      ink[row * FIELD + column] = discs > 0 ? 1 : 0;
    }
  }
  return ink;
}
