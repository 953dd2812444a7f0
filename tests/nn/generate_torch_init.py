#!/usr/bin/python3
"""Writes tests/nn/torch_init.h: what PyTorch's rarer initialisers draw, and how its Embedding and Bilinear start.

usage: /usr/bin/python3 tests/nn/generate_torch_init.py > tests/nn/torch_init.h
"""

import torch
from torch import nn

from generate_torch_values import emit


def case(name, init, shape, kind="double", **options):
    torch.manual_seed(5)
    x = torch.zeros(shape, dtype=torch.float32 if kind == "float" else torch.float64)
    getattr(nn.init, init)(x, **options)
    emit(name, x, kind)


def main():
    torch.set_num_threads(1)
    print("// Written by tests/nn/generate_torch_init.py with PyTorch; do not edit.\n// clang-format off")
    print("#pragma once\n\n#include <vector>\n\nnamespace tapewire::torch_values {\n")
    case("kTruncNormal", "trunc_normal_", (4, 5))
    case("kTruncNormalFloat", "trunc_normal_", (4, 5), kind="float", mean=0.5, std=0.2, a=0.0, b=0.9)
    case("kDirac3", "dirac_", (3, 2, 4), kind="float")
    case("kDirac4", "dirac_", (4, 2, 3, 2), kind="float", groups=2)
    case("kDirac5", "dirac_", (2, 3, 1, 2, 3), kind="float")
    case("kOrthogonalTall", "orthogonal_", (5, 3))
    case("kOrthogonalWide", "orthogonal_", (3, 5), gain=2.0)
    case("kOrthogonalSquare", "orthogonal_", (4, 4))
    case("kOrthogonalConv", "orthogonal_", (2, 3, 2, 2), kind="float")
    case("kSparse", "sparse_", (5, 4), sparsity=0.3, std=0.5)
    case("kSparseSmall", "sparse_", (2, 3), kind="float", sparsity=0.5)

    names = ("linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
             "sigmoid", "tanh", "relu", "leaky_relu", "selu")
    emit("kGains", torch.tensor([nn.init.calculate_gain(name) for name in names], dtype=torch.float64))
    emit("kGainOfSlope", torch.tensor(nn.init.calculate_gain("leaky_relu", 0.3), dtype=torch.float64))

    torch.manual_seed(7)
    # Fewer than 16 elements: there all builds draw the same bits.
    emit("kEmbedding", nn.Embedding(3, 4).weight, "float")
    emit("kEmbeddingPadded", nn.Embedding(3, 5, padding_idx=-2).weight, "float")
    bilinear = nn.Bilinear(3, 2, 2)
    emit("kBilinear", torch.cat([p.reshape(-1) for p in bilinear.parameters()]), "float")
    emit("kAfterLayers", torch.rand(3), "float")
    print("\n}  // namespace tapewire::torch_values")


if __name__ == "__main__":
    main()
