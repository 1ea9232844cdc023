"""A trained network for other programs: as an ONNX model, which runs without PyTorch and this project.

The list of layers is walked and written in ONNX's own operators. The network is only read, so any
number of threads can export the same one at once.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from lenet_core.checkpoint import Checkpoint
from lenet_core.errors import LenetError
from lenet_core.layout import Layer

_OPSET = 20  # the first with Gelu
_IR_VERSION = 9  # the file format that came with it, so that older readers are content
_DESCRIPTION = (
    "Takes images (N, channels, height, width), float32 from 0 (background) to 1 (full ink); gives logits "
    "(N, classes). In the metadata `classes` names the outputs in order and `architecture` describes the layers."
)


class ExportError(LenetError):
    """A network cannot be written for other programs."""


def to_onnx(checkpoint: Checkpoint) -> bytes:
    """The network as an ONNX model that answers as the checkpoint does, dropout off.

    Input `images` (N, channels, height, width) float32 from 0 to 1, output `logits` (N, classes), any N.
    The metadata hold `classes` and `architecture` as JSON. About 4 bytes for each parameter.

    Raises:
        ExportError: the package onnx is not installed.
    """
    try:
        import onnx
        from onnx import helper, numpy_helper
    except ImportError as error:
        raise ExportError(
            f"Writing ONNX needs a package that is not installed ({error}): pip install -r requirements-onnx.txt"
        ) from error
    arch = checkpoint.architecture
    graph = _translate(checkpoint)
    outputs = [*(node.name for node in graph.nodes[:-1]), "logits"]
    float32 = onnx.TensorProto.FLOAT
    model = helper.make_model(
        helper.make_graph(
            [
                helper.make_node(node.operator, node.inputs, [output], node.name, **node.attributes)
                for node, output in zip(graph.nodes, outputs, strict=True)
            ],
            arch.name,
            [helper.make_tensor_value_info("images", float32, ["N", *arch.input_shape])],
            [helper.make_tensor_value_info("logits", float32, ["N", arch.num_classes])],
            [numpy_helper.from_array(tensor.cpu().numpy(), name) for name, tensor in graph.constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
        producer_name="LeNet Playground",
        doc_string=_DESCRIPTION,
    )
    described = {"classes": checkpoint.classes, "architecture": arch.to_dict()}
    helper.set_model_props(model, {key: json.dumps(value) for key, value in described.items()})
    data: bytes = model.SerializeToString()
    return data


@dataclass(frozen=True)
class _Node:
    """An operator applied to named values; what it gives bears its own name."""

    operator: str
    name: str
    inputs: list[str]
    attributes: dict[str, Any]


@dataclass
class _Graph:
    """A network in ONNX's operators: the nodes in order, and by name the constants that they read."""

    nodes: list[_Node] = field(default_factory=list)
    constants: dict[str, Tensor] = field(default_factory=dict)

    def add(self, operator: str, name: str, constants: dict[str, Tensor] | None = None, **attributes: Any) -> None:
        """Applies an operator to what the last one gave and to constants, which are named `name.key`."""
        own = {f"{name}.{key}": tensor.detach() for key, tensor in (constants or {}).items()}
        last = self.nodes[-1].name if self.nodes else "images"
        self.nodes.append(_Node(operator, name, [last, *own], attributes))
        self.constants |= own


def _translate(checkpoint: Checkpoint) -> _Graph:
    graph = _Graph()
    with torch.no_grad():
        for layer in checkpoint.architecture.layers:
            _add_layer(graph, layer, checkpoint.net.get_submodule(layer.name))
    return graph


def _add_layer(graph: _Graph, layer: Layer, module: Any) -> None:
    """What the layer's module does in evaluation mode, in operators the last of which bears the layer's name."""
    name, options = layer.name, layer.options
    match layer.kind:
        case "rescale":
            low, high = (torch.tensor(options[end], dtype=torch.double) for end in ("low", "high"))
            if low.ndim:
                low, high = low[:, None, None], high[:, None, None]  # one for each channel
            graph.add("Mul", f"{name}_scaled", {"range": (high - low).float()})
            graph.add("Add", name, {"low": low.float()})
        case "convolution":
            weight = module.weight if options["table"] is None else module.dense_weight()
            strides, pads = [options["stride"]] * 2, [options["padding"]] * 4
            constants = {"weight": weight, "bias": module.bias}
            graph.add("Conv", name, constants, strides=strides, pads=pads, group=options["groups"])
        case "activation":
            _add_activation(graph, name, options["function"])
        case "average-pool":
            graph.add("AveragePool", name, **_window(layer))
        case "max-pool":
            graph.add("MaxPool", name, **_window(layer))
        case "subsampling":
            # The weight is for the window's sum, and the operator gives its mean.
            weight = module.weight[:, None, None] * options["kernel_size"] ** 2
            graph.add("AveragePool", f"{name}_mean", **_window(layer))
            graph.add("Mul", f"{name}_weighted", {"weight": weight})
            graph.add("Add", name, {"bias": module.bias[:, None, None]})
        case "response-normalisation":
            graph.add("LRN", name, size=module.size, alpha=module.alpha, beta=module.beta, bias=module.k)
        case "flatten":
            graph.add("Flatten", name)
        case "dense":
            graph.add("Gemm", name, {"weight": module.weight, "bias": module.bias}, transB=1)
        case "rbf":
            graph.add("Unsqueeze", f"{name}_row", {"axis": torch.tensor([1])})
            graph.add("Sub", f"{name}_difference", {"codes": module.codes})
            graph.add("ReduceSumSquare", f"{name}_distance", {"axis": torch.tensor([2])}, keepdims=0)
            graph.add("Neg", name)
        case "dropout":
            pass  # it does nothing to an answer
        case _:
            raise AssertionError(f"no ONNX operator for a layer of kind {layer.kind}")


def _window(layer: Layer) -> dict[str, Any]:
    return {"kernel_shape": [layer.options["kernel_size"]] * 2, "strides": [layer.options["stride"]] * 2}


# PyTorch and ONNX agree on the slopes of LeakyReLU and ELU, and on GELU without its approximation.
_ACTIVATIONS = {
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "relu": "Relu",
    "leaky-relu": "LeakyRelu",
    "elu": "Elu",
    "gelu": "Gelu",
    "identity": "Identity",
}


def _add_activation(graph: _Graph, name: str, function: str) -> None:
    if function == "scaled-tanh":
        graph.add("Mul", f"{name}_inner", {"slope": torch.tensor(2 / 3)})
        graph.add("Tanh", f"{name}_tanh")
        graph.add("Mul", name, {"height": torch.tensor(1.7159)})
    else:
        graph.add(_ACTIVATIONS[function], name)
