#!/usr/bin/python3
"""Writes tests/optim/trajectories.h: what PyTorch's optimizers make of a small problem in float64.

usage: /usr/bin/python3 tests/optim/generate_trajectories.py > tests/optim/trajectories.h

The problem: two parameters, p[i] = (i + 1) / 4 and q = -0.5; the gradients at step s (from 0) are 2 c (p - t) with
c[i] = (i + 1) / 2, t[i] = (i - 2) / 8, and q - 1; q has none on every third step. The rate is StepLR(15, 0.5)'s.
"""

import torch

STEPS = 60
SHOWN = (1, 2, 3, 10, 30, 60)

CASES = [
    ("sgd", "SGD", {"lr": 0.05}),
    ("sgd_weight_decay", "SGD", {"lr": 0.05, "weight_decay": 0.1}),
    ("sgd_momentum", "SGD", {"lr": 0.02, "momentum": 0.9}),
    ("sgd_dampening", "SGD", {"lr": 0.02, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01}),
    ("sgd_nesterov", "SGD", {"lr": 0.02, "momentum": 0.8, "nesterov": True, "weight_decay": 0.01}),
    ("sgd_maximize", "SGD", {"lr": 0.001, "momentum": 0.5, "maximize": True}),
    ("adam", "Adam", {"lr": 0.02}),
    ("adam_weight_decay", "Adam", {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.1}),
    ("adam_amsgrad", "Adam", {"lr": 0.05, "amsgrad": True}),
    ("adam_maximize", "Adam", {"lr": 0.01, "maximize": True}),
    ("adamw", "AdamW", {"lr": 0.02}),
    ("adamw_amsgrad", "AdamW", {"lr": 0.05, "betas": (0.7, 0.9), "weight_decay": 0.2, "amsgrad": True}),
]


def run(optimizer, options):
    """The parameters, p's four then q, after each of the SHOWN steps."""
    i = torch.arange(4, dtype=torch.float64)
    p = torch.nn.Parameter((i + 1) / 4)
    q = torch.nn.Parameter(torch.tensor([-0.5], dtype=torch.float64))
    c, t = (i + 1) / 2, (i - 2) / 8
    optim = getattr(torch.optim, optimizer)([p, q], **options)
    schedule = torch.optim.lr_scheduler.StepLR(optim, 15, 0.5)
    rows = []
    for step in range(STEPS):
        p.grad = (2 * c * (p - t)).detach()
        q.grad = None if step % 3 == 2 else (q - 1).detach()
        optim.step()
        schedule.step()
        if step + 1 in SHOWN:
            rows.append(p.tolist() + q.tolist())
    return rows


def literal(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return "Tuple{" + ", ".join(map(literal, value)) + "}"
    return repr(value)


def main():
    print("// Written by tests/optim/generate_trajectories.py with PyTorch; do not edit.\n// clang-format off")
    print("#pragma once\n")
    print('#include <array>\n#include <vector>\n\n#include "core/tensor/value.h"\n')
    print("namespace tapewire {\n")
    print("struct Trajectory {\n  const char* name;\n  const char* optimizer;\n  AttributeMap options;")
    print(f"  std::array<std::array<double, 5>, {len(SHOWN)}> parameters;  // after each of kTrajectorySteps\n}};\n")
    print(f"inline constexpr std::array<int, {len(SHOWN)}> kTrajectorySteps{{{', '.join(map(str, SHOWN))}}};\n")
    print("inline std::vector<Trajectory> trajectories() {\n  return {")
    for name, optimizer, options in CASES:
        attributes = ", ".join(f'{{"{key}", {literal(value)}}}' for key, value in options.items())
        print(f'      {{"{name}",\n       "{optimizer}",\n       {{{attributes}}},\n       {{{{')
        for row in run(optimizer, options):
            print("           {" + ", ".join(map(repr, row)) + "},")
        print("       }}},")
    print("  };\n}\n\n}  // namespace tapewire")


if __name__ == "__main__":
    main()
