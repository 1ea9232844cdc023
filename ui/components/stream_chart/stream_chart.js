// Streamlit calls this for every new figure and when the theme changes, always with the same element until
// it leaves the page. The chart is drawn once; later figures are brought into it in place.

const charts = new WeakMap(); // element -> its chart
const scripts = new Map(); // address -> promise of Plotly

const DOWNLOAD = {
  name: "download",
  title: "Download as PNG",
  get icon() { // asked for when Plotly is there
    return window.Plotly.Icons.camera;
  },
  click(element) {
    // A transparent picture with a dark theme's white text would be lost on white paper.
    const layout = { ...element.layout, paper_bgcolor: theme(element).background };
    const { width, height } = element.getBoundingClientRect();
    const options = { format: "png", filename: "training", scale: 2, width, height };
    window.Plotly.downloadImage({ data: element.data, layout }, options);
  },
};
const CONFIG = { displaylogo: false, modeBarButtons: [["resetScale2d", DOWNLOAD]] };

function load(library) {
  const address = new URL(`./app/static/${library}`, document.baseURI).href;
  if (!scripts.has(address)) {
    scripts.set(
      address,
      new Promise((done, failed) => {
        const script = document.createElement("script");
        script.src = address;
        script.onload = done;
        script.onerror = () => failed(new Error(`${address} did not load`));
        document.head.append(script);
      }),
    );
  }
  return scripts.get(address);
}

function theme(element) {
  const style = getComputedStyle(element);
  const named = (name) => style.getPropertyValue(`--st-${name}`).trim();
  return {
    text: style.color,
    font: style.fontFamily,
    background: named("background-color"),
    border: named("border-color"),
  };
}

// The figure with the page's colours and font, in objects of its own, because Plotly writes into what it gets.
function dressed(figure, { text, font, background, border }, { run, height }) {
  const { data, layout } = structuredClone(figure);
  for (const trace of data) {
    if (trace.meta?.ink !== "text") continue;
    trace.line = { ...trace.line, color: text };
    trace.marker = { ...trace.marker, color: text };
  }
  for (const name of Object.keys(layout).filter((name) => /^[xy]axis\d*$/.test(name))) {
    layout[name].gridcolor ??= border;
  }
  const hoverlabel = { bgcolor: background, bordercolor: border, font: { color: text, family: font } };
  const touch = matchMedia("(pointer: coarse)").matches; // there a drag is how one scrolls past the chart
  return {
    data,
    layout: {
      ...layout,
      height,
      autosize: true,
      uirevision: run,
      dragmode: touch ? false : "zoom",
      paper_bgcolor: "transparent",
      plot_bgcolor: background, // not transparent: Plotly edges the line under the mouse with it
      font: { color: text, family: font, size: 13 },
      hoverlabel,
      modebar: { bgcolor: "transparent", color: "#8c8c8c", activecolor: text },
    },
  };
}

// What must be equal for the new figure to be the old one with more points.
const frame = ({ figure: { data, layout } }) =>
  JSON.stringify([layout, data.map(({ x, y, ...rest }) => rest)]);

const begins = (longer, shorter) =>
  Array.isArray(longer) && Array.isArray(shorter) && shorter.every((value, index) => value === longer[index]);

function grew(before, now) {
  if (frame(before) !== frame(now) || before.height !== now.height) return false;
  return now.figure.data.every(({ x, y }, index) => {
    const old = before.figure.data[index];
    return begins(x, old.x) && begins(y, old.y);
  });
}

function extend(element, before, now) {
  const tails = now.figure.data
    .map(({ x, y }, index) => ({ x, y, index, from: before.figure.data[index].x.length }))
    .filter(({ x, from }) => x.length > from);
  if (!tails.length) return undefined;
  return window.Plotly.extendTraces(
    element,
    { x: tails.map(({ x, from }) => x.slice(from)), y: tails.map(({ y, from }) => y.slice(from)) },
    tails.map(({ index }) => index),
  );
}

async function draw(element, chart) {
  const { wanted: now, shown: before } = chart;
  const colours = theme(element);
  const look = JSON.stringify(colours);
  if (chart.gone || (now === before && look === chart.look)) return;
  await load(now.library);
  if (chart.gone) return;
  const sameLook = look === chart.look;
  Object.assign(chart, { shown: now, look });
  element.setAttribute("role", "img");
  element.setAttribute("aria-label", now.alt);
  if (before?.run === now.run && sameLook && grew(before, now)) {
    await extend(element, before, now);
    return;
  }
  const { data, layout } = dressed(now.figure, colours, now);
  // With a button of our own in its configuration, Plotly would take the same one for another and start anew.
  if (before?.run === now.run) await window.Plotly.react(element, data, layout);
  else await window.Plotly.newPlot(clear(element, before), data, layout, CONFIG);
}

function clear(element, shown) {
  if (shown) window.Plotly.purge(element);
  element.replaceChildren();
  return element;
}

function complain(element, chart, error) {
  clear(element, chart.shown);
  chart.shown = undefined;
  element.setAttribute("role", "alert");
  element.textContent = `The chart cannot be drawn: ${error.message}. Reload the page to try again.`;
}

function start(element) {
  const chart = { work: Promise.resolve() };
  chart.observer = new ResizeObserver(() => {
    if (chart.shown && element.offsetWidth) window.Plotly.Plots.resize(element);
  });
  chart.observer.observe(element);
  charts.set(element, chart);
  return chart;
}

export default function ({ data, parentElement }) {
  const element = parentElement.querySelector(".lp-stream");
  const chart = charts.get(element) ?? start(element);
  chart.wanted = data;
  chart.work = chart.work.then(() => draw(element, chart)).catch((error) => complain(element, chart, error));
  return () => {
    chart.gone = true;
    chart.observer.disconnect();
    charts.delete(element);
    clear(element, chart.shown);
  };
}
