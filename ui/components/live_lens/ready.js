// How a view finds the lens: a promise that the lens keeps once its own, longer script has run. Both scripts begin so.

function lensReady() {
  if (!globalThis.lpLens) {
    let give;
    const promise = new Promise((resolve) => {
      give = resolve;
    });
    globalThis.lpLens = { promise, give };
  }
  return globalThis.lpLens;
}
