// The canvas lives in a shadow root of another component, which may mount after this one and may be
// mounted anew, so look for it until it is there, and again when the page changes.

function* shadowRoots(root) {
  for (const element of root.querySelectorAll("*")) {
    if (element.shadowRoot) {
      yield element.shadowRoot;
      yield* shadowRoots(element.shadowRoot);
    }
  }
}

const HIDE_TOOLBAR = ".dc-toolbar { display: none !important; }";

function dress(label) {
  for (const root of shadowRoots(document)) {
    const canvas = root.querySelector("canvas.upper-canvas");
    if (!canvas) continue;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", label);
    canvas.style.cursor = "crosshair";
    if (!root.querySelector("style[data-dress]")) {
      const style = document.createElement("style");
      style.dataset.dress = "";
      style.textContent = HIDE_TOOLBAR;
      root.append(style);
    }
    return true;
  }
  return false;
}

export default function ({ data }) {
  const timer = setInterval(() => dress(data.label), 250);
  dress(data.label);
  return () => clearInterval(timer);
}
