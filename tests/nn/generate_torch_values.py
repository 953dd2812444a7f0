#!/usr/bin/python3
"""Writes tests/nn/torch_values.h: what PyTorch's initialisers and whole networks compute.

usage: /usr/bin/python3 tests/nn/generate_torch_values.py > tests/nn/torch_values.h

Inputs and weights are pattern(shape, mul, add): ((i * mul + add) % 17 - 8) / 8 for the i-th element, exact in any dtype.
"""

import torch
from torch import nn
from torch.nn import functional as F


def pattern(shape, mul=7, add=3):
    count = 1
    for size in shape:
        count *= size
    i = torch.arange(count, dtype=torch.float64)
    return (((i * mul + add) % 17 - 8) / 8).reshape(shape)


def emit(name, tensor, kind="double"):
    suffix = "f" if kind == "float" else ""
    text = ", ".join(repr(float(v)) + suffix for v in tensor.detach().reshape(-1))
    print(f"inline const std::vector<{kind}> {name}{{\n    {text}}};")


def running_statistics():
    for name, momentum in (("kRunning", 0.3), ("kCumulative", None)):
        bn = nn.BatchNorm2d(2, momentum=momentum).double()
        for n in range(3):
            bn(pattern((2, 2, 2, 3), 7 + 2 * n, n))
        emit(name, torch.cat([bn.running_mean, bn.running_var]))
        bn.eval()
        emit(name + "Eval", bn(pattern((1, 2, 1, 2))))
    print()


def seeded_weights():
    torch.manual_seed(11)
    emit("kSeededLinear", torch.cat([p.reshape(-1) for p in nn.Linear(3, 2).parameters()]), "float")
    emit("kSeededConv2d", torch.cat([p.reshape(-1) for p in nn.Conv2d(2, 2, 3).parameters()]), "float")
    emit("kSeededConv1d", torch.cat([p.reshape(-1) for p in nn.Conv1d(2, 2, 3, groups=2).parameters()]), "float")
    emit("kSeededConv3d", torch.cat([p.reshape(-1) for p in nn.Conv3d(1, 1, 2).parameters()]), "float")
    emit("kSeededNext", torch.rand(3), "float")
    print()


def initialisers():
    def case(name, init, shape=(3, 4), kind="float", **options):
        torch.manual_seed(5)
        x = torch.zeros(shape, dtype=torch.float32 if kind == "float" else torch.float64)
        getattr(nn.init, init)(x, **options)
        emit(name, x, kind)

    case("kInitUniform", "uniform_", a=-2.0, b=3.0)
    case("kInitNormal", "normal_", mean=1.0, std=0.5)
    case("kInitNormal20", "normal_", shape=(4, 5), mean=1.0, std=0.5)
    case("kInitKaimingUniform", "kaiming_uniform_", a=0.2, mode="fan_out")
    case("kInitKaimingUniformRelu", "kaiming_uniform_", shape=(2, 3, 2), nonlinearity="relu")
    case("kInitKaimingNormal", "kaiming_normal_", kind="double", nonlinearity="tanh")
    case("kInitXavierUniform", "xavier_uniform_", shape=(2, 3, 2), gain=2.0)
    case("kInitXavierNormal", "xavier_normal_", kind="double")
    case("kInitEye", "eye_", shape=(2, 3))
    print()


class FeatureRegression(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(225, 128, kernel_size=7), nn.BatchNorm2d(128), nn.ReLU(inplace=True),
            nn.Conv2d(128, 64, kernel_size=5), nn.BatchNorm2d(64), nn.ReLU(inplace=True))
        self.linear = nn.Linear(1600, 6)

    def forward(self, x):
        # FeatureL2Norm
        x = torch.div(x, torch.pow(torch.sum(torch.pow(x, 2), 1) + 1e-6, 0.5).unsqueeze(1).expand_as(x))
        x = self.conv(x)
        x = x.view(x.size(0), -1)
        return self.linear(x)


def feature_regression():
    torch.manual_seed(1)
    net = FeatureRegression().double()
    x = pattern((2, 225, 15, 15), 5, 2).requires_grad_()
    out = net(x)
    loss = F.mse_loss(out, pattern((2, 6), 3, 1))
    loss.backward()
    emit("kRegressionOutput", out)
    emit("kRegressionLoss", loss)
    emit("kRegressionInputGrad", x.grad.reshape(-1)[::8009])
    emit("kRegressionGradNorms", torch.stack([p.grad.norm() for p in net.parameters()]))
    emit("kRegressionGradSums", torch.stack([(p.grad * pattern(p.shape, 3, 1)).sum() for p in net.parameters()]))
    emit("kRegressionRunning", torch.cat([net.conv[1].running_mean[:2], net.conv[4].running_var[:2]]))
    print()


class MnistNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 10, kernel_size=5)
        self.conv2 = nn.Conv2d(10, 20, kernel_size=5)
        self.conv2_drop = nn.Dropout2d()
        self.fc1 = nn.Linear(320, 50)
        self.fc2 = nn.Linear(50, 10)

    def forward(self, x):
        x = F.relu(F.max_pool2d(self.conv1(x), 2))
        x = F.relu(F.max_pool2d(self.conv2_drop(self.conv2(x)), 2))
        x = x.view(-1, 320)
        x = F.relu(self.fc1(x))
        x = F.dropout(x, training=self.training)
        return F.log_softmax(self.fc2(x), 1)


def lenet():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))


def training(name, make, loss):
    """Losses of ten steps by SGD, rate 0.05, momentum 0.9, on one batch of eight; seed 3 for weights and dropout."""
    torch.manual_seed(3)
    net = make().double()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    x = pattern((8, 1, 28, 28), 11, 5)
    target = torch.arange(8) % 10
    values = []
    for _ in range(10):
        optimizer.zero_grad()
        value = loss(net(x), target)
        value.backward()
        optimizer.step()
        values.append(value.detach())
    emit(name, torch.stack(values))


def main():
    torch.set_num_threads(1)
    print("// Written by tests/nn/generate_torch_values.py with PyTorch; do not edit.\n// clang-format off")
    print("#pragma once\n\n#include <cstdint>\n#include <vector>\n\nnamespace tapewire::torch_values {\n")
    running_statistics()
    seeded_weights()
    initialisers()
    feature_regression()
    training("kLeNetLosses", lenet, F.cross_entropy)
    training("kMnistLosses", MnistNet, F.nll_loss)
    print("\n}  // namespace tapewire::torch_values")


if __name__ == "__main__":
    main()
