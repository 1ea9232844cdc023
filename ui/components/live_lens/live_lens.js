// The way in. loader.js calls this function for each of the page's views, for all new data and when the theme
// changes, with the same element until it leaves the page.

// Each makes a view in an element: `paint(now)`, and where it needs them `update(data, tell)`, `see(isSeen)`, `stop()`.
const VIEWS = { answer: makeAnswerView, steps: makeStepsView, turns: makeTurnsView };
const MOST_NETWORKS = 12; // kept: of one that is trained further, each stroke may bring a new version
const mounts = new WeakMap(); // element -> what is mounted in it
const asked = new Set(); // what was asked of the server, so that nothing is asked twice
const ramps = Object.fromEntries(Object.entries(LENS_RAMPS).map(([name, base64]) => [name, rampOf(base64)]));
let answering = null; // the mount of the answer, which tells the settings
let beside = ""; // the second network, which another view tells

// The second network is asked for when somebody looks at its view, which is folded at first.
function startMount(root, kind) {
  const style = make("style");
  style.textContent = LENS_CSS;
  const body = make("section", `lens ${kind}`);
  root.append(style, body);
  const mount = { kind, body, view: null, call: 0, isSeen: false, hasFailed: false, ask: () => {} };
  mount.view = VIEWS[kind](body, (error) => failMount(mount, error));
  mount.observer = new IntersectionObserver((entries) => {
    mount.isSeen = entries.at(-1).isIntersecting;
    mount.view.see?.(mount.isSeen);
    mount.ask();
  });
  mount.observer.observe(body);
  mount.stopWatching = lens.watch({ paint: (now) => attempt(mount, () => mount.view.paint(now)) });
  mounts.set(root, mount);
  return mount;
}

function attempt(mount, work) {
  try {
    work();
  } catch (error) {
    failMount(mount, error);
  }
}

// The answer takes the lens with it; another view goes alone.
function failMount(mount, error) {
  if (mount.kind === "answer") throw error;
  console.error("A part of the live lens has stopped.", error);
  mount.hasFailed = true;
  endMount(mount);
  mount.body.replaceWith(make("p", "", "This part has stopped. Reload the page to start it again."));
}

function endMount(mount) {
  mount.observer.disconnect();
  mount.stopWatching();
  mount.view.stop?.();
}

function stopMount(root, mount) {
  mounts.delete(root);
  endMount(mount);
  root.replaceChildren();
  if (mount === answering) lens.settings = answering = null; // the next one may have come before this one goes
  lens.touch();
}

// A network's weights travel once; from then on it is known by its name and version.
function takeNetwork({ description, weights, ...known }) {
  if (!description) {
    const kept = lens.networks.get(known.id);
    if (kept) Object.assign(kept, known);
    return;
  }
  const network = makeNetwork(description, new Float32Array(bytesOf(weights).buffer));
  lens.networks.delete(known.id); // so that it is the latest
  lens.networks.set(known.id, { ...known, network });
  const kept = [...lens.networks.keys()].filter((id) => id !== lens.settings?.lead && id !== beside);
  for (const id of kept.slice(0, -MOST_NETWORKS)) lens.networks.delete(id); // asked for again where it is wanted
}

// Its messages may have overtaken each other on the way here: asks for a network that never came.
function askFor(id, turn, tell) {
  if (!id || lens.networks.has(id) || asked.has(`${id} ${turn}`)) return;
  asked.add(`${id} ${turn}`);
  tell.trigger("wants", [id]);
}

function takeData(mount, data, tell) {
  for (const network of data.networks ?? []) takeNetwork(network);
  if (data.view === "answer") {
    const { lead, size, pen, minExtent, unsure, without } = data;
    lens.settings = { size, pen, minExtent, unsure, without: new Set(without), lead, beside, ramps };
    answering = mount;
    serverCount = data.strokes.length;
    lensPen.know(data.strokes);
    askFor(lead, data.turn, tell);
  }
  if (data.view === "turns") {
    beside = data.beside;
    if (lens.settings) lens.settings.beside = beside;
    mount.ask = () => mount.isSeen && askFor(beside, data.turn, tell);
    mount.ask();
  }
  mount.view.update?.(data, tell);
  lens.touch();
}

function show({ data, parentElement, setStateValue, setTriggerValue }) {
  const root = parentElement.querySelector(".lp-lens");
  if (lensFailed) return () => {};
  try {
    const mount = mounts.get(root) ?? startMount(root, data.view);
    mount.call += 1;
    const { call } = mount;
    if (!mount.hasFailed) {
      attempt(mount, () => takeData(mount, data, { state: setStateValue, trigger: setTriggerValue }));
    }
    return () => {
      // Streamlit also ends a call that a later one has overtaken while this script was on its way.
      if (mounts.get(root) === mount && mount.call === call) stopMount(root, mount);
    };
  } catch (error) {
    failLens(error);
    return () => {};
  }
}

export default function () {
  lensReady().give(show);
}
