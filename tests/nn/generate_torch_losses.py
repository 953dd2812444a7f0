#!/usr/bin/python3
"""Writes tests/nn/torch_losses.json: what PyTorch's losses compute, and their gradients.

usage: /usr/bin/python3 tests/nn/generate_torch_losses.py > tests/nn/torch_losses.json
"""

import json

import torch
from torch import nn
from torch.nn import functional as F

from generate_torch_values import pattern


recorded = []


def record(value):
    """A tensor as its type, sizes and elements; any other value as it is."""
    if not isinstance(value, torch.Tensor):
        return value
    dtype = "float64" if value.is_floating_point() else "int64"
    return {"dtype": dtype, "sizes": list(value.shape), "values": value.detach().reshape(-1).tolist()}


def row(name, arguments, **options):
    """Output of the loss, and gradients of sum(output * pattern(output.shape, 3, 1)) by all arguments but targets."""
    module = getattr(nn, name)(**options)
    arguments = {key: value.clone() for key, value in arguments.items()}
    leaves = [arguments[key].requires_grad_() for key in arguments if key != "target"]
    out = module(**arguments)
    (out * pattern(out.shape, 3, 1)).sum().backward()
    recorded.append(json.dumps({
        "type": name,
        "attributes": {key: record(value) for key, value in options.items()},
        "arguments": [{"name": key, "tensor": record(value)} for key, value in arguments.items()],
        "output": record(out),
        "gradients": [leaf.grad.reshape(-1).tolist() for leaf in leaves],
    }))


def rows(name, arguments, *variants, reductions=("none", "mean", "sum")):
    """Each reduction, and each variant of the options under each reduction."""
    for options in ({}, *variants):
        for reduction in reductions:
            row(name, arguments, **options, reduction=reduction)


def main():
    torch.set_num_threads(1)
    x, y = pattern((2, 3)), pattern((2, 3), 3, 1)
    pair = {"input": x, "target": y}
    signs = torch.tensor([[1.0, -1, 1], [-1, -1, 1]], dtype=torch.float64)
    weight = torch.tensor([0.5, 2.0, 1.25], dtype=torch.float64)
    classes = torch.tensor([2, 0])

    rows("L1Loss", pair)
    rows("MSELoss", pair)
    rows("SmoothL1Loss", pair, {"beta": 0.5}, {"beta": 0.0})
    rows("HuberLoss", pair, {"delta": 0.25})
    counts = {"log_input": x, "target": torch.tensor([[0.0, 1, 3], [2, 0, 5]], dtype=torch.float64)}
    rows("PoissonNLLLoss", counts, {"full": True})
    rates = {"log_input": x + 1.5, "target": counts["target"]}
    row("PoissonNLLLoss", rates, log_input=False, full=True, eps=1e-3)
    gauss = {"input": x, "target": y, "var": pattern((2, 3), 5, 2) + 1.25}
    rows("GaussianNLLLoss", gauss, {"full": True, "eps": 0.5})
    row("GaussianNLLLoss", {**gauss, "var": pattern((2, 1), 5, 2) + 1.25})

    log_p = F.log_softmax(x, 1)
    rows("NLLLoss", {"input": log_p, "target": classes}, {"weight": weight}, {"ignore_index": 0, "weight": weight})
    row("NLLLoss", {"input": log_p[0], "target": classes[0]})
    row("NLLLoss", {"input": F.log_softmax(pattern((2, 3, 2)), 1), "target": torch.tensor([[1, 0], [2, 2]])},
        weight=weight)
    rows("CrossEntropyLoss", {"input": x, "target": classes}, {"weight": weight, "label_smoothing": 0.3},
         {"ignore_index": 2, "label_smoothing": 0.1})
    rows("CrossEntropyLoss", {"input": x, "target": F.softmax(y, 1)}, {"weight": weight, "label_smoothing": 0.3})
    row("CrossEntropyLoss", {"input": x[0], "target": classes[0]})
    row("CrossEntropyLoss", {"input": pattern((2, 3, 2)), "target": torch.tensor([[1, 0], [-100, 2]])}, weight=weight)

    unit = {"input": torch.sigmoid(x), "target": torch.tensor([[0.0, 1, 0.25], [1, 0, 0.5]], dtype=torch.float64)}
    rows("BCELoss", unit, {"weight": weight}, {"weight": pattern((2, 1), 5, 2) + 2})
    logits = {"input": x * 4, "target": unit["target"]}
    rows("BCEWithLogitsLoss", logits, {"weight": weight}, {"pos_weight": weight},
         {"weight": pattern((2, 1), 5, 2) + 2, "pos_weight": weight})
    divergence = {"input": log_p, "target": F.softmax(y, 1)}
    rows("KLDivLoss", divergence, reductions=("none", "mean", "sum", "batchmean"))
    for reduction in ("none", "mean", "sum", "batchmean"):
        row("KLDivLoss", {"input": log_p, "target": F.log_softmax(y, 1)}, log_target=True, reduction=reduction)
    row("KLDivLoss", {"input": log_p, "target": torch.tensor([[0.0, 1, 0], [0.5, 0, 0.5]], dtype=torch.float64)})
    rows("SoftMarginLoss", {"input": x, "target": signs})
    rows("MultiLabelSoftMarginLoss", {"input": x, "target": (signs + 1) / 2}, {"weight": weight})

    rows("MarginRankingLoss", {"input1": x, "input2": y, "target": signs}, {"margin": 0.5})
    rows("HingeEmbeddingLoss", {"input": x, "target": signs}, {"margin": 0.3})
    embeddings = {"input1": x, "input2": y, "target": torch.tensor([1, -1])}
    rows("CosineEmbeddingLoss", embeddings, {"margin": -0.5})
    row("CosineEmbeddingLoss", {"input1": x[0], "input2": y[0], "target": torch.tensor(-1)}, margin=-0.9)
    triplet = {"anchor": x, "positive": y, "negative": pattern((2, 3), 5, 2)}
    rows("TripletMarginLoss", triplet, {"margin": 2.0, "p": 1.0, "swap": True}, {"eps": 1e-2, "p": 3.0})
    rows("MultiMarginLoss", {"input": x, "target": classes}, {"p": 2, "margin": 0.7, "weight": weight})
    row("MultiMarginLoss", {"input": x[0], "target": classes[0]})
    rows("MultiLabelMarginLoss", {"input": x, "target": torch.tensor([[2, 0, -1], [1, -1, 0]])})
    row("MultiLabelMarginLoss", {"input": x[1], "target": torch.tensor([2, -1, 0])})

    print("[\n" + ",\n".join(recorded) + "\n]")


if __name__ == "__main__":
    main()
