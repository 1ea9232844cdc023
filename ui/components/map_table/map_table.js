// The table itself. Streamlit calls the function at the end for all data and when the theme changes, with the same
// element until it leaves the page; new data are brought into what stands there, so that nothing flickers.

const views = new WeakMap(); // element -> what is shown in it
const NARROW = 640; // CSS pixels, as in map_table.css
const HEAD = 176; // an input's picture and words, with the gap beside them
const BETWEEN = 24; // layers side by side
const GAP = 3; // maps
const BAR_HEIGHT = 64;
const BUTTONS = {
  up: ["M8 13V3M3.5 7.5 8 3l4.5 4.5", ({ name }) => `Move ${name} up`],
  down: ["M8 3v10M3.5 8.5 8 13l4.5-4.5", ({ name }) => `Move ${name} down`],
  again: ["M13 8a5 5 0 1 1-1.6-3.7M13.2 1.8v3.4H9.8", ({ again }) => again],
  remove: ["m4 4 8 8M12 4l-8 8", ({ name }) => `Remove ${name}`],
};

function make(tag, className = "", ...children) {
  const element = document.createElement(tag);
  element.className = className;
  element.append(...children);
  return element;
}

// The children of an element, made or taken away until there are `count`.
function fitted(parent, count, child) {
  while (parent.children.length > count) parent.lastChild.remove();
  while (parent.children.length < count) parent.append(child());
  return [...parent.children];
}

function makeButton(view, action) {
  const button = make("button", action);
  button.type = "button";
  button.innerHTML = `<svg viewBox="0 0 16 16" aria-hidden="true"><path d="${BUTTONS[action][0]}"/></svg>`;
  button.addEventListener("click", ({ detail }) => {
    if (action === "remove" && detail > 1) return; // of a double click: the next row has moved under the pointer
    const row = view.rows.indexOf(button.closest(".line"));
    view.send("action", [action, row, view.data.rows[row].name]);
  });
  return button;
}

function makeHead(view) {
  const picture = make("span", "picture", make("img"));
  const buttons = make("span", "buttons", ...Object.keys(BUTTONS).map((action) => makeButton(view, action)));
  return make("header", "head", picture, make("span", "texts", make("b", "name"), make("span", "says"), buttons));
}

const makeLine = (className, head) => make("section", `line ${className}`, head, make("section", "blocks"));

function makeCard() {
  const card = make("aside", "card");
  Object.assign(card, { popover: "manual", ariaHidden: "true" }); // read aloud elsewhere
  const parts = { name: "b", where: "p", sees: "p", others: "ul" };
  for (const [part, tag] of Object.entries(parts)) card[part] = make(tag, part);
  card.enlarged = make("canvas");
  card.append(make("span", "enlarged", card.enlarged), card.name, card.where, card.sees, card.others);
  return card;
}

function start(root) {
  const view = { root, pointed: null, selected: null, cursor: { block: 0, row: 0, channel: 0, y: 0, x: 0 } };
  view.card = makeCard();
  view.said = make("p", "said");
  view.said.ariaLive = "polite";
  view.titles = makeLine("titles", make("span", "head"));
  view.columns = makeLine("columns", make("span", "head"));
  view.body = make("section", "body");
  root.append(view.titles, view.columns, view.body, view.said, view.card);
  listen(view);
  view.observer = new ResizeObserver(() => {
    if (root.clientWidth && root.clientWidth !== view.width) arrange(view);
  });
  view.observer.observe(root);
  view.follow = () => placeCard(view);
  window.addEventListener("scroll", view.follow, { capture: true, passive: true });
  views.set(root, view);
  return view;
}

// A scale's colours between its ends, and zero where it lies between them.
function scaleBar({ gradient }, { low, high }) {
  const ramp = make("span", "ramp");
  ramp.style.background = gradient;
  if (low < 0 && high > 0) {
    const zero = make("span", "zero", "0");
    zero.style.left = `${(100 * -low) / (high - low)}%`;
    ramp.append(zero);
  }
  return make("span", "scale", number(low), ramp, number(high));
}

function fillTitles(view) {
  view.titles.lastChild.replaceChildren(
    ...view.blocks.map((block) => {
      const words = make("p", "", make("b", "", block.title), ` ${block.note}`);
      const own = { row: "each input on its own scale", map: `each ${block.bars ? "unit" : "map"} on its own scale` };
      const isOne = block.shared === "all";
      const scale = isOne ? scaleBar(block, scaleOf(block, 0, 0)) : make("span", "scale", own[block.shared]);
      return make("section", "block", words, scale);
    }),
  );
}

// What stands above a column: its number, its kernel, and its scale where it has its own.
function columnCell(block, channel) {
  const name = block.bars ? (block.names[channel] ?? "") : String(block.first + channel);
  const cell = make("span", "cell", make("span", "number", name));
  if (block.kernels.length) {
    const kernel = make("img", "kernel");
    Object.assign(kernel, { src: block.kernels[channel], alt: `Kernel ${block.first + channel}` });
    cell.append(kernel);
  }
  if (block.shared === "map" && !block.bars) {
    const { low, high } = scaleOf(block, 0, channel);
    cell.append(make("span", "limits", number(high), make("br"), number(low)));
  }
  return cell;
}

function fillColumns(view) {
  view.columns.firstChild.textContent = view.blocks.some(({ kernels }) => kernels.length) ? "Kernels" : "";
  view.columns.lastChild.replaceChildren(
    ...view.blocks.map((block) => {
      // Names under one another as wide as their bars: single characters are what fits.
      const bare = block.bars && (!block.names.length || block.names.some((name) => name.length > 1));
      const cells = Array.from({ length: bare ? 0 : block.channels }, (_, channel) => columnCell(block, channel));
      return make("section", "block", make("b", "caption", block.title), make("section", "grid", ...cells));
    }),
  );
}

function fillHead(head, row) {
  const picture = head.querySelector("img");
  if (picture.src !== row.picture) picture.src = row.picture;
  picture.alt = `${row.name} as the network sees it`;
  Object.assign(head.querySelector(".name"), { textContent: row.name, title: row.name });
  head.querySelector(".says").textContent = row.says;
  head.querySelector(".buttons").hidden = !row.can.length;
  for (const [action, [, words]] of Object.entries(BUTTONS)) {
    const button = head.querySelector(`.${action}`);
    Object.assign(button, { ariaLabel: words(row), title: words(row) });
    button.classList.toggle("absent", !row.can.includes(action));
  }
}

function fillRows(view) {
  const { data, blocks } = view;
  view.rows = fitted(view.body, data.rows.length, () => makeLine("row", makeHead(view)));
  view.pictures = view.rows.map((line) => line.querySelector(".picture"));
  view.cells = view.rows.map((line, row) => {
    Object.assign(line, { role: "group", ariaLabel: data.rows[row].name });
    fillHead(line.firstChild, data.rows[row]);
    const parts = () => make("section", "block", make("b", "caption"), make("section", "grid"), make("span", "own"));
    return fitted(line.lastChild, blocks.length, parts).map((part, index) => {
      const block = blocks[index];
      const [caption, grid, own] = part.children;
      part.classList.toggle("bars", block.bars);
      caption.textContent = block.title;
      own.replaceChildren(...(block.shared === "row" ? [scaleBar(block, scaleOf(block, row, 0))] : []));
      return fitted(grid, block.bars ? 1 : block.channels, () => make("span", "cell", make("canvas")));
    });
  });
}

function paint(view) {
  view.cells.forEach((cellsOfRow, row) =>
    cellsOfRow.forEach((cells, block) =>
      cells.forEach(({ firstChild: canvas }, channel) => {
        const { bars, title, first, channels } = view.blocks[block];
        canvas.stands = { row, block, channel };
        canvas.tabIndex = -1;
        canvas.role = "img";
        const words = bars
          ? paintBars(canvas, view.blocks[block], row, view.sizes[block].cell, BAR_HEIGHT)
          : paintMap(canvas, view.blocks[block], row, channel);
        const name = bars ? `${title}: ${channels} units` : `${title}, map ${first + channel}:`;
        canvas.ariaLabel = `${view.data.rows[row].name}, ${name} ${words}`;
      }),
    ),
  );
  setCursor(view, within(view, view.cursor));
}

// Columns and widths: all in one line where cells of 30 pixels fit, else each layer on lines of its own.
function sizesFor(blocks, width) {
  const narrow = width < NARROW;
  const room = narrow ? width : width - HEAD;
  const maps = blocks.filter(({ bars }) => !bars);
  const count = maps.reduce((sum, { channels }) => sum + channels, 0);
  const barsIn = (most, { channels: units }) =>
    Math.min(Math.floor(most), units * clamped(Math.floor(360 / units), 2, 22));
  const beside = count ? 0.3 * room : room; // what bars may take beside maps
  const taken = blocks.reduce((sum, block) => sum + (block.bars ? barsIn(beside, block) : 0), 0);
  const spaces = BETWEEN * (blocks.length - 1) + GAP * (count - maps.length);
  const cell = Math.floor((room - taken - spaces) / count);
  const inLine = !narrow && (count ? cell >= 30 : taken + spaces <= room);
  const sizes = blocks.map((block) => {
    if (block.bars) return { columns: 1, cell: barsIn(inLine ? beside : room, block) };
    if (inLine) return { columns: block.channels, cell: Math.min(cell, 76) };
    const most = Math.floor((room + GAP) / ((narrow ? 50 : 34) + GAP));
    const columns = Math.ceil(block.channels / Math.ceil(block.channels / most));
    return { columns, cell: Math.min(Math.floor((room + GAP) / columns) - GAP, narrow ? 60 : 76) };
  });
  return { sizes, arrangement: narrow ? "narrow" : inLine ? "line" : "stacked" };
}

function arrange(view) {
  view.width = view.root.clientWidth;
  const { sizes, arrangement } = sizesFor(view.blocks, view.width);
  view.sizes = sizes;
  view.root.dataset.arrangement = arrangement;
  for (const line of [view.titles, view.columns, ...view.rows]) {
    [...line.lastChild.children].forEach((part, index) => {
      const { columns, cell } = sizes[index];
      const split = line === view.columns && view.blocks[index].bars ? view.blocks[index].channels : 1;
      part.style.setProperty("--columns", columns * split);
      part.style.setProperty("--cell", `${cell / split}px`);
      part.style.setProperty("--gap", `${split > 1 ? 0 : GAP}px`);
      part.style.setProperty("--width", `${columns * (cell + GAP) - GAP}px`);
    });
  }
  paint(view);
}

// The keyboard's place before new data: a button with its row, or a map.
function held(view) {
  const element = view.root.getRootNode().activeElement;
  if (!view.root.contains(element)) return null;
  if (element.stands) return { map: true };
  const index = view.rows.indexOf(element.closest(".line"));
  return { action: element.className, index, row: view.data.rows[index] };
}

// Gives it back: to the same button of the same input, wherever that stands now.
function keep(view, { map, action, index, row }) {
  if (map) {
    canvasOf(view, view.cursor).focus({ preventScroll: true });
    return;
  }
  const { rows } = view.data;
  const alike = rows.findIndex(({ name, picture }) => name === row.name && picture === row.picture);
  const stays = rows[index]?.name === row.name ? index : rows.findIndex(({ name }) => name === row.name);
  const now = [alike, stays].find((found) => found >= 0) ?? Math.min(index, rows.length - 1);
  const buttons = [...view.rows[now].querySelectorAll("button:not(.absent)")];
  (buttons.find((button) => button.classList.contains(action)) ?? buttons[0])?.focus({ preventScroll: true });
}

function update(view, data) {
  const focus = view.data && held(view);
  Object.assign(view, { data, blocks: data.blocks.map(unpacked) });
  view.root.ariaLabel = data.label;
  fillTitles(view);
  fillColumns(view);
  fillRows(view);
  arrange(view);
  view.selected = data.selected && inward(view, data.selected);
  if (focus) keep(view, focus);
  point(view, view.pointed && within(view, view.pointed));
  view.root.dataset.version = data.version;
}

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".lp-map-table");
  const view = views.get(root) ?? start(root);
  view.send = setTriggerValue;
  update(view, data);
  return () => {
    view.observer.disconnect();
    window.removeEventListener("scroll", view.follow, { capture: true });
    root.replaceChildren();
    views.delete(root);
  };
}
