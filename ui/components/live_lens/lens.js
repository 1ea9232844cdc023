// What all views of the page share: the drawing as it is now, and what the chosen network makes of it. One frame is
// asked for at a time, and only when something has changed.

const lens = {
  settings: null,
  networks: new Map(),
  now: null,
  watch(view) {
    lensViews.add(view);
    lensPen.start();
    lens.touch();
    return () => {
      lensViews.delete(view);
      if (!lensViews.size) lensPen.stop();
    };
  },
  touch() {
    lensFrame ||= requestAnimationFrame(renderLens);
  },
};
const lensViews = new Set();
const lensPen = new Pen(() => lens.touch());
let lensFrame = 0;
let serverCount = 0; // strokes that the server has answered
let lensFailed = false;

// Null where there is no network to ask.
function seenNow() {
  const { settings, networks } = lens;
  const lead = settings && networks.get(settings.lead);
  if (!lead) return null;
  const { strokes, isDown } = lensPen;
  const ink = inkOf(strokes, settings);
  const digit = ink && toDigit(ink, settings.without);
  const outputs = digit && lead.network.run(asFed(digit.image, settings.without), FIELD_SIZE);
  const probabilities = outputs && chancesOf(outputs);
  const isSettled = !isDown && strokes.length === serverCount;
  return { strokes, count: strokes.length, isDown, isSettled, digit, outputs, probabilities };
}

function renderLens() {
  lensFrame = 0;
  if (lensFailed) return;
  try {
    lens.now = seenNow();
    for (const view of lensViews) view.paint(lens.now);
    if (lens.now) document.body.dataset.lens = "alive";
    else delete document.body.dataset.lens;
  } catch (error) {
    failLens(error);
  }
}

// The server's answers, which style.css hides while the lens is alive, show again.
function failLens(error) {
  delete document.body.dataset.lens;
  if (!lensFailed) console.error("The live lens has stopped; the server answers when the pen lifts.", error);
  lensFailed = true;
  lensPen.stop();
}

// The probabilities of the classes, of all layers' outputs.
const chancesOf = (outputs) => softmax([...outputs.values()].at(-1).values);

// The most probable class; the first where the network gives no numbers, as the server has it.
const labelOf = (probabilities) => Math.max(0, probabilities.indexOf(Math.max(...probabilities)));

const nameOf = ({ classes }, label) => classes[label] ?? String(label);

function make(tag, className = "", ...children) {
  const element = document.createElement(tag);
  element.className = className;
  element.append(...children);
  return element;
}

// As ui/markup.py writes them.
function percent(fraction) {
  if (fraction >= 0.9995) return "> 99.9 %";
  return fraction < 0.0005 ? "< 0.1 %" : `${(100 * fraction).toFixed(1)} %`;
}

function number(value) {
  if (!Number.isFinite(value)) return "not finite";
  const size = Math.abs(value);
  if (size >= 1000) return Math.round(value).toLocaleString("en").replaceAll("-", "−");
  const text = size > 0 && size < 0.001 ? value.toExponential(1) : String(Number(value.toPrecision(3)));
  return text.replaceAll("-", "−");
}
