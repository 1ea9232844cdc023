// What follows the mouse, a finger or the keyboard: frames, the card with the numbers, what is read aloud.

const canvasOf = (view, unit) => {
  const cells = view.cells[unit.row][unit.block];
  return cells[view.blocks[unit.block].bars ? 0 : unit.channel].firstChild;
};

const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

// The unit at a place of the window, on the canvas there.
function unitAt(view, canvas, { clientX, clientY }) {
  const { row, block, channel } = canvas.stands;
  const { bars, channels, height, width } = view.blocks[block];
  const box = canvas.getBoundingClientRect();
  const along = (share, size) => clamped(Math.floor(share * size), 0, size - 1);
  const right = (clientX - box.left) / box.width;
  if (bars) return { block, row, channel: along(right, channels), y: 0, x: 0 };
  return { block, row, channel, y: along((clientY - box.top) / box.height, height), x: along(right, width) };
}

// A unit in the form that Python knows, and back; null for one that is not shown.
function outward(view, { block, row, channel, y, x }) {
  const { layer, first } = view.blocks[block];
  return { layer, row, channel: first + channel, y, x };
}

function inward(view, chosen) {
  const block = view.blocks.findIndex(({ layer }) => layer === chosen?.layer);
  if (block < 0) return null;
  const unit = { block, row: chosen.row, channel: chosen.channel - view.blocks[block].first, y: chosen.y, x: chosen.x };
  return same(within(view, unit), unit) ? unit : null;
}

// The unit itself, or the nearest one that is shown.
function within(view, { block, row, channel, y, x }) {
  const nearest = clamped(block, 0, view.blocks.length - 1);
  const { channels, height, width } = view.blocks[nearest];
  return {
    block: nearest,
    row: clamped(row, 0, view.data.rows.length - 1),
    channel: clamped(channel, 0, channels - 1),
    y: clamped(y, 0, height - 1),
    x: clamped(x, 0, width - 1),
  };
}

function frame(holder, kind, [top, left, height, width]) {
  const ring = make("i", `ring ${kind}`);
  const percent = { top, left, height, width };
  for (const side of Object.keys(percent)) ring.style[side] = `${100 * percent[side]}%`;
  holder.append(ring);
}

// Where a unit stands in its canvas, as shares of it.
function spot({ bars, channels, height, width }, { channel, y, x }) {
  return bars ? [0, channel / channels, 1, 1 / channels] : [y / height, x / width, 1 / height, 1 / width];
}

function drawFrames(view) {
  for (const ring of view.root.querySelectorAll(".ring")) ring.remove();
  const [height, width] = view.data.inputSize;
  const both = [[view.selected, "chosen"], [view.pointed, "pointed"]];
  for (const [unit, kind] of both.filter(([unit]) => unit)) {
    const block = view.blocks[unit.block];
    const field = fieldOf(block, unit, view.data.inputSize);
    const rows = (field.rows[1] - field.rows[0] + 1) / height;
    const columns = (field.columns[1] - field.columns[0] + 1) / width;
    view.data.rows.forEach((_, row) => {
      const near = row === unit.row ? kind : `${kind} faint`;
      frame(canvasOf(view, { ...unit, row }).parentElement, near, spot(block, unit));
      if (kind === "chosen" && view.pointed) return; // one field at a time
      frame(view.pictures[row], `field ${near}`, [field.rows[0] / height, field.columns[0] / width, rows, columns]);
    });
  }
}

function fillCard(view, unit) {
  const { card } = view;
  const block = view.blocks[unit.block];
  card.classList.toggle("plain", block.bars);
  if (!block.bars) {
    const source = canvasOf(view, unit);
    Object.assign(card.enlarged, { width: source.width, height: source.height });
    card.enlarged.getContext("2d").drawImage(source, 0, 0);
    frame(card.enlarged.parentElement, "pointed", spot(block, unit));
  }
  card.name.textContent = view.data.rows[unit.row].name;
  card.where.textContent = `${whereabouts(block, unit)}: `;
  card.where.append(make("b", "", number(valueOf(block, unit))));
  card.sees.textContent = sight(block, unit, view.data.inputSize);
  card.others.replaceChildren(
    ...view.data.rows.flatMap(({ name }, row) => {
      if (row === unit.row) return [];
      const value = valueOf(block, { ...unit, row });
      const swatch = make("i", "swatch");
      swatch.style.background = block.css[place(value, scaleOf(block, row, unit.channel))];
      return [make("li", "", swatch, make("span", "", `${name}: `), make("b", "", number(value)))];
    }),
  );
}

// Beside the map, so that the same map of the other inputs stays in sight; above or below it on a phone.
function placeCard(view) {
  const { card, pointed } = view;
  if (!pointed) return;
  const canvas = canvasOf(view, pointed).getBoundingClientRect();
  const [, left, , width] = view.blocks[pointed.block].bars ? spot(view.blocks[pointed.block], pointed) : [0, 0, 1, 1];
  const start = canvas.left + left * canvas.width;
  const end = start + width * canvas.width;
  const space = { right: document.documentElement.clientWidth - 8, bottom: window.innerHeight - 8 };
  const { width: across, height: down } = card.getBoundingClientRect();
  let [x, y] = [end + 12, canvas.top - 8];
  if (x + across > space.right) x = start - 12 - across;
  if (x < 8) {
    x = clamped(start, 8, space.right - across);
    y = canvas.bottom + 12;
    if (y + down > space.bottom) y = canvas.top - 12 - down;
  }
  card.style.left = `${Math.round(x)}px`;
  card.style.top = `${Math.round(Math.max(8, Math.min(y, space.bottom - down)))}px`;
}

function words(view, unit) {
  const block = view.blocks[unit.block];
  const names = view.data.rows.map(({ name }, row) => `${name}: ${number(valueOf(block, { ...unit, row }))}`);
  const [own] = names.splice(unit.row, 1);
  const others = names.length ? `; ${names.join(", ")}` : "";
  return `${whereabouts(block, unit)}, ${own}, ${sight(block, unit, view.data.inputSize)}${others}`;
}

function point(view, unit) {
  view.pointed = unit;
  drawFrames(view);
  view.card.togglePopover(unit !== null);
  if (!unit) return;
  fillCard(view, unit);
  placeCard(view);
}

// As `point`, and read aloud.
function tell(view, unit) {
  point(view, unit);
  view.said.textContent = words(view, unit);
}

function choose(view, unit) {
  view.selected = unit;
  point(view, unit);
  view.send("unit", outward(view, unit));
}

// The one map that the Tab key reaches, and the unit that the arrow keys start from.
function setCursor(view, unit) {
  canvasOf(view, within(view, view.cursor)).tabIndex = -1;
  view.cursor = unit;
  canvasOf(view, unit).tabIndex = 0;
}

// The unit beside, above or below; beyond a map's edge the next map's.
function beside(view, unit, right, down) {
  const { channels, height, width } = view.blocks[unit.block];
  const entry = (size, forward) => (forward > 0 ? 0 : size - 1);
  const y = unit.y + down;
  if (y < 0 || y >= height) {
    const row = unit.row + down;
    return view.data.rows[row] ? { ...unit, row, y: entry(height, down) } : unit;
  }
  const x = unit.x + right;
  if (x >= 0 && x < width) return { ...unit, y, x };
  const channel = unit.channel + right;
  if (channel >= 0 && channel < channels) return { ...unit, channel, x: entry(width, right) };
  const next = view.blocks[unit.block + right];
  if (!next) return unit;
  const edge = { block: unit.block + right, channel: entry(next.channels, right), x: entry(next.width, right) };
  return within(view, { ...unit, ...edge });
}

const STEPS = {
  ArrowLeft: (view, unit) => beside(view, unit, -1, 0),
  ArrowRight: (view, unit) => beside(view, unit, 1, 0),
  ArrowUp: (view, unit) => beside(view, unit, 0, -1),
  ArrowDown: (view, unit) => beside(view, unit, 0, 1),
  PageUp: (view, unit) => within(view, { ...unit, row: unit.row - 1 }),
  PageDown: (view, unit) => within(view, { ...unit, row: unit.row + 1 }),
};

function onKey(view, event) {
  if (!event.target.stands || event.ctrlKey || event.altKey || event.metaKey) return;
  const step = STEPS[event.key];
  if (step) {
    const unit = step(view, view.cursor);
    setCursor(view, unit);
    canvasOf(view, unit).focus();
    tell(view, unit);
  } else if (event.key === "Enter" || event.key === " ") choose(view, view.cursor);
  else if (event.key === "Escape") point(view, null);
  else return;
  event.preventDefault();
}

// Hides the card, unless the keyboard stands on a map.
function leave(view) {
  point(view, view.root.querySelector("canvas:focus-visible") ? view.cursor : null);
}

function listen(view) {
  const { root } = view;
  root.addEventListener("pointermove", (event) => {
    if (event.pointerType === "touch") return;
    if (event.target.stands) {
      const unit = unitAt(view, event.target, event);
      if (!same(unit, view.pointed)) point(view, unit);
    } else if (view.pointed && !event.target.closest(".grid")) leave(view);
  });
  root.addEventListener("pointerleave", (event) => event.pointerType !== "touch" && leave(view));
  root.addEventListener("pointerdown", (event) => {
    if (event.target.stands) setCursor(view, unitAt(view, event.target, event));
  });
  root.addEventListener("click", (event) => {
    if (event.target.stands) choose(view, unitAt(view, event.target, event));
  });
  root.addEventListener("focusin", (event) => {
    if (event.target.stands && event.target.matches(":focus-visible")) tell(view, view.cursor);
  });
  root.addEventListener("focusout", (event) => event.target.stands && point(view, null));
  root.addEventListener("keydown", (event) => onKey(view, event));
}
