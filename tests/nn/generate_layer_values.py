#!/usr/bin/python3
"""Writes tests/nn/<family>_values.h: layers by their PyTorch name and arguments, and what PyTorch makes of them.

usage: /usr/bin/python3 tests/nn/generate_layer_values.py [family...]      (run in the project's folder)

Inputs, parameters and running statistics are patterns, exact in any dtype; all is float64. A case is the module's repr,
the names in its state dict, its outputs, the gradients of sum(output * pattern) by inputs and parameters, and its
buffers after the call. Random modules draw after manual_seed(7). Where PyTorch 2.x and this one differ, 2.x is followed.
"""

import sys
import warnings

import torch
from torch import nn
from torch.nn import functional as F

warnings.simplefilter("ignore")  # what 2.x warns of too


def pattern(shape, mul=7, add=3):
    count = 1
    for size in shape:
        count *= size
    i = torch.arange(count, dtype=torch.float64)
    return (((i * mul + add) % 17 - 8) / 8).reshape(shape)


# What PyTorch 2.x has and this one does not.


class RMSNorm(nn.Module):
    def __init__(self, normalized_shape, eps=None, elementwise_affine=True):
        super().__init__()
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else normalized_shape
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self.register_parameter(
            "weight", nn.Parameter(torch.ones(self.normalized_shape)) if elementwise_affine else None)

    def forward(self, x):
        dims = tuple(range(-len(self.normalized_shape), 0))
        eps = torch.finfo(x.dtype).eps if self.eps is None else self.eps
        out = x * torch.rsqrt(x.pow(2).mean(dims, keepdim=True) + eps)
        return out if self.weight is None else out * self.weight

    def extra_repr(self):
        return "{normalized_shape}, eps={eps}, elementwise_affine={elementwise_affine}".format(**self.__dict__)


class Pad(nn.Module):
    mode = "constant"

    def __init__(self, padding):
        super().__init__()
        count = 2 * int(type(self).__name__[-2])
        self.padding = (padding,) * count if isinstance(padding, int) else padding

    def forward(self, x):
        # Without a batch dimension 1.13 pads constants alone.
        if self.mode == "constant" or x.dim() == len(self.padding) // 2 + 2:
            return F.pad(x, self.padding, self.mode)
        return F.pad(x[None], self.padding, self.mode)[0]

    def extra_repr(self):
        return str(self.padding)


class ZeroPad1d(Pad):
    pass


class ZeroPad3d(Pad):
    pass


class CircularPad1d(Pad):
    mode = "circular"


class CircularPad2d(Pad):
    mode = "circular"


class CircularPad3d(Pad):
    mode = "circular"


class ChannelShuffle(nn.ChannelShuffle):
    """PyTorch 1.13 has no gradient of it."""

    def forward(self, x):
        return x.unflatten(1, (self.groups, -1)).transpose(1, 2).flatten(1, 2)


class LayerNormWithoutBias(nn.LayerNorm):
    def __init__(self, bias, **options):
        super().__init__(**options)
        self.bias = None

    def _get_name(self):
        return "LayerNorm"


def repr_of(module):
    text = repr(module)
    if isinstance(module, nn.Softplus):
        text = f"Softplus(beta={float(module.beta)}, threshold={float(module.threshold)})"
    if isinstance(module, nn.Upsample):
        text = text.replace(f"mode={module.mode}", f"mode={module.mode!r}")
    return text


def literal(value):
    if value is None:
        return "Value()"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return "Tuple{" + ", ".join(literal(v) for v in value) + "}"
    return repr(value)


def braced(items):
    return "{" + ", ".join(items) + "}"


def sizes(shape):
    return braced(map(str, shape))


def numbers(tensor):
    return braced(repr(float(v)) for v in tensor.detach().reshape(-1))


def case(name, *shapes, training=True, **options):
    """`name` is the class, then an underscore and what is special about the case."""
    kind = name.split("_")[0]
    make = globals().get(kind) or getattr(nn, kind)
    if kind == "LayerNorm" and "bias" in options:
        make = LayerNormWithoutBias
    module = make(**options).double().train(training)
    for n, p in enumerate(module.parameters()):
        p.data = pattern(p.shape, 5, n + 1)
    for n, b in enumerate(module.buffers()):
        if b.is_floating_point():
            b.copy_(pattern(b.shape, 3, n) ** 2 + 1)
    inputs = [pattern(shape, 7 + 4 * n).requires_grad_() for n, shape in enumerate(shapes)]
    torch.manual_seed(7)
    outputs = module(*(x * 1 for x in inputs))
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    (outputs[0] * pattern(outputs[0].shape, 3, 1)).sum().backward()
    grads = [x.grad for x in inputs] + [p.grad for p in module.parameters()]

    attributes = braced(f'{{"{key}", {literal(value)}}}' for key, value in options.items())
    print(f'      {{"{name}", "{kind}", {attributes}, {braced(map(sizes, shapes))}, {literal(training)},')
    print('       R"(' + repr_of(module) + ')",')
    print("       " + braced(f'"{key}"' for key in module.state_dict()) + ",")
    print("       " + braced(f"{{{sizes(out.shape)}, {numbers(out)}}}" for out in outputs) + ",")
    print("       " + braced(map(numbers, grads)) + ",")
    print("       " + braced(map(numbers, module.buffers())) + "},")


def activations():
    for name in ("ReLU", "ReLU6", "SELU", "SiLU", "Mish", "Hardsigmoid", "Hardswish"):
        case(name, (2, 4))
        case(name + "_inplace", (2, 4), inplace=True)
    for name in ("Sigmoid", "Tanh", "Softsign", "LogSigmoid", "Tanhshrink"):
        case(name, (2, 4))
    for name in ("ELU", "CELU"):
        case(name, (2, 4))
        case(name + "_inplace", (2, 4), alpha=0.5, inplace=True)
    case("GELU", (2, 4))
    case("GELU_tanh", (2, 4), approximate="tanh")
    case("Softplus", (2, 4))
    case("Softplus_threshold", (2, 4), beta=2.0, threshold=1.25)
    case("GLU", (2, 4))
    case("GLU_dim", (4, 2), dim=0)
    case("Hardtanh", (2, 8))
    case("Hardtanh_inplace", (2, 8), min_val=-0.5, max_val=0.25, inplace=True)
    case("LeakyReLU", (2, 4))
    case("LeakyReLU_inplace", (2, 4), negative_slope=0.5, inplace=True)
    case("Hardshrink", (2, 8))
    case("Hardshrink_lambd", (2, 8), lambd=0.25)
    case("Softshrink", (2, 8))
    case("Softshrink_lambd", (2, 8), lambd=0.25)
    case("Threshold", (2, 8), threshold=0.1, value=20)
    case("Threshold_inplace", (2, 8), threshold=0, value=-1.5, inplace=True)
    case("RReLU", (2, 8))
    case("RReLU_inplace", (2, 8), lower=0.25, upper=0.5, inplace=True)
    case("RReLU_evaluation", (2, 8), training=False)
    case("PReLU", (2, 3, 2))
    case("PReLU_channels", (2, 3, 2), num_parameters=3, init=0.5)
    case("Softmax", (2, 4), dim=1)
    case("Softmax_implicit", (2, 3, 2))
    case("Softmin", (2, 4), dim=0)
    case("LogSoftmax", (2, 4), dim=0)
    case("Softmax2d", (1, 3, 2, 2))
    case("Softmax2d_unbatched", (3, 2, 2))


def convolutions():
    case("Linear", (2, 3), in_features=3, out_features=2)
    case("Conv1d", (2, 2, 5), in_channels=2, out_channels=2, kernel_size=3, stride=2, padding=1)
    case("Conv1d_same", (1, 1, 6), in_channels=1, out_channels=2, kernel_size=4, padding="same")
    case("Conv2d", (1, 2, 3, 3), in_channels=2, out_channels=2, kernel_size=2)
    case("Conv2d_groups", (1, 2, 2, 4), in_channels=2, out_channels=4, kernel_size=(1, 2), groups=2, dilation=(1, 2),
         bias=False)
    case("Conv2d_same", (1, 1, 3, 4), in_channels=1, out_channels=1, kernel_size=(2, 3), padding="same")
    case("Conv2d_valid", (1, 1, 3, 4), in_channels=1, out_channels=1, kernel_size=2, padding="valid")
    case("Conv2d_unbatched", (1, 2, 3), in_channels=1, out_channels=1, kernel_size=2, padding=(0, 1))
    case("Conv3d", (1, 1, 2, 3, 3), in_channels=1, out_channels=2, kernel_size=2)
    case("Conv1d_reflect", (1, 2, 4), in_channels=2, out_channels=1, kernel_size=3, padding=2, padding_mode="reflect")
    case("Conv1d_circular_same", (1, 1, 5), in_channels=1, out_channels=1, kernel_size=4, padding="same",
         padding_mode="circular")
    case("Conv2d_replicate", (1, 1, 3, 3), in_channels=1, out_channels=2, kernel_size=3, padding=(1, 2), stride=2,
         padding_mode="replicate")
    case("Conv2d_circular", (1, 1, 3, 4), in_channels=1, out_channels=1, kernel_size=2, padding=(1, 2), dilation=(2, 1),
         padding_mode="circular")
    case("Conv3d_replicate", (1, 1, 2, 2, 2), in_channels=1, out_channels=1, kernel_size=2, padding=1,
         padding_mode="replicate")
    case("ConvTranspose1d", (2, 2, 3), in_channels=2, out_channels=3, kernel_size=3)
    case("ConvTranspose1d_groups", (1, 4, 3), in_channels=4, out_channels=2, kernel_size=2, stride=3, padding=1,
         output_padding=1, groups=2, bias=False, dilation=2)
    case("ConvTranspose2d", (1, 2, 2, 3), in_channels=2, out_channels=1, kernel_size=(2, 3), stride=2,
         output_padding=(1, 0))
    case("ConvTranspose2d_unbatched", (1, 2, 2), in_channels=1, out_channels=2, kernel_size=2, padding=1, stride=2)
    case("ConvTranspose3d", (1, 1, 2, 2, 1), in_channels=1, out_channels=1, kernel_size=2, dilation=(1, 2, 1))


def seeded_weights():
    def emit(name, module):
        values = torch.cat([p.reshape(-1) for p in module.parameters()])
        text = ", ".join(repr(float(v)) + "f" for v in values.detach())
        print(f"inline const std::vector<float> {name}{{{text}}};")

    torch.manual_seed(11)
    emit("kSeededConvTranspose1d", nn.ConvTranspose1d(2, 4, 3, groups=2))
    emit("kSeededConvTranspose2d", nn.ConvTranspose2d(2, 3, 2, bias=False))
    emit("kSeededConvTranspose3d", nn.ConvTranspose3d(1, 2, (1, 2, 2)))


def norms():
    case("BatchNorm1d", (4, 3), num_features=3)
    case("BatchNorm1d_long", (2, 3, 2), num_features=3, momentum=None)
    case("BatchNorm2d", (2, 2, 2, 2), num_features=2, momentum=0.3)
    case("BatchNorm2d_evaluation", (2, 2, 2, 2), num_features=2, training=False)
    case("BatchNorm2d_untracked", (2, 2, 2, 2), num_features=2, track_running_stats=False, training=False)
    case("BatchNorm3d", (2, 2, 1, 2, 2), num_features=2, eps=1e-3, affine=False)
    case("LayerNorm", (2, 2, 3), normalized_shape=3)
    case("LayerNorm_dims", (2, 2, 3), normalized_shape=(2, 3), eps=1e-3)
    case("LayerNorm_plain", (2, 4), normalized_shape=4, elementwise_affine=False)
    case("LayerNorm_biasless", (2, 4), normalized_shape=4, bias=False)
    case("RMSNorm", (2, 2, 3), normalized_shape=3)
    case("RMSNorm_dims", (2, 2, 3), normalized_shape=(2, 3), eps=1e-3)
    case("RMSNorm_plain", (2, 4), normalized_shape=4, elementwise_affine=False)
    case("GroupNorm", (2, 4, 3), num_groups=2, num_channels=4)
    case("GroupNorm_plain", (2, 4), num_groups=1, num_channels=4, eps=1e-3, affine=False)
    case("InstanceNorm1d", (2, 2, 4), num_features=2)
    case("InstanceNorm1d_unbatched", (2, 4), num_features=2, affine=True)
    case("InstanceNorm2d", (2, 2, 2, 3), num_features=2, affine=True, track_running_stats=True)
    case("InstanceNorm2d_evaluation", (2, 2, 2, 3), num_features=2, affine=True, track_running_stats=True,
         training=False)
    case("InstanceNorm3d", (1, 2, 1, 2, 3), num_features=2, eps=1e-3, momentum=0.3, track_running_stats=True)
    case("LocalResponseNorm", (2, 4, 3), size=2)
    case("LocalResponseNorm_all", (1, 3, 2, 2), size=3, alpha=0.5, beta=0.5, k=2.0)


def pools():
    case("MaxPool1d", (1, 2, 6), kernel_size=2)
    case("MaxPool1d_indices", (1, 2, 7), kernel_size=3, stride=2, padding=1, return_indices=True)
    case("MaxPool2d", (1, 2, 4, 3), kernel_size=2, padding=1)
    case("MaxPool2d_ceil", (1, 1, 3, 4), kernel_size=(2, 1), stride=(1, 2), ceil_mode=True)
    case("MaxPool2d_dilated", (1, 4, 4), kernel_size=2, stride=1, dilation=2, return_indices=True)
    case("MaxPool3d", (1, 1, 2, 3, 4), kernel_size=2, stride=1)
    case("MaxPool3d_indices", (1, 1, 2, 2, 4), kernel_size=(2, 1, 2), return_indices=True)
    case("AvgPool1d", (1, 2, 5), kernel_size=2)
    case("AvgPool1d_all", (2, 5), kernel_size=3, stride=2, padding=1, ceil_mode=True, count_include_pad=False)
    case("AvgPool2d", (1, 2, 4, 3), kernel_size=2, padding=1)
    case("AvgPool2d_all", (1, 1, 4, 3), kernel_size=(3, 2), stride=1, padding=(1, 0), count_include_pad=False)
    case("AvgPool2d_divisor", (1, 3, 3), kernel_size=2, stride=(1, 2), ceil_mode=True, divisor_override=3)
    case("AvgPool3d", (1, 1, 2, 3, 4), kernel_size=2, stride=1, divisor_override=2)
    case("LPPool1d", (1, 2, 6), norm_type=2, kernel_size=2)
    case("LPPool1d_quartic", (1, 1, 7), norm_type=4.0, kernel_size=3, stride=2, ceil_mode=True)
    case("LPPool2d", (1, 1, 4, 4), norm_type=2, kernel_size=(2, 3), stride=1)
    case("AdaptiveAvgPool1d", (1, 2, 5), output_size=3)
    case("AdaptiveAvgPool2d", (1, 2, 4, 3), output_size=2)
    case("AdaptiveAvgPool2d_keeping", (1, 4, 3), output_size=(None, 2))
    case("AdaptiveAvgPool3d", (1, 1, 2, 3, 4), output_size=(1, 2, None))
    case("AdaptiveMaxPool1d", (1, 2, 5), output_size=3)
    case("AdaptiveMaxPool2d", (1, 2, 4, 3), output_size=(3, 2), return_indices=True)
    case("AdaptiveMaxPool3d", (1, 1, 2, 3, 4), output_size=2)


def dropouts():
    case("Dropout", (3, 5))
    case("Dropout_inplace", (3, 5), p=0.25, inplace=True)
    case("Dropout_evaluation", (3, 5), inplace=True, training=False)
    case("Dropout_all", (2, 3), p=1.0)
    for name, batched, single in (("Dropout1d", (2, 6, 2), (6, 2)), ("Dropout2d", (2, 6, 1, 2), (6, 2)),
                                  ("Dropout3d", (2, 6, 1, 1, 2), (6, 1, 1, 2))):
        case(name, batched)
        case(name + "_inplace", batched, inplace=True)
        case(name + "_single", single)
        case(name + "_single_inplace", single, p=0.4, inplace=True)
    case("AlphaDropout", (3, 5))
    case("AlphaDropout_inplace", (3, 5), p=0.2, inplace=True)
    case("FeatureAlphaDropout", (2, 6, 1, 2))
    case("FeatureAlphaDropout_evaluation", (2, 6, 1, 2), training=False)


def shapes():
    case("Flatten", (2, 2, 2))
    case("Flatten_dims", (2, 1, 2, 2), start_dim=0, end_dim=-2)
    case("Unflatten", (2, 6), dim=1, unflattened_size=(2, 3))
    case("Unflatten_inferred", (6, 2), dim=0, unflattened_size=(-1, 2))
    case("Fold", (1, 4, 4), output_size=(3, 3), kernel_size=2)
    case("Fold_all", (4, 4), output_size=(3, 4), kernel_size=(2, 2), dilation=(1, 2), padding=(1, 0), stride=(2, 1))
    case("Unfold", (1, 1, 3, 3), kernel_size=2)
    case("Unfold_all", (1, 3, 4), kernel_size=(2, 2), dilation=(1, 2), padding=(1, 0), stride=(2, 1))
    case("PixelShuffle", (1, 4, 1, 2), upscale_factor=2)
    case("PixelUnshuffle", (1, 1, 2, 4), downscale_factor=2)
    case("ChannelShuffle", (1, 6, 2), groups=2)
    case("Upsample", (1, 1, 2, 3), scale_factor=2)
    case("Upsample_size", (1, 2, 3), size=5)
    case("Upsample_linear", (1, 1, 4), scale_factor=1.5, mode="linear")
    case("Upsample_bilinear", (1, 1, 2, 3), size=(3, 5), mode="bilinear", align_corners=True)
    case("Upsample_recomputed", (1, 1, 3, 2), scale_factor=(1.6, 2.2), mode="bilinear", recompute_scale_factor=True,
         align_corners=False)
    case("Upsample_bicubic", (1, 1, 3, 3), scale_factor=2.0, mode="bicubic", align_corners=False)
    case("Upsample_trilinear", (1, 1, 2, 2, 2), scale_factor=(1.0, 2.0, 1.5), mode="trilinear", align_corners=False)
    case("UpsamplingNearest2d", (1, 1, 2, 2), scale_factor=2)
    case("UpsamplingNearest2d_size", (1, 1, 2, 2), size=(3, 2))
    case("UpsamplingBilinear2d", (1, 1, 2, 3), size=4)
    case("ConstantPad1d", (1, 2, 3), padding=2, value=3.5)
    case("ConstantPad2d", (1, 2, 3), padding=(1, -1, 0, 2), value=1)
    case("ConstantPad3d", (1, 1, 2, 2), padding=1, value=-0.5)
    case("ZeroPad1d", (2, 3), padding=(1, 0))
    case("ZeroPad2d", (1, 2, 3), padding=1)
    case("ZeroPad3d", (1, 1, 1, 2), padding=(1, 0, 0, 1, 1, 0))
    for name in ("ReflectionPad", "ReplicationPad", "CircularPad"):
        case(name + "1d", (1, 2, 4), padding=2)
        case(name + "1d_unbatched", (2, 4), padding=(3, 1))
        case(name + "2d", (1, 1, 3, 3), padding=(2, 0, 1, 1))
        case(name + "3d", (1, 1, 2, 3, 2), padding=(1, 1, 2, 0, 0, 1))
    case("CosineSimilarity", (3, 2), (3, 2))
    case("CosineSimilarity_dim", (3, 2), (1, 2), dim=0, eps=1e-3)
    case("PairwiseDistance", (3, 2), (3, 2))
    case("PairwiseDistance_all", (3, 2), (3, 2), p=1.0, eps=1e-3, keepdim=True)


FAMILIES = {
    "activation": activations, "convolution": convolutions, "dropout": dropouts, "normalization": norms,
    "pooling": pools, "shape": shapes}


def main():
    torch.set_num_threads(1)
    for family in sys.argv[1:] or FAMILIES:
        with open(f"tests/nn/{family}_values.h", "w") as out:
            sys.stdout = out
            print("// Written by tests/nn/generate_layer_values.py with PyTorch; do not edit.\n// clang-format off")
            print('#pragma once\n\n#include "tests/nn/layer_case.h"\n\nnamespace tapewire::torch_values {\n')
            print(f"inline const std::vector<LayerCase>& {family}_cases() {{")
            print("  static const std::vector<LayerCase> cases{")
            FAMILIES[family]()
            print("  };\n  return cases;\n}\n")
            if family == "convolution":
                seeded_weights()
            print("\n}  // namespace tapewire::torch_values")
            sys.stdout = sys.__stdout__


if __name__ == "__main__":
    main()
