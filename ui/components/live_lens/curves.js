// The numbers behind turning, shifting and thickening: seven changes of the drawing, and for each a curve over its
// slider's whole range of how probable the answer stays. A curve goes through the present point: along it the other
// six sliders keep their values.

// As ui/turns.py has them; noise by its standard deviation, full ink being 1.
const TURNS = [
  { name: "rotation", title: "Rotation", low: -90, high: 90, step: 1, neutral: 0, unit: "°", spoken: " degrees" },
  { name: "across", title: "Shift across", low: -10, high: 10, step: 0.5, neutral: 0, unit: " px", spoken: " pixels" },
  { name: "down", title: "Shift down", low: -10, high: 10, step: 0.5, neutral: 0, unit: " px", spoken: " pixels" },
  { name: "scale", title: "Scale", low: 0.4, high: 1.8, step: 0.02, neutral: 1, unit: " ×", spoken: " times" },
  { name: "shear", title: "Shear", low: -1, high: 1, step: 0.02, neutral: 0, unit: " px a row", spoken: " a row" },
  { name: "noise", title: "Noise", low: 0, high: 0.8, step: 0.01, neutral: 0, unit: " sd", spoken: " of full ink" },
  { name: "thickness", title: "Stroke width", low: 0.3, high: 3, step: 0.05, neutral: 1, unit: " ×", spoken: "-fold" },
];

const turnCount = ({ low, high, step }) => Math.round((high - low) / step) + 1;
const turnIndex = ({ low, step }, value) => Math.round((value - low) / step);
const turnValue = ({ low, step }, index) => Number((low + index * step).toFixed(2));
const turnShare = (turn, index) => index / (turnCount(turn) - 1);
const turnDecimals = ({ step }) => (step >= 1 ? 0 : step >= 0.5 ? 1 : 2);
const turnNumber = (turn, value) => value.toFixed(turnDecimals(turn)).replace("-", "−");
const turnUnit = ({ unit }) => unit.replaceAll(" ", "\u00a0");
const turnShown = (turn, value) => turnNumber(turn, value) + turnUnit(turn);
const turnBrief = (turn, value) => String(value).replace("-", "−") + turnUnit(turn);
const turnSpoken = (turn, value) => turnNumber(turn, value) + turn.spoken;

// The values that change something, by name; what a link tells, brought to the sliders' steps.
function turnedOf(values) {
  const turned = {};
  for (const turn of TURNS) {
    const value = turnValue(turn, turnIndex(turn, values[turn.name] ?? turn.neutral));
    if (value !== turn.neutral) turned[turn.name] = value;
  }
  return turned;
}

// ---- What the networks make of a change

// The untouched image at a stroke width, 0 to 1, ink bright.
function turnBase(view, thickness) {
  if (!view.bases.has(thickness)) {
    const { size, pen, minExtent, without } = lens.settings;
    const ink = inkOf(view.now.strokes, { size, pen, minExtent, without, thickness });
    const steps = new Set([...without].filter((name) => name !== "polarity" && name !== "scale"));
    // Ink at the canvas's very edge may leave it as its pen gets thinner.
    const blank = new Float32Array(FIELD_SIZE * FIELD_SIZE);
    view.bases.set(thickness, ink ? asFed(toDigit(ink, steps).image, steps) : blank);
  }
  return view.bases.get(thickness);
}

// The changed image, 0 to 1, as the network sees it. Polarity comes after the change, so that what a shift brings in
// from outside is paper.
function turnPicture(view, { thickness, ...change }) {
  const picture = distorted(turnBase(view, thickness), change);
  return lens.settings.without.has("polarity") ? picture.map((ink) => 1 - ink) : picture;
}

function turnChances(network, picture) {
  const pixels = lens.settings.without.has("scale") ? picture.map((value) => 255 * value) : picture;
  return chancesOf(network.run(pixels, FIELD_SIZE));
}

// What each network says: the class, its probability, and that of the class which its curve follows.
function turnAnswers(view, picture) {
  return view.networks.map(({ network, follows }) => {
    const chances = turnChances(network, picture);
    const said = labelOf(chances);
    return { said, sure: chances[said], chance: chances[follows] };
  });
}

// The networks with the class that each one's curve follows: what the first makes of the untouched drawing, or, of a
// network that does not know that class, its own answer.
function turnNetworks(view) {
  const { lead, beside } = lens.settings;
  const found = [lead, beside].filter((id) => id && lens.networks.has(id)).map((id) => lens.networks.get(id));
  const picture = turnPicture(view, Object.fromEntries(TURNS.map(({ name, neutral }) => [name, neutral])));
  const chances = found.map(({ network }) => turnChances(network, picture));
  const follows = labelOf(chances[0]);
  const name = nameOf(found[0], follows);
  return found.map((one, index) => {
    if (!index) return { ...one, follows };
    const known = chances[index].findIndex((_, label) => nameOf(one, label) === name);
    return known < 0 ? { ...one, follows: labelOf(chances[index]), isOwn: true } : { ...one, follows: known };
  });
}

// ---- Curves: a few points over the whole range first, then those between

function turnOrder(turn) {
  const count = turnCount(turn);
  const order = new Set([0, count - 1, turnIndex(turn, turn.neutral)]);
  let coarse = 0;
  for (let stride = 2 ** Math.floor(Math.log2(count / 8)); stride >= 1; stride /= 2) {
    for (let index = 0; index < count; index += stride) order.add(index);
    coarse ||= order.size;
  }
  return { order: [...order], coarse };
}

const turnKey = (view, { turn }) =>
  [view.drawing, ...TURNS.map(({ name }) => (name === turn.name ? "" : view.values[name]))].join();

function turnCurve(view, row) {
  const count = turnCount(row.turn);
  const { networks, drawing, values } = view;
  const lines = networks.map(() => ({ chance: new Float64Array(count).fill(NaN), said: new Int16Array(count) }));
  return { key: turnKey(view, row), networks, drawing, values: { ...values }, lines, done: 0 };
}

function turnPut({ lines }, index, answers) {
  lines.forEach((line, at) => {
    line.chance[index] = answers[at].chance;
    line.said[index] = answers[at].said;
  });
}

// The row whose curve is the furthest from finished; none when all are.
function turnBehind(view) {
  let behind = null;
  for (const row of view.rows) {
    if (row.next?.drawing !== view.drawing) row.next = null;
    // A new curve grows beside the one on show until it has its first points, even when the sliders have moved on
    // since: or none would ever be finished while one is dragged.
    if (!row.next && row.curve?.key !== turnKey(view, row)) {
      row.next = turnCurve(view, row);
      row.root.classList.add("growing");
    }
    row.share = (row.next ?? row.curve).done / row.order.length;
    if (row.share < (behind?.share ?? 1)) behind = row;
  }
  return behind;
}

function turnStep(view, row) {
  const curve = row.next ?? row.curve;
  const index = row.order[curve.done];
  curve.done += 1;
  if (Number.isNaN(curve.lines[0].chance[index])) {
    const values = { ...curve.values, [row.turn.name]: turnValue(row.turn, index) };
    turnPut(curve, index, turnAnswers(view, turnPicture(view, values)));
  }
  if (row.next && curve.done >= row.coarse) [row.curve, row.next] = [curve, null];
  row.isNew = true;
}

// ---- What a curve says

// How far from its neutral value a slider can go to each side while something holds: the first index that does not,
// or null. `already` where it does not hold to begin with.
function turnEnds(turn, holds) {
  const neutral = turnIndex(turn, turn.neutral);
  const walk = (step) => {
    for (let index = neutral; index >= 0 && index < turnCount(turn); index += step) if (!holds(index)) return index;
    return null;
  };
  return holds(neutral) ? { already: false, below: walk(-1), above: walk(1) } : { already: true };
}

const turnReads = (network, { said }, index) => nameOf(network, said[index]);

function turnBreaks(turn, network, line, shown = (index) => turnBrief(turn, turnValue(turn, index))) {
  const { already, below, above } = turnEnds(turn, (index) => line.said[index] === network.follows);
  if (already) return `reads ${turnReads(network, line, turnIndex(turn, turn.neutral))} to begin with`;
  const ends = [below, above].filter((index) => index !== null);
  if (!ends.length) return "holds all the way";
  return `breaks at ${ends.map(shown).join(" and ")}`;
}

// The same for who does not see the curve.
function turnWords(turn, network, line) {
  const { already, below, above } = turnEnds(turn, (index) => line.chance[index] > 0.5);
  const last = (index, step, end) => turnNumber(turn, index === null ? end : turnValue(turn, index + step));
  const range = already
    ? `is not above 50 % at ${turnSpoken(turn, turn.neutral)}`
    : `stays above 50 % from ${last(below, 1, turn.low)} to ${last(above, -1, turn.high)}${turn.spoken}`;
  const shown = (index) => `${turnSpoken(turn, turnValue(turn, index))}, reads ${turnReads(network, line, index)}`;
  return `${network.title} ${range}; ${turnBreaks(turn, network, line, shown)}`;
}

// Stretches of the range with the same answer: its label, and from where to where as shares. They meet half-way
// between the known points.
function turnStretches(turn, { chance, said }) {
  const known = [...chance.keys()].filter((index) => !Number.isNaN(chance[index]));
  const stretches = [];
  known.forEach((index, at) => {
    const start = turnShare(turn, ((known[at - 1] ?? index) + index) / 2);
    const end = turnShare(turn, (index + (known[at + 1] ?? index)) / 2);
    const last = stretches.at(-1);
    if (last?.label === said[index]) last.end = end;
    else stretches.push({ label: said[index], start, end });
  });
  return stretches;
}
