#!/usr/bin/python3
"""Writes tests/optim/schedules.h: the rates that PyTorch's schedules give over 1,000 steps.

usage: /usr/bin/python3 tests/optim/generate_schedules.py > tests/optim/schedules.h

Two groups with rates 0.1 and 0.03. A row: both rates, the sum of the first over all steps so far, and the momentum. The
metric at step s (from 0) is ((7 s) % 11) / 16 + 64 / (s + 1). CyclicLR on Adam, which 1.13 lacks, moves beta1 as it
moves SGD's momentum: 2.x.
"""

import torch
from torch.optim import lr_scheduler

from generate_trajectories import attributes

STEPS = 1000
SHOWN = (0, 1, 2, 3, 4, 5, 6, 10, 20, 50, 99, 100, 101, 250, 400, 500, 750, 999, 1000)

SEQUENCE = [
    ("LinearLR", {"start_factor": 0.1, "total_iters": 20}, []),
    ("CosineAnnealingLR", {"T_max": 400, "eta_min": 0.001}, []),
    ("ExponentialLR", {"gamma": 0.99}, []),
]
CASES = [
    ("step", "SGD", ("StepLR", {"step_size": 30, "gamma": 0.9}, [])),
    ("multi_step", "SGD", ("MultiStepLR", {"milestones": [3, 100, 100, 400], "gamma": 0.3}, [])),
    ("constant", "SGD", ("ConstantLR", {"factor": 0.3, "total_iters": 50}, [])),
    ("constant_default", "SGD", ("ConstantLR", {}, [])),
    ("linear", "SGD", ("LinearLR", {"start_factor": 0.2, "end_factor": 0.9, "total_iters": 700}, [])),
    ("linear_down", "SGD", ("LinearLR", {"start_factor": 1.0, "end_factor": 0.0, "total_iters": 500}, [])),
    ("exponential", "SGD", ("ExponentialLR", {"gamma": 0.993}, [])),
    ("polynomial", "SGD", ("PolynomialLR", {"total_iters": 800, "power": 1.7}, [])),
    ("polynomial_default", "SGD", ("PolynomialLR", {}, [])),
    ("cosine", "SGD", ("CosineAnnealingLR", {"T_max": 70, "eta_min": 0.002}, [])),
    ("cosine_to_zero", "SGD", ("CosineAnnealingLR", {"T_max": 1000}, [])),
    ("restarts", "SGD", ("CosineAnnealingWarmRestarts", {"T_0": 10, "T_mult": 2, "eta_min": 0.001}, [])),
    ("cyclic", "SGD", ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.2, "step_size_up": 40}, [])),
    ("cyclic_triangular2", "Adam", ("CyclicLR", {"base_lr": [0.01, 0.02], "max_lr": [0.2, 0.1], "step_size_up": 40,
                                                "step_size_down": 30, "mode": "triangular2"}, [])),
    ("cyclic_exp_range", "SGD", ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.2, "step_size_up": 40, "mode": "exp_range",
                                             "gamma": 0.998, "base_momentum": 0.7, "max_momentum": 0.95}, [])),
    ("cyclic_momentum_left_alone", "SGD", ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.2, "cycle_momentum": False}, [])),
    ("one_cycle", "SGD", ("OneCycleLR", {"max_lr": 0.5, "total_steps": 1000}, [])),
    ("one_cycle_linear", "Adam", ("OneCycleLR", {"max_lr": [0.5, 0.2], "epochs": 101, "steps_per_epoch": 10,
                                                "anneal_strategy": "linear", "pct_start": 0.2}, [])),
    ("one_cycle_three_phase", "SGD", ("OneCycleLR", {"max_lr": 0.5, "total_steps": 1003, "three_phase": True,
                                                    "div_factor": 10.0, "final_div_factor": 100.0}, [])),
    ("plateau", "SGD", ("ReduceLROnPlateau", {}, [])),
    ("plateau_options", "SGD", ("ReduceLROnPlateau", {"factor": 0.7, "patience": 3, "threshold": 0.01,
                                                     "threshold_mode": "abs", "cooldown": 5,
                                                     "min_lr": [0.001, 0.002]}, [])),
    ("plateau_max", "SGD", ("ReduceLROnPlateau", {"mode": "max", "factor": 0.9, "patience": 20, "eps": 1e-4}, [])),
    ("plateau_max_abs", "SGD", ("ReduceLROnPlateau", {"mode": "max", "threshold_mode": "abs", "patience": 50}, [])),
    ("sequential", "SGD", ("SequentialLR", {"milestones": [20, 420]}, SEQUENCE)),
    ("sequential_cycles", "SGD", ("SequentialLR", {"milestones": [5, 250]}, [
        ("ConstantLR", {"factor": 0.5, "total_iters": 3}, []),
        ("CosineAnnealingWarmRestarts", {"T_0": 15}, []),
        ("OneCycleLR", {"max_lr": 0.3, "total_steps": 800}, []),
    ])),
    ("chained", "SGD", ("ChainedScheduler", {}, [
        ("ConstantLR", {"factor": 0.1, "total_iters": 40}, []),
        ("ExponentialLR", {"gamma": 0.995}, []),
        ("MultiStepLR", {"milestones": [90, 600], "gamma": 0.5}, []),
    ])),
]


def make(optim, spec):
    kind, options, members = spec
    cls = getattr(lr_scheduler, kind)
    made = [make(optim, member) for member in members]
    if kind == "SequentialLR":
        return cls(optim, made, **options)
    return cls(made) if kind == "ChainedScheduler" else cls(optim, **options)


def run(optimizer, spec):
    params = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    groups = [{"params": [params[0]], "lr": 0.1}, {"params": [params[1]], "lr": 0.03}]
    beta1 = optimizer == "Adam" and spec[0] != "CyclicLR"
    optim = torch.optim.Adam(groups) if beta1 else torch.optim.SGD(groups, lr=0.1, momentum=0.9)
    optim.step()
    schedule = make(optim, spec)
    rows, total = [], 0.0
    for step in range(STEPS + 1):
        first, second = optim.param_groups
        total += first["lr"]
        if step in SHOWN:
            rows.append([first["lr"], second["lr"], total, first["betas"][0] if beta1 else first["momentum"]])
        if spec[0] == "ReduceLROnPlateau":
            schedule.step(((7 * step) % 11) / 16 + 64 / (step + 1))
        elif step < STEPS:
            schedule.step()
    return rows


def literal_spec(spec):
    kind, options, members = spec
    return f'{{"{kind}", {attributes(options)}, {{' + ", ".join(map(literal_spec, members)) + "}}"


def main():
    print("// Written by tests/optim/generate_schedules.py with PyTorch; do not edit.\n// clang-format off")
    print("#pragma once\n")
    print('#include <array>\n#include <vector>\n\n#include "core/optim/scheduler.h"\n')
    print("namespace tapewire {\n")
    print("struct ScheduleCase {\n  const char* name;\n  const char* optimizer;\n  SchedulerSpec spec;")
    print("  // At each of kScheduleSteps: both groups' rates, the sum of the first's so far, the momentum.")
    print(f"  std::array<std::array<double, 4>, {len(SHOWN)}> rows;\n}};\n")
    print(f"inline constexpr std::array<int, {len(SHOWN)}> kScheduleSteps{{{', '.join(map(str, SHOWN))}}};\n")
    print("inline std::vector<ScheduleCase> schedule_cases() {\n  return {")
    for name, optimizer, spec in CASES:
        print(f'      {{"{name}",\n       "{optimizer}",\n       {literal_spec(spec)},\n       {{{{')
        for row in run(optimizer, spec):
            print("           {" + ", ".join(map(repr, row)) + "},")
        print("       }}},")
    print("  };\n}\n\n}  // namespace tapewire")


if __name__ == "__main__":
    main()
