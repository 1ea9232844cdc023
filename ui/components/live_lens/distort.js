// A 28 x 28 image turned, shifted, scaled and sheared as lenet_core/augment.py does it, and noise.

const NEUTRAL = { rotation: 0, across: 0, down: 0, scale: 1, shear: 0, noise: 0 };
const NOISE_SEED = 84;

// Numbers from 0 to 1, the same ones for the same seed (mulberry32).
function randomNumbers(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

// Normally distributed numbers of standard deviation 1 (Box and Muller), the same picture every time.
function makeNoise(count) {
  const random = randomNumbers(NOISE_SEED);
  return Float32Array.from({ length: count }, () => {
    return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  });
}

const NOISE = makeNoise(FIELD_SIZE * FIELD_SIZE);

// From a place in the changed image to the one in the image that is seen there, both from the middle.
function wayBack({ rotation, across, down, scale, shear }) {
  const angle = (-rotation * Math.PI) / 180;
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  return (x, y) => {
    const [right, below] = [(x - across) / scale, (y - down) / scale];
    return [cos * right + (shear * cos - sin) * below, sin * right + (shear * sin + cos) * below];
  };
}

// The value between four pixels; outside the image is nothing.
function between(values, x, y) {
  const [left, top] = [Math.floor(x), Math.floor(y)];
  const [right, below] = [x - left, y - top];
  const at = (column, row) => {
    const isInside = column >= 0 && column < FIELD_SIZE && row >= 0 && row < FIELD_SIZE;
    return isInside ? values[row * FIELD_SIZE + column] : 0;
  };
  const upper = at(left, top) * (1 - right) + at(left + 1, top) * right;
  const lower = at(left, top + 1) * (1 - right) + at(left + 1, top + 1) * right;
  return upper * (1 - below) + lower * below;
}

// The image (784 values of 0 to 1) changed; of a neutral change the very same values. Seen on the screen: `rotation` in
// degrees clockwise, `across` and `down` in pixels to the right and downward, `scale` above 1 larger, `shear` above 0
// leaning to the right by this share of the height; `noise` is its standard deviation, and full ink is 1.
function distorted(values, change) {
  const { noise, ...moves } = { ...NEUTRAL, ...change };
  let changed = Float32Array.from(values);
  if (Object.keys(moves).some((name) => moves[name] !== NEUTRAL[name])) {
    const back = wayBack(moves);
    const middle = (FIELD_SIZE - 1) / 2;
    changed = changed.map((_, index) => {
      const [x, y] = back((index % FIELD_SIZE) - middle, Math.trunc(index / FIELD_SIZE) - middle);
      return between(values, x + middle, y + middle);
    });
  }
  if (noise) changed = changed.map((value, index) => Math.min(Math.max(value + noise * NOISE[index], 0), 1));
  return changed;
}
