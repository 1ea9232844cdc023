// Turn it, shift it, thicken it: seven changes of the drawing, and over each slider's whole range how probable the
// answer stays. A curve goes through the present point: along it the other six sliders keep their values.

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
const TURN_SLICE = 8; // ms of a frame that curves may take
const TURN_PAUSE = 400; // ms without a change, after which the page's address is told
const TURN_WIDE = 1000; // a plot's width in units of its own
const TURN_TALL = { top: 5, bottom: 55, all: 86 }; // CSS pixels of a plot: 100 %, 0 %, and with the bars below
const TURN_BAR = 13; // from one bar to the next
const TURN_LETTER = 6; // width of a small one
const TURN_SIDE = 28; // pixels of the network's picture
const SVG = "http://www.w3.org/2000/svg";

function turnLine(className) {
  const line = document.createElementNS(SVG, "path");
  line.setAttribute("class", className);
  return line;
}

const turnCount = ({ low, high, step }) => Math.round((high - low) / step) + 1;
const turnIndex = ({ low, step }, value) => Math.round((value - low) / step);
const turnValue = ({ low, step }, index) => Number((low + index * step).toFixed(2));
const turnShare = (turn, index) => index / (turnCount(turn) - 1);
const turnClass = ({ classes }, label) => classes[label] ?? String(label);
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

// The untouched image at a stroke width, 0 to 1, ink bright; null where there is nothing to read.
function turnBase(view, thickness) {
  if (!view.bases.has(thickness)) {
    const { size, pen, minExtent, without } = lens.settings;
    const ink = inkOf(view.now.strokes, { size, pen, minExtent, without, thickness });
    const steps = new Set([...without].filter((name) => name !== "polarity" && name !== "scale"));
    view.bases.set(thickness, ink && asFed(toDigit(ink, steps).image, steps));
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
  return softmax([...network.run(pixels, TURN_SIDE).values()].at(-1).values);
}

const turnMost = (chances) => chances.indexOf(Math.max(...chances));

// What each network says: the class, its probability, and that of the class which its curve follows.
function turnAnswers(view, picture) {
  return view.networks.map(({ network, follows }) => {
    const chances = turnChances(network, picture);
    const said = turnMost(chances);
    return { said, sure: chances[said], chance: chances[follows] };
  });
}

// The networks with the class that each one's curve follows: what the first makes of the untouched drawing, or, of a
// network that does not know that class, its own answer.
function turnNetworks(view) {
  const { lead, beside } = lens.settings;
  const found = [lead, beside].filter((id) => id && lens.networks.has(id)).map((id) => lens.networks.get(id));
  const picture = turnPicture(view, Object.fromEntries(TURNS.map(({ name, neutral }) => [name, neutral])));
  const own = found.map(({ network }) => turnMost(turnChances(network, picture)));
  const name = turnClass(found[0], own[0]);
  return found.map((one, index) => {
    const known = one.classes.length ? one.classes.indexOf(name) : own[0];
    return { ...one, follows: index && known < 0 ? own[index] : known, isOwn: index > 0 && known < 0 };
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

// Computes for some milliseconds; says whether something is left.
function turnSlice(view) {
  const until = performance.now() + TURN_SLICE;
  let [row, longest] = [turnBehind(view), 0];
  while (row && performance.now() + longest < until) {
    const start = performance.now();
    turnStep(view, row);
    longest = Math.max(longest, performance.now() - start);
    row = turnBehind(view);
  }
  for (const one of view.rows) if (one.isNew && one.curve) turnDraw(one);
  return row !== null;
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

const turnReads = (network, { said }, index) => turnClass(network, said[index]);

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

// ---- Drawing

const turnX = (turn, index) => (TURN_WIDE * turnShare(turn, index)).toFixed(1);
const turnY = (share) => (TURN_TALL.bottom + share * (TURN_TALL.top - TURN_TALL.bottom)).toFixed(1);

function turnPath(turn, { chance }) {
  const known = [...chance.keys()].filter((index) => !Number.isNaN(chance[index]));
  return `M${known.map((index) => `${turnX(turn, index)} ${turnY(chance[index])}`).join("L")}`;
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

const turnBarY = (at) => TURN_TALL.bottom + 10 + TURN_BAR * at;

function turnHeld(turn, line, follows, at) {
  const held = turnStretches(turn, line).filter(({ label }) => label === follows);
  return held.map(({ start, end }) => `M${TURN_WIDE * start} ${turnBarY(at)}H${TURN_WIDE * end}`).join("");
}

function turnMark(className, text, colour, share, top) {
  const mark = make("i", className, text);
  mark.style.left = `${100 * share}%`;
  mark.style.top = `${top}px`;
  mark.style.color = colour;
  return mark;
}

// A cross on the curve at each break, and beside the bars what is read there, where there is room for it.
function turnMarks({ turn, field }, network, line, at) {
  const { already, below, above } = turnEnds(turn, (index) => line.said[index] === network.follows);
  const ends = already ? [] : [below, above].filter((index) => index !== null);
  const crosses = ends.map((index) =>
    turnMark("turn-mark", "×", network.colour, turnShare(turn, index), turnY(line.chance[index])),
  );
  const others = turnStretches(turn, line).filter(({ label }) => label !== network.follows);
  const names = others.map(({ label, start, end }) => {
    const name = turnClass(network, label);
    const hasRoom = (end - start) * field.clientWidth > TURN_LETTER * (name.length + 1);
    return hasRoom ? turnMark("turn-read", name, network.colour, (start + end) / 2, turnBarY(at)) : "";
  });
  return [...crosses, ...names];
}

function turnDraw(row) {
  const { turn, curve } = row;
  const { networks } = curve; // those on show may be others since
  const isWhole = !row.next && curve.done === row.order.length;
  row.isNew = false;
  row.plot.replaceChildren(row.grid, ...row.lines.flat());
  row.lines.forEach(([line, held], at) => {
    const network = networks[at];
    for (const part of [line, held]) {
      part.style.display = network ? "" : "none";
      part.style.stroke = network?.colour;
    }
    if (!network) return;
    line.setAttribute("d", turnPath(turn, curve.lines[at]));
    held.setAttribute("d", turnHeld(turn, curve.lines[at], network.follows, at));
  });
  row.root.classList.toggle("growing", !isWhole);
  // Words and crosses stay until they can be said anew, unless they are of another drawing or network.
  if (row.saysOf !== curve.drawing) [row.breaks, row.marks].forEach((part) => part.replaceChildren());
  if (!isWhole) return;
  row.saysOf = curve.drawing;
  row.marks.replaceChildren(...networks.flatMap((network, at) => turnMarks(row, network, curve.lines[at], at)));
  row.breaks.replaceChildren(
    ...networks.map((network, at) =>
      make("li", "", turnSwatch(network, at), turnBreaks(turn, network, curve.lines[at])),
    ),
  );
  const words = networks.map((network, at) => turnWords(turn, network, curve.lines[at]));
  row.plot.setAttribute("aria-label", `${turn.title}: ${words.join(". ")}.`);
}

function turnSwatch({ colour, title }, at) {
  const swatch = make("i", at ? "turn-swatch dashed" : "turn-swatch");
  swatch.style.color = colour;
  swatch.title = title;
  return swatch;
}

function turnSay(view, answers) {
  view.answers.replaceChildren(...view.networks.map((network, at) => turnAnswer(network, at, answers[at])));
  const followed = (network) => turnClass(network, network.follows);
  const [lead] = view.networks;
  const others = view.networks.filter(({ isOwn }) => isOwn);
  view.says.replaceChildren(
    "The curves: how probable ", make("b", "", followed(lead)), ` stays, ${lead.title}'s answer to the`,
    " drawing as it is. A bar shows where the answer stays, and a name beside it what is read instead.",
    ...others.map((one) => ` ${one.title} has no such class: its curve follows its own, ${followed(one)}.`),
  );
}

function turnAnswer(network, at, { said, sure, chance }) {
  const name = turnClass(network, said);
  const holds = said === network.follows;
  const rest = holds ? "" : `${turnClass(network, network.follows)}: ${percent(chance)}`;
  const title = make("span", "turn-title", network.title);
  const answer = [make("b", name.length > 3 ? "long" : "", name), make("span", "turn-sure", percent(sure))];
  const item = make("li", holds ? "" : "broken", turnSwatch(network, at), title, ...answer);
  item.append(make("span", "turn-rest", rest));
  Object.assign(item.dataset, { chance: String(chance), said: name });
  return item;
}

// The present point: the picture, the answers, the cursors.
function turnPresent(view) {
  const picture = turnPicture(view, view.values);
  const answers = turnAnswers(view, picture);
  paint(view.picture, TURN_SIDE, TURN_SIDE, coloured(picture, 0, 1, lens.settings.ramps.ink));
  turnSay(view, answers);
  for (const row of view.rows) {
    if (row.curve?.key !== turnKey(view, row)) continue;
    turnPut(row.curve, turnIndex(row.turn, view.values[row.turn.name]), answers);
    row.isNew = true;
  }
}

// ---- When what is done

// Notices another drawing, network or step left out; says whether there is something to turn.
function turnLook(view) {
  const { settings, networks } = lens;
  const can = Boolean(view.now.digit && settings && networks.has(settings.lead));
  view.root.dataset.state = can ? "turning" : "empty";
  if (!can) {
    view.about = "";
    return false;
  }
  const { lead, beside, without, size, pen } = settings;
  const about = JSON.stringify([view.now.strokes, lead, networks.has(beside) && beside, [...without], size, pen]);
  if (about !== view.about) {
    Object.assign(view, { about, drawing: view.drawing + 1, isMoved: true });
    view.bases.clear();
    view.networks = turnNetworks(view);
  }
  return true;
}

function turnWork(view) {
  if (!view.isSeen || !view.now) return;
  view.root.classList.toggle("waiting", view.now.isDown);
  if (view.now.isDown || !turnLook(view)) return;
  if (view.isMoved) turnPresent(view);
  view.isMoved = false;
  if (turnSlice(view)) turnAsk(view);
}

function turnFrame(view) {
  view.frame = 0;
  try {
    turnWork(view);
  } catch (error) {
    failLens(error);
  }
}

function turnAsk(view) {
  view.frame ||= requestAnimationFrame(() => turnFrame(view));
}

// A slider has moved, by hand or by a button.
function turnMove(view, { turn, input, value, cursor, reset }) {
  const now = turnValue(turn, turnIndex(turn, Number(input.value)));
  view.values[turn.name] = now;
  value.textContent = turnShown(turn, now);
  input.ariaValueText = turnSpoken(turn, now);
  cursor.style.left = `${100 * turnShare(turn, turnIndex(turn, now))}%`;
  reset.style.visibility = now === turn.neutral ? "hidden" : "";
  view.back.disabled = !Object.keys(turnedOf(view.values)).length;
  view.isMoved = true;
  turnAsk(view);
}

function turnSet(view, values, rows = view.rows) {
  for (const row of rows) {
    row.input.value = values[row.turn.name] ?? row.turn.neutral;
    turnMove(view, row);
  }
}

// Tells the page's address, once the hand has rested.
function turnSettle(view) {
  clearTimeout(view.pause);
  view.pause = setTimeout(() => {
    const text = JSON.stringify(turnedOf(view.values));
    view.pause = 0;
    if (text === (view.told.at(-1) ?? view.heard)) return;
    view.told.push(text);
    view.tell.state("values", JSON.parse(text));
  }, TURN_PAUSE);
}

// What the address says: an echo of what was told is no news, and neither is what it said before.
function turnHear(view, values) {
  const text = JSON.stringify(turnedOf(values));
  if (text === view.heard) return;
  view.heard = text;
  const told = view.told.indexOf(text);
  if (told >= 0) view.told.splice(0, told + 1);
  else {
    view.told = [];
    turnSet(view, values);
  }
}

// ---- What stands there

function turnReset(view, row) {
  turnSet(view, {}, [row]);
  turnSettle(view);
}

function turnRow(view, turn) {
  const row = { turn, ...turnOrder(turn), curve: null, next: null };
  row.input = make("input");
  Object.assign(row.input, { type: "range", min: turn.low, max: turn.high, step: turn.step, ariaLabel: turn.title });
  row.input.value = turn.neutral;
  row.value = make("output", "turn-value");
  row.reset = make("button", "turn-reset", "Reset");
  Object.assign(row.reset, { type: "button", ariaLabel: `Reset ${turn.title.toLowerCase()}` });
  row.breaks = make("ul", "turn-breaks");
  row.marks = make("span", "turn-marks");
  row.marks.ariaHidden = "true";
  row.cursor = make("i", "turn-cursor");
  row.plot = document.createElementNS(SVG, "svg");
  row.plot.setAttribute("viewBox", `0 0 ${TURN_WIDE} ${TURN_TALL.all}`);
  row.plot.setAttribute("preserveAspectRatio", "none");
  row.plot.setAttribute("role", "img");
  row.plot.setAttribute("aria-label", `${turn.title}: no curve yet`);
  row.grid = turnLine("turn-grid");
  const neutral = turnX(turn, turnIndex(turn, turn.neutral));
  row.grid.setAttribute(
    "d", `M0 ${turnY(1)}H${TURN_WIDE}M0 ${turnY(0)}H${TURN_WIDE}M${neutral} ${turnY(1)}V${TURN_TALL.all}`,
  );
  // The other's line lies over the first's, which is thicker: both are seen where they agree.
  row.lines = ["turn-lead", "turn-other"].map((name) => [turnLine(name), turnLine(`${name} turn-held`)]);
  row.field = make("span", "turn-field", row.plot, row.marks, row.cursor);
  const ends = [turn.low, turn.high].map((value) => make("span", "", turnBrief(turn, value)));
  row.root = make(
    "section", "turn-row growing", make("header", "", make("b", "", turn.title), row.value, row.reset), row.breaks,
    make("section", "turn-plot", row.field, row.input, make("span", "turn-ends", ...ends)),
  );
  row.root.dataset.turn = turn.name;
  turnListen(view, row);
  return row;
}

function turnListen(view, row) {
  row.input.addEventListener("input", () => turnMove(view, row));
  row.input.addEventListener("change", () => turnSettle(view));
  row.input.addEventListener("dblclick", () => turnReset(view, row));
  row.reset.addEventListener("click", () => {
    turnReset(view, row);
    row.input.focus({ preventScroll: true }); // the button is gone
  });
  row.field.addEventListener("click", ({ clientX }) => {
    const box = row.field.getBoundingClientRect();
    const place = Math.round(((clientX - box.left) / box.width) * (turnCount(row.turn) - 1));
    turnSet(view, { [row.turn.name]: turnValue(row.turn, place) }, [row]);
    turnSettle(view);
  });
}

function turnParts(view) {
  view.picture = make("canvas", "turn-picture");
  view.picture.role = "img";
  view.picture.ariaLabel = "The changed drawing as the network sees it, 28 x 28";
  view.answers = make("ul", "turn-answers");
  view.back = make("button", "turn-back", "Back to neutral");
  view.back.type = "button";
  view.back.addEventListener("click", () => {
    turnSet(view, {});
    turnSettle(view);
  });
  view.says = make("p", "turn-says");
  view.rows = TURNS.map((turn) => turnRow(view, turn));
  const head = make("section", "turn-head", view.picture, make("section", "", view.answers, view.back));
  const empty = make("p", "turn-empty", "Draw a digit, or place one: then turn it here.");
  view.root.append(empty, view.says, make("section", "turn-rows", head, ...view.rows.map(({ root }) => root)));
}

// The view of the lens for this section. While it is folded, out of sight, or the pen is down, nothing is computed.
function makeTurnsView(root) {
  const view = { root, now: null, isSeen: false, frame: 0, drawing: 0, about: "", networks: [], bases: new Map() };
  Object.assign(view, { values: {}, told: [], pause: 0 });
  root.classList.add("lp-turns");
  turnParts(view);
  turnSet(view, {});
  const observer = new IntersectionObserver((entries) => {
    view.isSeen = entries.at(-1).isIntersecting;
    turnAsk(view);
  });
  observer.observe(root);
  return {
    update(data, tell) {
      view.tell = tell;
      turnHear(view, data.values);
    },
    paint(now) {
      view.now = now;
      turnAsk(view);
    },
    stop() {
      observer.disconnect();
      cancelAnimationFrame(view.frame);
      clearTimeout(view.pause);
      root.replaceChildren();
    },
  };
}
