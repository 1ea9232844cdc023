// A network in the browser: the list of layers that lenet_core/portable.py describes, walked in a plain loop.
// Sums are taken in double precision and kept as float32, so that PyTorch's answers come out.

const AT_ONCE = 4; // maps or units whose sums grow together, so that none waits for the one before it

const sizeOf = (shape) => shape.reduce((product, side) => product * side, 1);

// Rows of weights (rows, length) for `putProducts`: four rows interleaved, what is missing to the last four is 0.
function makeMatrix(weights, bias, length) {
  const rows = bias.length;
  const blocks = Math.ceil(rows / AT_ONCE);
  const laid = new Float64Array(blocks * AT_ONCE * length);
  for (let row = 0; row < rows; row += 1) {
    const start = Math.floor(row / AT_ONCE) * AT_ONCE * length + (row % AT_ONCE);
    for (let index = 0; index < length; index += 1) laid[start + AT_ONCE * index] = weights[row * length + index];
  }
  const start = new Float64Array(blocks * AT_ONCE);
  start.set(bias);
  return { weights: laid, bias: start, rows, length };
}

// bias + weights x inputs, row by row, to outputs[first], outputs[first + step], ...
function putProducts({ weights, bias, rows, length }, inputs, outputs, first, step) {
  let at = 0;
  for (let row = 0; row < rows; row += AT_ONCE) {
    let a = bias[row];
    let b = bias[row + 1];
    let c = bias[row + 2];
    let d = bias[row + 3];
    for (let index = 0; index < length; index += 1) {
      const value = inputs[index];
      a += weights[at] * value;
      b += weights[at + 1] * value;
      c += weights[at + 2] * value;
      d += weights[at + 3] * value;
      at += AT_ONCE;
    }
    const place = first + row * step;
    outputs[place] = a;
    if (row + 1 < rows) outputs[place + step] = b;
    if (row + 2 < rows) outputs[place + 2 * step] = c;
    if (row + 3 < rows) outputs[place + 3 * step] = d;
  }
}

// A connection table's kernels, one for each pair of maps, as an ordinary (out, in, kernel, kernel) weight.
function denseWeight(weight, table, channels, area) {
  const dense = new Float32Array(table.length * channels * area);
  let pair = 0;
  table.forEach((row, out) => {
    for (const source of row) {
      dense.set(weight.subarray(pair * area, (pair + 1) * area), (out * channels + source) * area);
      pair += 1;
    }
  });
  return dense;
}

// Where the values of a window stand from its corner on, in maps of rows x columns.
function windowOffsets(maps, size, rows, columns) {
  const area = size * size;
  return Int32Array.from({ length: maps * area }, (_, index) => {
    const [map, place] = [Math.floor(index / area), index % area];
    return (map * rows + Math.floor(place / size)) * columns + (place % size);
  });
}

// Each window is gathered into one row of numbers, which all the maps of its group then read.
function makeConvolution({ inputShape, outputShape, options }, { weight, bias }) {
  const [channels, height, width] = inputShape;
  const [maps, down, across] = outputShape;
  const { kernel_size: kernel, stride, padding, groups, table } = options;
  const [sources, targets, area] = [channels / groups, maps / groups, kernel * kernel];
  const length = sources * area;
  const full = table ? denseWeight(weight, table, channels, area) : weight;
  const matrices = Array.from({ length: groups }, (_, group) => {
    const first = group * targets;
    const own = full.subarray(first * length, (first + targets) * length);
    return makeMatrix(own, bias.subarray(first, first + targets), length);
  });
  const [rows, columns] = [height + 2 * padding, width + 2 * padding];
  const framed = new Float64Array(channels * rows * columns); // its margin stays 0
  const offsets = windowOffsets(sources, kernel, rows, columns);
  const patch = new Float64Array(length);
  return (inputs, outputs) => {
    for (let row = 0; row < channels * height; row += 1) {
      const start = (Math.floor(row / height) * rows + (row % height) + padding) * columns + padding;
      for (let x = 0; x < width; x += 1) framed[start + x] = inputs[row * width + x];
    }
    matrices.forEach((matrix, group) => {
      for (let y = 0; y < down; y += 1) {
        for (let x = 0; x < across; x += 1) {
          const corner = (group * sources * rows + y * stride) * columns + x * stride;
          for (let index = 0; index < length; index += 1) patch[index] = framed[corner + offsets[index]];
          putProducts(matrix, patch, outputs, (group * targets * down + y) * across + x, down * across);
        }
      }
    });
  };
}

function makeDense({ inputShape: [length] }, { weight, bias }) {
  const matrix = makeMatrix(weight, bias, length);
  const doubles = new Float64Array(length);
  return (inputs, outputs) => {
    doubles.set(inputs);
    putProducts(matrix, doubles, outputs, 0, 1);
  };
}

function sumOf(inputs, corner, offsets) {
  let sum = 0;
  for (let index = 0; index < offsets.length; index += 1) sum += inputs[corner + offsets[index]];
  return sum;
}

function mostOf(inputs, corner, offsets) {
  let most = -Infinity;
  for (let index = 0; index < offsets.length; index += 1) most = Math.max(most, inputs[corner + offsets[index]]);
  return most;
}

// What `reduce` (sumOf or mostOf) makes of each window, and `finish` of that and the map's number.
function makePool({ inputShape, outputShape, options }, reduce, finish) {
  const [, height, width] = inputShape;
  const [channels, down, across] = outputShape;
  const { kernel_size: size, stride } = options;
  const offsets = windowOffsets(1, size, height, width);
  return (inputs, outputs) => {
    let place = 0;
    for (let channel = 0; channel < channels; channel += 1) {
      for (let y = 0; y < down; y += 1) {
        for (let x = 0; x < across; x += 1) {
          const corner = (channel * height + y * stride) * width + x * stride;
          outputs[place] = finish(reduce(inputs, corner, offsets), channel);
          place += 1;
        }
      }
    }
  };
}

// low + (high - low) * value; both ends are numbers, or lists with one for each channel.
function makeRescale({ inputShape: [channels, height, width], options }) {
  const end = (name, channel) => (Array.isArray(options[name]) ? options[name][channel] : options[name]);
  return (inputs, outputs) => {
    for (let channel = 0; channel < channels; channel += 1) {
      const [low, high] = [end("low", channel), end("high", channel)];
      const stop = (channel + 1) * height * width;
      for (let index = channel * height * width; index < stop; index += 1) {
        outputs[index] = low + (high - low) * inputs[index];
      }
    }
  };
}

// By the squares of the maps beside each one. As in PyTorch, alpha is divided by how many maps that are.
function makeNormalisation({ inputShape: [channels, height, width], options: { size, alpha, beta, k } }) {
  const area = height * width;
  const before = Math.floor(size / 2);
  return (inputs, outputs) => {
    for (let index = 0; index < channels * area; index += 1) {
      const channel = Math.floor(index / area);
      const last = Math.min(channels - 1, channel + size - 1 - before);
      let squares = 0;
      for (let other = Math.max(0, channel - before); other <= last; other += 1) {
        squares += inputs[index + (other - channel) * area] ** 2;
      }
      outputs[index] = inputs[index] / (k + (alpha / size) * squares) ** beta;
    }
  };
}

// Minus the squared distance to each class's code.
function makeCodes({ inputShape: [length] }, { codes }) {
  return (inputs, outputs) => {
    for (let label = 0; label < outputs.length; label += 1) {
      let distance = 0;
      for (let index = 0; index < length; index += 1) distance += (inputs[index] - codes[label * length + index]) ** 2;
      outputs[label] = -distance;
    }
  };
}

// By its series, whose terms are all of one sign, so that nothing cancels; beyond 4 it is 1 to eight digits.
function erf(x) {
  if (Math.abs(x) > 4) return Math.sign(x);
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-10 * Math.abs(sum); n += 1) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

const FUNCTIONS = {
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  tanh: Math.tanh,
  "scaled-tanh": (x) => 1.7159 * Math.tanh((2 / 3) * x),
  relu: (x) => Math.max(0, x),
  "leaky-relu": (x) => (x > 0 ? x : 0.01 * x),
  elu: (x) => (x > 0 ? x : Math.expm1(x)),
  gelu: (x) => 0.5 * x * (1 + erf(x * Math.SQRT1_2)),
  identity: (x) => x,
};

function makeActivation({ options }) {
  const apply = FUNCTIONS[options.function];
  return (inputs, outputs) => {
    for (let index = 0; index < outputs.length; index += 1) outputs[index] = apply(inputs[index]);
  };
}

// What makes of a layer and its tensors a function (inputs, outputs); null where the values stay what they are.
const KINDS = {
  rescale: makeRescale,
  convolution: makeConvolution,
  activation: makeActivation,
  "average-pool": (layer) => makePool(layer, sumOf, (sum) => sum / layer.options.kernel_size ** 2),
  "max-pool": (layer) => makePool(layer, mostOf, (most) => most),
  subsampling: (layer, { weight, bias }) =>
    makePool(layer, sumOf, (sum, channel) => sum * weight[channel] + bias[channel]),
  "response-normalisation": makeNormalisation,
  flatten: () => null,
  dense: makeDense,
  dropout: () => null,
  rbf: makeCodes,
};

function withChannels(pixels, count, channels) {
  if (count === channels) return pixels;
  const area = pixels.length / count;
  const fitted = new Float32Array(channels * area);
  if (count === 3 && channels === 1) {
    for (let index = 0; index < area; index += 1) {
      fitted[index] = 0.299 * pixels[index] + 0.587 * pixels[area + index] + 0.114 * pixels[2 * area + index];
    }
  } else if (count === 1) {
    for (let channel = 0; channel < channels; channel += 1) fitted.set(pixels, channel * area);
  } else throw new Error(`An image of ${count} channels does not fit a network that takes ${channels}.`);
  return fitted;
}

// Where each of `wanted` averages begins and ends among `given` rows or columns.
const spans = (given, wanted) =>
  Array.from({ length: wanted }, (_, index) => [
    Math.floor((index * given) / wanted),
    Math.ceil(((index + 1) * given) / wanted),
  ]);

function averaged(pixels, side, [channels, height, width]) {
  const fitted = new Float32Array(channels * height * width);
  const columns = spans(side, width);
  let place = 0;
  for (let channel = 0; channel < channels; channel += 1) {
    for (const [top, bottom] of spans(side, height)) {
      for (const [left, right] of columns) {
        let sum = 0;
        for (let row = channel * side + top; row < channel * side + bottom; row += 1) {
          for (let column = left; column < right; column += 1) sum += pixels[row * side + column];
        }
        fitted[place] = sum / ((bottom - top) * (right - left));
        place += 1;
      }
    }
  }
  return fitted;
}

// As lenet_core/data.py's fit_field: a smaller image is padded alike on all sides, a larger one averaged down.
function fittedTo(shape, pixels, side, count) {
  const [channels, height, width] = shape;
  const image = withChannels(pixels, count, channels);
  if (side > height || side > width) return averaged(image, side, shape);
  const fitted = new Float32Array(channels * height * width);
  const [top, left] = [Math.floor((height - side) / 2), Math.floor((width - side) / 2)];
  for (let row = 0; row < channels * side; row += 1) {
    const start = (Math.floor(row / side) * height + (row % side) + top) * width + left;
    fitted.set(image.subarray(row * side, (row + 1) * side), start);
  }
  return fitted;
}

// A network that runs here. `run` takes a square image (channels, side, side), with values as the network is fed,
// and gives a Map of each layer's output by its name, "image" first and the logits last. Write into none of them:
// a flattening shares its values with what it flattened. No later run changes them.
function makeNetwork({ inputShape, layers }, weights) {
  const steps = layers.map((layer) => {
    const tensors = layer.tensors.map(({ name, shape, offset }) => [
      name,
      weights.subarray(offset, offset + sizeOf(shape)),
    ]);
    return { ...layer, size: sizeOf(layer.outputShape), fill: KINDS[layer.kind](layer, Object.fromEntries(tensors)) };
  });
  const run = (pixels, side, channels = 1) => {
    let values = fittedTo(inputShape, pixels, side, channels);
    const outputs = new Map([["image", { shape: inputShape, values }]]);
    for (const { name, outputShape, size, fill } of steps) {
      if (fill) {
        const filled = new Float32Array(size);
        fill(values, filled);
        values = filled;
      }
      outputs.set(name, { shape: outputShape, values });
    }
    return outputs;
  };
  return { inputShape, run };
}

// Probabilities that sum to 1.
function softmax(logits) {
  const most = logits.reduce((one, other) => Math.max(one, other), -Infinity);
  const shares = Float64Array.from(logits, (logit) => Math.exp(logit - most));
  const sum = shares.reduce((total, share) => total + share, 0);
  return shares.map((share) => share / sum);
}
