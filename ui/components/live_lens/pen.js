// The strokes on the drawing canvas: those that the server knows, and those that it has not sent back yet.
//
// The canvas belongs to another component and stays in charge: its pointer events are only watched, from the document
// and before the canvas itself gets them. They are taken as Fabric's pencil takes them.

const POINTER_EVENTS = ["pointerdown", "pointermove", "pointerup", "pointercancel"];
const MOST_STROKES = 100; // as lenet_core/strokes.py
const SAME_PLACE = 1; // canvas pixels between where a stroke ends and where the one ends that the server sends back
const PAINTED_AFTER = 150; // milliseconds until a finished stroke is surely on the canvas
const LOOK_EVERY = 250; // milliseconds
const LOOKS = 8; // after the server spoke: so long the canvas may take to follow an undo
const SAMPLES_OF_STROKE = 12;

const isAt = ([x, y], [otherX, otherY]) => Math.abs(x - otherX) <= SAME_PLACE && Math.abs(y - otherY) <= SAME_PLACE;
// By its end alone: a canvas that is being loaded anew can lose a stroke's beginning.
const isEcho = (one, other) => one.length > 0 && isAt(one.at(-1), other.at(-1));

// Where the pointer is, in canvas pixels whatever size the canvas is shown at.
function placeOn(canvas, event) {
  const box = canvas.getBoundingClientRect();
  // The canvas listens to mouse events, which know whole pixels only.
  const whole = event.pointerType === "mouse" ? Math.floor : Number;
  const x = (whole(event.clientX) - box.left) * (canvas.width / box.width);
  return [x, (whole(event.clientY) - box.top) * (canvas.height / box.height)];
}

// Whether a stroke's ink (white on black) is still on its canvas; what lies outside the canvas cannot be told.
function isInked({ canvas, points }) {
  if (!canvas.isConnected) return false;
  const lower = canvas.parentNode.querySelector("canvas.lower-canvas");
  if (!lower) return true;
  const { data, width, height } = lower.getContext("2d").getImageData(0, 0, lower.width, lower.height);
  const step = Math.max(1, Math.floor(points.length / SAMPLES_OF_STROKE));
  return points.every(([x, y], index) => {
    const isOutside = x < 0 || y < 0 || x >= width || y >= height;
    return index % step || isOutside || data[4 * (Math.floor(y) * width + Math.floor(x))] > 127;
  });
}

class Pen {
  #onChange;
  #known = []; // the server's strokes
  #drawn = []; // { canvas, points, end }: finished, and not sent back yet
  #current = null; // { canvas, pointer, points }: under way
  #timer;

  // `onChange` is called at every pointer event that changed the strokes, and when one proves undone.
  constructor(onChange) {
    this.#onChange = onChange;
  }

  start() {
    for (const name of POINTER_EVENTS) document.addEventListener(name, this, { capture: true, passive: true });
  }

  stop() {
    for (const name of POINTER_EVENTS) document.removeEventListener(name, this, { capture: true });
    clearTimeout(this.#timer);
    [this.#drawn, this.#current] = [[], null];
  }

  // All strokes in canvas pixels: the server's, those drawn since, the one under way.
  get strokes() {
    const own = this.#drawn.map(({ points }) => points);
    const last = this.#current ? [smoothed(this.#current.points)] : [];
    return [...this.#known, ...own, ...last].slice(0, MOST_STROKES);
  }

  get isDown() {
    return this.#current !== null;
  }

  // Takes the server's strokes, and drops what they hold of those drawn here, and what is no longer on the canvas.
  know(strokes) {
    this.#known = strokes;
    const others = [...strokes];
    this.#drawn = this.#drawn.filter(({ points }) => {
      const echo = others.findIndex((stroke) => isEcho(stroke, points));
      if (echo >= 0) others.splice(echo, 1);
      return echo < 0 && strokes.length < MOST_STROKES;
    });
    if (this.#current && !this.#current.canvas.isConnected) this.#current = null;
    this.#dropUndone();
    this.#lookAgain(LOOKS);
  }

  #dropUndone() {
    const before = this.#drawn.length;
    const isNew = ({ end }) => performance.now() - end < PAINTED_AFTER;
    this.#drawn = this.#drawn.filter((stroke) => isNew(stroke) || isInked(stroke));
    return this.#drawn.length < before;
  }

  // The canvas may follow an undo later than the server's strokes come here.
  #lookAgain(looks) {
    clearTimeout(this.#timer);
    if (!looks || !this.#drawn.length) return;
    this.#timer = setTimeout(() => {
      if (this.#dropUndone()) this.#onChange();
      this.#lookAgain(looks - 1);
    }, LOOK_EVERY);
  }

  handleEvent(event) {
    // A press is told by the button and not by the kind of event: a second mouse button makes no pointerdown.
    const isPressed = event.button === 0 && Boolean(event.buttons & 1);
    if (!this.#current) {
      if (isPressed) this.#begin(event);
      return;
    }
    if (event.pointerId !== this.#current.pointer) return; // a second finger
    if (event.type === "pointercancel" || !this.#current.canvas.isConnected) this.#current = null;
    else if (event.button === 0 && !isPressed) this.#end();
    else if (event.type !== "pointermove" || !this.#add(event)) return;
    this.#onChange();
  }

  #begin(event) {
    const canvas = event.composedPath()[0];
    if (!canvas.matches?.("canvas.upper-canvas")) return;
    this.#current = { canvas, pointer: event.pointerId, points: [placeOn(canvas, event)] };
    this.#onChange();
  }

  // The way there; with Shift a straight line from where Shift was pressed.
  #add(event) {
    const { canvas, points } = this.#current;
    const place = placeOn(canvas, event);
    if (place[0] === points.at(-1)[0] && place[1] === points.at(-1)[1]) return false;
    if (event.shiftKey && points.length > 1) points.pop();
    points.push(place);
    return true;
  }

  #end() {
    const { canvas, points } = this.#current;
    this.#drawn.push({ canvas, points: smoothed(points), end: performance.now() });
    this.#current = null;
  }
}
