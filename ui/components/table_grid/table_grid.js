// The grid and, beside it, the kernel of the cell under the mouse or the keyboard. Streamlit calls the function at the
// end for all data, with the same element until it leaves the page; cells stay, so that the keyboard keeps its place.

const views = new WeakMap(); // element -> what is shown in it
// Blue below zero, white at zero, red above, as on all pages (ui/pictures.py).
const STOPS = [[33, 102, 172], [103, 169, 207], [209, 229, 240], [247, 247, 247], [253, 219, 199], [239, 138, 98], [178, 24, 43]];
const DARK = 0.62; // of the limit: from here on white numbers are read more easily than black ones
const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

function make(tag, className = "", ...children) {
  const element = document.createElement(tag);
  element.className = className;
  element.append(...children);
  return element;
}

function colour(value, limit) {
  const place = ((Math.max(-1, Math.min(1, value / limit)) + 1) / 2) * (STOPS.length - 1);
  const low = Math.min(Math.floor(place), STOPS.length - 2);
  const mixed = STOPS[low].map((from, channel) => Math.round(from + (place - low) * (STOPS[low + 1][channel] - from)));
  return `rgb(${mixed.join()})`;
}

const written = (value) => value.toFixed(2).replace("-", "−");

function picture(source, alt, className = "map") {
  const image = make("img", className);
  return Object.assign(image, { src: source, alt });
}

// What a cell has beyond its state: how it differs from the paper's.
function change(view, source, target) {
  const { connected, paper } = view.data;
  if (connected[source][target] === paper[source][target]) return "";
  return connected[source][target] ? "added" : "removed";
}

function drawKernel(kernel, limit) {
  const side = kernel.length;
  const canvas = Object.assign(make("canvas"), { width: side, height: side });
  const context = canvas.getContext("2d");
  kernel.forEach((row, y) =>
    row.forEach((value, x) => {
      context.fillStyle = colour(value, limit);
      context.fillRect(x, y, 1, 1);
    }),
  );
  return canvas;
}

function fillCell(view, cell) {
  const { source, target } = cell;
  const { data } = view;
  const isOn = data.connected[source][target];
  const kernel = data.kernels[source][target];
  const marks = { added: "not in the paper", removed: "taken from the paper's", "": "as in the paper" };
  const differs = change(view, source, target);
  cell.className = `cell ${differs}`;
  cell.ariaPressed = String(isOn);
  cell.ariaLabel = `${data.sources.name} map ${source} to ${data.targets.name} map ${target}`;
  cell.setAttribute("aria-description", marks[differs]);
  const shows = isOn && data.asKernels && kernel ? drawKernel(kernel, data.limit) : isOn ? "X" : "";
  cell.replaceChildren(shows);
}

// A kernel's numbers over its colours.
function numbers(kernel, limit) {
  const table = make("table", "numbers");
  for (const row of kernel) {
    const line = table.insertRow();
    for (const value of row) {
      const cell = line.insertCell();
      cell.textContent = written(value);
      cell.style.background = colour(value, limit);
      cell.classList.toggle("dark", Math.abs(value) > DARK * limit);
    }
  }
  return table;
}

function says(view, source, target) {
  const kernel = view.data.kernels[source][target];
  const isOn = view.data.connected[source][target];
  if (kernel && isOn) return "Its 25 numbers in the trained net: red adds what the map holds there, blue takes it away.";
  if (kernel) return "Taken out: the trained net's 25 numbers, which a training with your table does without.";
  if (isOn) return "Yours: 25 numbers that start at random and are learned.";
  return "Not connected: this map does not see that one.";
}

function figure(image, caption) {
  return make("figure", "", image, make("figcaption", "", caption));
}

function show(view, source, target) {
  const { data } = view;
  view.pair = [source, target];
  const kernel = data.kernels[source][target];
  const [from, to] = [`${data.sources.name} map ${source}`, `${data.targets.name} map ${target}`];
  const readers = data.connected.flatMap((row, index) => (row[target] ? [index] : []));
  view.panel.replaceChildren(
    make("h4", "", `${from} → ${to}`),
    make(
      "section",
      "flow",
      figure(picture(data.sources.pictures[source], `${from} for the digit`), from),
      kernel ? numbers(kernel, data.limit) : make("p", "none", "no kernel"),
      figure(picture(data.targets.pictures[target], `${to} for the digit`), to),
    ),
    make("p", "", says(view, source, target)),
    make("p", "quiet", `${to} reads ${data.sources.name} map${readers.length > 1 ? "s" : ""} ${readers.join(", ")}: the sum of ${readers.length === 1 ? "one convolution" : `${readers.length} convolutions`} and one bias.`),
  );
  for (const cell of view.cells) cell.classList.toggle("shown", cell.source === source && cell.target === target);
  for (const head of view.heads) {
    head.classList.toggle("lit", head.source === source || head.target === target);
  }
}

function move(view, cell, [down, right]) {
  const { sources, targets } = view.data;
  // On a phone the grid is turned: its rows are the maps after.
  const turned = getComputedStyle(view.grid).gridAutoFlow === "column";
  const [bySource, byTarget] = turned ? [right, down] : [down, right];
  const source = (cell.source + bySource + sources.pictures.length) % sources.pictures.length;
  const target = (cell.target + byTarget + targets.pictures.length) % targets.pictures.length;
  focus(view, source, target);
}

// One cell is in the order of the Tab key; the arrows lead on.
function focus(view, source, target) {
  for (const cell of view.cells) cell.tabIndex = -1;
  const cell = view.cells[source * view.data.targets.pictures.length + target];
  cell.tabIndex = 0;
  cell.focus();
}

function makeCell(view, source, target) {
  const cell = Object.assign(make("button", "cell"), { type: "button", tabIndex: -1, source, target });
  cell.addEventListener("click", () => {
    focus(view, source, target);
    view.send("toggle", [source, target]);
  });
  cell.addEventListener("keydown", (event) => {
    if (event.key in STEPS) {
      event.preventDefault();
      move(view, cell, STEPS[event.key]);
    }
  });
  for (const event of ["focus", "pointerenter"]) cell.addEventListener(event, () => show(view, source, target));
  return cell;
}

function makeHead(maps, number, place) {
  const image = picture(maps.pictures[number], `${maps.name} map ${number}`);
  const [side] = Object.keys(place);
  return Object.assign(make("span", `head of-${side}`, make("span", "", String(number)), image), place);
}

function start(root, data) {
  const view = { root, pair: data.pair ?? [0, 0] };
  const { sources, targets } = data;
  const across = targets.pictures.map((_, target) => makeHead(targets, target, { target }));
  const down = sources.pictures.map((_, source) => makeHead(sources, source, { source }));
  const rows = sources.pictures.map((_, source) => targets.pictures.map((__, target) => makeCell(view, source, target)));
  const corner = make("span", "corner", make("span", "", `${sources.name} ↓`), make("span", "", `${targets.name} →`));
  view.heads = [...across, ...down];
  view.cells = rows.flat();
  view.grid = make("section", "grid", corner, ...across, ...rows.flatMap((row, source) => [down[source], ...row]));
  view.grid.role = "group";
  view.grid.style.setProperty("--down", sources.pictures.length);
  view.grid.style.setProperty("--across", targets.pictures.length);
  view.panel = make("section", "panel");
  view.cells[view.pair[0] * targets.pictures.length + view.pair[1]].tabIndex = 0;
  root.append(view.grid, view.panel);
  views.set(root, view);
  return view;
}

function update(view, data) {
  view.data = data;
  view.grid.ariaLabel = data.label;
  for (const head of view.heads) {
    const number = head.source ?? head.target;
    const source = (head.target === undefined ? data.sources : data.targets).pictures[number];
    const image = head.querySelector("img");
    if (image.src !== source) image.src = source;
  }
  for (const cell of view.cells) fillCell(view, cell);
  show(view, ...view.pair);
}

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".lp-table-grid");
  const view = views.get(root) ?? start(root, data);
  view.send = setTriggerValue;
  update(view, data);
  return () => {
    root.replaceChildren();
    views.delete(root);
  };
}
