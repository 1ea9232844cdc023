// The answer while the pen moves: the class, all probabilities, the image that the network gets, its first feature
// maps. The server's own answer (ui/markup_lens.py) has the same elements and the same classes, so nothing jumps
// where one takes the other's place.

const QUIET = 500; // milliseconds without a change before the answer is read aloud

function makeAnswerView(root) {
  const parts = {
    digit: make("span", "lens-digit"),
    sure: make("span", "lens-sure"),
    doubt: make("span", "lens-doubt"),
    empty: emptyHint(),
    bars: make("section", "lens-bars"),
    image: make("canvas", "lens-pixels"),
    size: make("figcaption"),
    maps: make("section", "lens-layers"),
    said: make("p", "lens-said"),
  };
  parts.digit.dataset.testid = "answer";
  Object.assign(parts.bars, { role: "group", ariaLabel: "Probability of each class" });
  parts.image.role = "img";
  parts.said.role = "status";
  parts.verdict = make("span", "lens-verdict", parts.digit, parts.sure, parts.doubt);
  const figure = make("figure", "lens-image", parts.image, parts.size);
  parts.top = make("section", "lens-top", make("section", "lens-answer", parts.verdict, parts.empty), parts.bars, figure);
  root.append(parts.top, parts.maps, parts.said);
  const view = { ...parts, root, scales: [], timer: 0 };
  return {
    paint: (now) => paintAnswer(view, now),
    stop: () => clearTimeout(view.timer),
  };
}

function emptyHint() {
  const title = make("strong", "", "Draw a digit");
  title.dataset.testid = "empty";
  return make("span", "lens-empty", title, make("span", "", "One digit from 0 to 9, as large as you like. Or place one."));
}

// What stands still while the pen moves: made anew for another network.
function arrangeAnswer(view) {
  const lead = lens.networks.get(lens.settings.lead);
  if (view.arranged === lead) return;
  view.arranged = lead;
  view.root.style.setProperty("--net", lead.colour);
  const blank = lead.network.run(new Float32Array(FIELD_SIZE * FIELD_SIZE), FIELD_SIZE); // for the shapes alone
  const image = blank.get("image").shape;
  view.size.textContent = `What the network sees: ${image[1]} x ${image[2]}`;
  view.bars.replaceChildren(
    ...Array.from([...blank.values()].at(-1).values, (_, label) =>
      make("span", "lens-bar", make("span", "", nameOf(lead, label)), make("span", "lens-track", make("i")), make("span")),
    ),
  );
  view.layers = lead.maps.map((maps) => layerOf(maps, blank.get(maps.layer).shape));
  view.maps.replaceChildren(...view.layers.map(({ element }) => element));
}

function layerOf(maps, [, height, width]) {
  const [low, high] = [make("span", "lens-end"), make("span", "lens-end")];
  const ramp = make("span", "lens-ramp");
  ramp.style.background = lens.settings.ramps[maps.signed ? "diverging" : "sequential"].gradient;
  if (maps.signed) ramp.append(make("span", "", "0"));
  const canvases = Array.from({ length: maps.count }, () => {
    const canvas = make("canvas", "lens-pixels");
    Object.assign(canvas, { width, height, role: "img" });
    return canvas;
  });
  const grid = make("span", "lens-maps", ...canvases);
  grid.style.setProperty("--columns", maps.count > 8 ? 8 : maps.count);
  grid.classList.toggle("many", maps.count > 8);
  const head = make("span", "lens-head", make("b", "", maps.title), make("span", "", maps.shape));
  head.append(make("span", "lens-scale", low, ramp, high));
  const element = make("section", "lens-layer", head, make("span", "lens-says", maps.says), grid);
  return { maps, element, canvases, low, high, scale: null };
}

function paintAnswer(view, now) {
  if (!now) return;
  arrangeAnswer(view);
  const { digit, probabilities, outputs } = now;
  view.top.classList.toggle("none", !digit);
  if (digit) paintVerdict(view, now);
  else for (const name of ["strokes", "settled"]) delete view.digit.dataset[name];
  [...view.bars.children].forEach((bar, label) => {
    const fraction = digit ? probabilities[label] : 0;
    bar.children[1].firstChild.style.width = `${(100 * fraction).toFixed(2)}%`;
    bar.lastChild.textContent = digit ? percent(fraction) : "";
  });
  paintImage(view, outputs?.get("image"));
  for (const layer of view.layers) paintLayer(layer, outputs?.get(layer.maps.layer), now.isDown);
  clearTimeout(view.timer);
  view.timer = setTimeout(() => describe(view, now), QUIET);
}

function paintVerdict(view, { probabilities, count, isSettled }) {
  const ranking = [...probabilities.keys()].sort((a, b) => probabilities[b] - probabilities[a]);
  const name = nameOf(view.arranged, ranking[0]);
  view.digit.textContent = name;
  view.digit.className = name.length === 1 ? "lens-digit" : "lens-word";
  Object.assign(view.digit.dataset, { strokes: count, settled: isSettled });
  view.sure.textContent = percent(probabilities[ranking[0]]);
  view.doubt.textContent = doubtOf(view.arranged, probabilities, ranking);
  [...view.bars.children].forEach((bar, label) => bar.classList.toggle("best", label === ranking[0]));
}

function doubtOf(lead, probabilities, [first, second]) {
  const runnerUp = nameOf(lead, second);
  if (probabilities[first] < lens.settings.unsure) return `not sure: ${nameOf(lead, first)} or ${runnerUp}?`;
  if (probabilities[second] < 0.01) return "no other above 1 %";
  return `then ${runnerUp}, ${percent(probabilities[second])}`;
}

function paintImage(view, image) {
  const [, height, width] = image?.shape ?? [1, 28, 28];
  const values = image ? image.values.subarray(0, height * width) : new Float32Array(height * width);
  const high = lens.settings.without.has("scale") ? 255 : 1;
  paint(view.image, width, height, coloured(values, 0, high, lens.settings.ramps.ink));
}

// One scale for all maps of a layer. Under the pen it only grows, and in steps, so that colours and numbers do not
// flicker; when the pen lifts it is fitted to what is shown.
function paintLayer(layer, output, isDown) {
  const { maps, canvases } = layer;
  if (!output || !isDown) layer.scale = null;
  if (!output) {
    for (const canvas of canvases) canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
    layer.low.textContent = layer.high.textContent = "";
    return;
  }
  const [, height, width] = output.shape;
  const shown = output.values.subarray(0, maps.count * height * width);
  growScale(layer, shown);
  const { low, high } = layer.scale;
  const ramp = lens.settings.ramps[maps.signed ? "diverging" : "sequential"];
  canvases.forEach((canvas, index) => {
    const values = shown.subarray(index * height * width, (index + 1) * height * width);
    paint(canvas, width, height, coloured(values, low, high, ramp));
  });
}

function growScale(layer, values) {
  let { least, most } = layer.scale ?? { least: Infinity, most: -Infinity };
  for (const value of values) {
    if (value < least) least = value;
    if (value > most) most = value;
  }
  if (layer.scale && least === layer.scale.least && most === layer.scale.most) return;
  const reach = Math.max(-least, most);
  const span = layer.maps.signed ? reach : most - least;
  const step = 10 ** Math.floor(Math.log10(Math.max(span, 1e-6))) / 2;
  const up = (value) => step * Math.ceil(value / step - 1e-6);
  const low = layer.maps.signed ? -up(reach) : -up(-least);
  const high = layer.maps.signed ? up(reach) : up(most);
  layer.scale = { least, most, low, high: Math.max(high, low + step) };
  layer.low.textContent = number(layer.scale.low);
  layer.high.textContent = number(layer.scale.high);
}

// In words, once the pen rests: read aloud, and what each picture shows.
function describe(view, { digit, outputs, isSettled }) {
  const words = `${view.digit.textContent}, ${view.sure.textContent}. ${view.doubt.textContent}.`;
  const said = digit && isSettled ? words : "";
  if (view.said.textContent !== said) view.said.textContent = said; // the same words again would be read again
  view.image.ariaLabel = digit ? view.size.textContent : "Nothing to see yet";
  for (const { maps, canvases } of view.layers) {
    canvases.forEach((canvas, index) => {
      const name = `${maps.title}, feature map ${index}`;
      canvas.ariaLabel = canvas.title = digit ? `${name}: ${inWords(outputs.get(maps.layer), index)}` : name;
    });
  }
}

function inWords({ shape: [, height, width], values }, index) {
  const own = values.subarray(index * height * width, (index + 1) * height * width);
  const mean = own.reduce((sum, value) => sum + value, 0) / own.length;
  return `mean ${number(mean)}, from ${number(Math.min(...own))} to ${number(Math.max(...own))}`;
}
