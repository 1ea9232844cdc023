// Turn it, shift it, thicken it: a slider and a plot for each change, with the present answers above them.

const TURN_SLICE = 8; // ms of a frame that curves may take
const TURN_PAUSE = 400; // ms without a change, after which the page's address is told
const TURN_WIDE = 1000; // a plot's width in units of its own
const TURN_TALL = { top: 5, bottom: 55, all: 86 }; // CSS pixels of a plot: 100 %, 0 %, and with the bars below
const TURN_BAR = 13; // from one bar to the next
const TURN_LETTER = 6; // width of a small one
const SVG = "http://www.w3.org/2000/svg";

function turnLine(className) {
  const line = document.createElementNS(SVG, "path");
  line.setAttribute("class", className);
  return line;
}

// ---- Drawing

const turnX = (turn, index) => (TURN_WIDE * turnShare(turn, index)).toFixed(1);
const turnY = (share) => (TURN_TALL.bottom + share * (TURN_TALL.top - TURN_TALL.bottom)).toFixed(1);

function turnPath(turn, { chance }) {
  const known = [...chance.keys()].filter((index) => !Number.isNaN(chance[index]));
  const points = known.map((index) => `${turnX(turn, index)} ${turnY(chance[index])}`);
  return points.length ? `M${points.join("L")}` : "";
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
    const name = nameOf(network, label);
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
  const followed = (network) => nameOf(network, network.follows);
  const [lead] = view.networks;
  const others = view.networks.filter(({ isOwn }) => isOwn);
  view.says.replaceChildren(
    "The curves: how probable ", make("b", "", followed(lead)), ` stays, ${lead.title}'s answer to the`,
    " drawing as it is. A bar shows where the answer stays, and a name beside it what is read instead.",
    ...others.map((one) => ` ${one.title} has no such class: its curve follows its own, ${followed(one)}.`),
  );
}

function turnAnswer(network, at, { said, sure, chance }) {
  const name = nameOf(network, said);
  const holds = said === network.follows;
  const rest = holds ? "" : `${nameOf(network, network.follows)}: ${percent(chance)}`;
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
  paint(view.picture, FIELD_SIZE, FIELD_SIZE, coloured(picture, 0, 1, lens.settings.ramps.ink));
  turnSay(view, answers);
  for (const row of view.rows) {
    if (row.curve?.key !== turnKey(view, row)) continue;
    turnPut(row.curve, turnIndex(row.turn, view.values[row.turn.name]), answers);
    row.isNew = true;
  }
}

// ---- When what is done

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
    view.fail(error);
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
  row.value = Object.assign(make("output", "turn-value"), { ariaLive: "off" }); // the slider itself says it
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
function makeTurnsView(root, fail) {
  const view = { root, fail, now: null, isSeen: false, frame: 0, drawing: 0, about: "", networks: [], bases: new Map() };
  Object.assign(view, { values: {}, told: [], pause: 0 });
  root.classList.add("lp-turns");
  turnParts(view);
  turnSet(view, {});
  return {
    update(data, tell) {
      view.tell = tell;
      turnHear(view, data.values);
    },
    paint(now) {
      view.now = now;
      turnAsk(view);
    },
    see(isSeen) {
      view.isSeen = isSeen;
      turnAsk(view);
    },
    stop() {
      cancelAnimationFrame(view.frame);
      clearTimeout(view.pause);
    },
  };
}
