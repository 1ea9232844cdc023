// From the pen to the network's pixels: a picture after each step, as it is at this moment, and what leaving steps out
// does to the answer. What the pictures say is what ui/markup_inspector.py says of them.

const STEP_TITLES = {
  width: "Stroke width",
  crop: "Crop",
  fit: "Fit to 20 x 20",
  antialias: "Anti-alias",
  centre: "Centre by mass",
  polarity: "Polarity",
  scale: "Input scale",
}; // as lenet_core/steps.py has them
const STEP_PICTURES = {
  Drawn: [],
  Inked: ["width"],
  Cropped: ["crop"],
  Shrunk: ["fit", "antialias"],
  Placed: ["centre"],
  Fed: ["polarity", "scale"],
};
const ALL_STEPS_ON = new Set();

function makeStepPicture(name) {
  const picture = {
    canvas: make("canvas"),
    mark: make("b", "steps-mark"),
    says: make("span"),
    over: make("span", "steps-over"),
    top: make("span"),
  };
  picture.canvas.role = "img";
  const ramp = make("span", "steps-scale", make("span", "", "0"), make("i"), picture.top);
  ramp.hidden = name !== "Fed";
  const frame = make("span", "steps-frame", picture.canvas, picture.over);
  picture.figure = make("figure", "", make("b", "", name), frame, ramp);
  picture.figure.append(make("figcaption", "", picture.mark, picture.says));
  picture.figure.dataset.picture = name;
  return picture;
}

function makeVerdict(testId) {
  const verdict = { heading: make("span", "steps-quiet"), name: make("b"), sure: make("span") };
  verdict.cell = make("div", "", verdict.heading, make("span", "", verdict.name, " ", verdict.sure));
  verdict.cell.dataset.testid = testId;
  return verdict;
}

function makeStepsView(root) {
  const pictures = Object.fromEntries(Object.keys(STEP_PICTURES).map((name) => [name, makeStepPicture(name)]));
  const [now, complete] = [makeVerdict("steps-now"), makeVerdict("steps-complete")];
  const figures = Object.values(pictures).map(({ figure }) => figure);
  const verdicts = make("div", "steps-verdicts", now.cell, complete.cell);
  const body = make("div", "", make("div", "steps-pictures", ...figures), verdicts);
  root.append(body);
  const view = { body, pictures, now, complete, isSeen: false };
  return {
    paint: (state) => view.isSeen && paintSteps(view, state), // folded away or off the screen it costs nothing
    see(isSeen) {
      view.isSeen = isSeen;
      if (isSeen) lens.touch();
    },
  };
}

function paintSteps(view, state) {
  view.body.hidden = !state;
  if (!state) return;
  const lead = lens.networks.get(lens.settings.lead);
  view.body.style.setProperty("--net", lead.colour);
  view.body.classList.toggle("steps-empty", !state.digit);
  const { without } = lens.settings;
  for (const [name, steps] of Object.entries(STEP_PICTURES)) {
    const missing = steps.filter((step) => without.has(step)).map((step) => STEP_TITLES[step]);
    view.pictures[name].mark.textContent = missing.length ? `Left out: ${missing.join(", ")}` : "";
  }
  view.pictures.Fed.top.textContent = topOf(without);
  drawStrokes(view.pictures.Drawn.canvas, state.strokes, lens.settings);
  const says = state.digit ? paintDigit(view.pictures, state) : {};
  says.Drawn = drawnSays(state.strokes, lens.settings);
  for (const [name, { canvas, says: place }] of Object.entries(view.pictures)) {
    place.textContent = says[name] ?? "";
    canvas.ariaLabel = `${name}: ${says[name] ?? "nothing yet"}`;
  }
  fillVerdicts(view, state, lead);
}

// What full ink, or bright paper, is fed as.
const topOf = (without) => (without.has("scale") ? 255 : 1);

function drawStrokes(canvas, strokes, { size, pen }) {
  if (canvas.width !== size) Object.assign(canvas, { width: size, height: size });
  const context = canvas.getContext("2d");
  context.fillStyle = "#000";
  context.fillRect(0, 0, size, size);
  Object.assign(context, { strokeStyle: "#fff", lineWidth: pen, lineCap: "round", lineJoin: "round" });
  for (const stroke of strokes) {
    context.beginPath();
    context.moveTo(...stroke[0]);
    for (const [x, y] of stroke) context.lineTo(x, y);
    context.stroke();
  }
}

const drawnSays = ({ length }, { size, pen }) =>
  `${length === 1 ? "1 stroke" : `${length} strokes`} on ${size} x ${size}, with a pen of ${pen}.`;

// Paints all that follows the drawing itself, and returns what the pictures say.
function paintDigit(pictures, { digit, outputs }) {
  const { without, pen, size, ramps } = lens.settings;
  const bright = without.has("polarity") ? "paper" : "ink";
  const { ink, box, fitted } = digit;
  const placed = without.has("polarity") ? digit.image.map((value) => 255 - value) : digit.image;
  const fed = outputs.get("image");
  const [, height, width] = fed.shape;
  const mass = centreOfMass({ width: FIELD_SIZE, height: FIELD_SIZE, values: placed });
  const paintInk = (name, across, down, values, top) => {
    paint(pictures[name].canvas, across, down, coloured(values, 0, top, ramps.ink));
  };
  const [left, top, right, bottom] = box;
  paintInk("Inked", FIELD, FIELD, ink, 1);
  paintInk("Cropped", right - left, bottom - top, cut(ink, box), 1);
  paintInk("Shrunk", fitted.width, fitted.height, fitted.values, 1);
  paintInk("Placed", FIELD_SIZE, FIELD_SIZE, placed, 255);
  paintInk("Fed", width, height, fed.values.subarray(0, width * height), topOf(without));
  frameBox(pictures.Inked.over, box);
  markMass(pictures.Placed.over, mass);
  return {
    Inked: penSays(Math.max(right - left, bottom - top), (pen * FIELD) / size, without),
    Cropped: without.has("crop")
      ? `Nothing is cut off: all ${FIELD} x ${FIELD}.`
      : `To the ink: ${right - left} x ${bottom - top} of ${FIELD} x ${FIELD}.`,
    Shrunk:
      `To ${fitted.width} x ${fitted.height}, the longer side ${without.has("fit") ? 28 : 20}. Each pixel is ` +
      `${without.has("antialias") ? "one point: ink or none" : "the mean of what it covers"}.`,
    Placed:
      `Into ${FIELD_SIZE} x ${FIELD_SIZE}, centred by its ${without.has("centre") ? "box" : "mass"}. ` +
      `The mass lies at row ${mass[0].toFixed(1)}, column ${mass[1].toFixed(1)}; the middle is ${CENTRE}.`,
    Fed: `${width} x ${height} numbers from 0 to ${topOf(without)}, ${bright} bright.`,
  };
}

// `longer` is the longer side of the ink's box, which the pen has made wider.
function penSays(longer, pen, without) {
  if (!without.has("width")) return `A pen of ${(100 * PEN) / LONGER_SIDE} % of the drawing's length, about MNIST's.`;
  return `The canvas's own pen: ${((100 * pen) / Math.max(longer - pen, 1)).toFixed(0)} % of the drawing's length.`;
}

function cut(ink, [left, top, right, bottom]) {
  const values = new Uint8Array((right - left) * (bottom - top));
  for (let row = top; row < bottom; row += 1) {
    values.set(ink.subarray(row * FIELD + left, row * FIELD + right), (row - top) * (right - left));
  }
  return values;
}

// The ink's box, over the picture that it is cut out of.
function frameBox(over, [left, top, right, bottom]) {
  const frame = over.firstChild ?? over.appendChild(make("i", "steps-box"));
  const sides = { left, top, width: right - left, height: bottom - top };
  for (const [side, pixels] of Object.entries(sides)) frame.style[side] = `${(100 * pixels) / FIELD}%`;
}

// Two lines through the middle, and a point where the mass lies.
function markMass(over, [row, column]) {
  if (!over.firstChild) over.append(make("i", "steps-across"), make("i", "steps-down"), make("i", "steps-mass"));
  const percentOf = (place) => `${(100 * (place + 0.5)) / FIELD_SIZE}%`;
  const [across, down, mass] = over.children;
  Object.assign(mass.style, { top: percentOf(row), left: percentOf(column) });
  across.style.top = down.style.left = percentOf(CENTRE);
}

function fillVerdicts({ now, complete }, state, lead) {
  const isWhole = !lens.settings.without.size;
  now.heading.textContent = isWhole ? `${lead.title}, all steps on` : `${lead.title}, as set`;
  complete.heading.textContent = "With all steps on";
  const own = fillVerdict(now, state.probabilities, lead);
  const whole = fillVerdict(complete, isWhole ? null : completeAnswer(state, lead), lead);
  if (isWhole) complete.name.textContent = "the same: nothing is left out";
  complete.cell.classList.toggle("steps-quiet", isWhole);
  now.cell.classList.toggle("steps-other", !isWhole && own !== whole);
}

// Fills in the answer, and returns its class; -1 where there is none.
function fillVerdict({ name, sure }, probabilities, lead) {
  const label = probabilities ? labelOf(probabilities) : -1;
  name.textContent = label < 0 ? "–" : nameOf(lead, label);
  sure.textContent = label < 0 ? "" : percent(probabilities[label]);
  return label;
}

// The answer to the same strokes without anything left out; null where they make no digit.
function completeAnswer({ strokes }, { network }) {
  const ink = inkOf(strokes, { ...lens.settings, without: ALL_STEPS_ON });
  if (!ink) return null;
  return chancesOf(network.run(asFed(toDigit(ink, ALL_STEPS_ON).image, ALL_STEPS_ON), FIELD_SIZE));
}
