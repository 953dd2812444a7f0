#!/usr/bin/python3
"""Writes tests/optim/trajectories.h: what PyTorch's optimizers make of a small problem in 1,000 steps.

usage: /usr/bin/python3 tests/optim/generate_trajectories.py > tests/optim/trajectories.h

The problem: two parameters, p[i] = (i + 1) / 4 and q = -0.5; the gradients at step s (from 0) are 2 c (p - t) + noise
with c[i] = (i + 1) / 2, t[i] = (i - 2) / 8, noise[i] = ((37 s + 11 i) % 64 - 31.5) / 64, and q - 1 + noise[0]; q has
none on every third step. The noise keeps gradients away from 0, where rounding errors would decide their direction. The
rate is StepLR(200, 0.7)'s.

Where PyTorch 2.x differs from the 1.13 that runs this, 2.x is what is written: see NAdam and TwoPointX.
"""

import torch

STEPS = 1000
SHOWN = (1, 2, 10, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1000)

CASES = [
    ("sgd", "SGD", {"lr": 0.05}),
    ("sgd_weight_decay", "SGD", {"lr": 0.05, "weight_decay": 0.1}),
    ("sgd_momentum", "SGD", {"lr": 0.02, "momentum": 0.9}),
    ("sgd_dampening", "SGD", {"lr": 0.02, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01}),
    ("sgd_nesterov", "SGD", {"lr": 0.02, "momentum": 0.8, "nesterov": True, "weight_decay": 0.01}),
    ("sgd_maximize", "SGD", {"lr": 0.0005, "momentum": 0.5, "maximize": True}),
    ("adam", "Adam", {"lr": 0.02}),
    ("adam_weight_decay", "Adam", {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.1}),
    ("adam_amsgrad", "Adam", {"lr": 0.05, "amsgrad": True}),
    ("adam_maximize", "Adam", {"lr": 0.01, "maximize": True}),
    ("adamw", "AdamW", {"lr": 0.02}),
    ("adamw_amsgrad", "AdamW", {"lr": 0.05, "betas": (0.7, 0.9), "weight_decay": 0.2, "amsgrad": True}),
    ("adamax", "Adamax", {}),
    ("adamax_options", "Adamax", {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.1}),
    ("adamax_maximize", "Adamax", {"lr": 0.01, "maximize": True}),
    ("nadam", "NAdam", {}),
    ("nadam_options", "NAdam", {"lr": 0.01, "betas": (0.8, 0.95), "weight_decay": 0.1, "momentum_decay": 0.05}),
    ("nadam_decoupled", "NAdam", {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("nadam_maximize", "NAdam", {"lr": 0.01, "maximize": True}),
    ("radam", "RAdam", {}),
    ("radam_options", "RAdam", {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.1}),
    ("radam_never_rectified", "RAdam", {"lr": 0.01, "betas": (0.9, 0.5)}),
    ("radam_decoupled", "RAdam", {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("radam_maximize", "RAdam", {"lr": 0.005, "maximize": True}),
    ("adagrad", "Adagrad", {}),
    ("adagrad_options", "Adagrad", {"lr": 0.1, "lr_decay": 0.01, "weight_decay": 0.1,
                                    "initial_accumulator_value": 0.5, "eps": 1e-6}),
    ("adagrad_maximize", "Adagrad", {"lr": 0.05, "maximize": True}),
    ("adadelta", "Adadelta", {}),
    ("adadelta_options", "Adadelta", {"lr": 0.5, "rho": 0.8, "eps": 1e-5, "weight_decay": 0.1}),
    ("adadelta_maximize", "Adadelta", {"lr": 0.5, "maximize": True}),
    ("rmsprop", "RMSprop", {}),
    ("rmsprop_options", "RMSprop", {"lr": 0.005, "alpha": 0.9, "eps": 1e-6, "weight_decay": 0.1}),
    ("rmsprop_momentum", "RMSprop", {"lr": 0.002, "momentum": 0.8}),
    ("rmsprop_centered", "RMSprop", {"lr": 0.005, "centered": True}),
    ("rmsprop_centered_momentum", "RMSprop", {"lr": 0.002, "centered": True, "momentum": 0.8, "weight_decay": 0.1}),
    ("rmsprop_maximize", "RMSprop", {"lr": 0.005, "maximize": True}),
]


class NAdam(torch.optim.Optimizer):
    """NAdam as of 2.x, which corrects by the product of the momenta up to the next step (1.13 has this step's twice):

    m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2; mu_t = b1 (1 - 0.96^(t momentum_decay) / 2); P_t = mu_1 ... mu_t
    p -= lr ((1 - mu_t) / (1 - P_t) g + mu_(t+1) / (1 - P_(t+1)) m) / (sqrt(v / (1 - b2^t)) + eps)
    """

    def __init__(self, params, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, momentum_decay=4e-3):
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, decay=momentum_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            b1, b2 = group["betas"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                s = self.state[p]
                if not s:
                    s.update(t=0, product=1.0, m=torch.zeros_like(p), v=torch.zeros_like(p))
                s["t"] += 1
                g = p.grad.add(p, alpha=group["weight_decay"]) if group["weight_decay"] else p.grad
                mu, mu_next = (b1 * (1 - 0.5 * 0.96 ** (t * group["decay"])) for t in (s["t"], s["t"] + 1))
                s["product"] *= mu
                s["m"].mul_(b1).add_(g, alpha=1 - b1)
                s["v"].mul_(b2).addcmul_(g, g, value=1 - b2)
                denom = s["v"].div(1 - b2 ** s["t"]).sqrt().add_(group["eps"])
                p.addcdiv_(g, denom, value=-group["lr"] * (1 - mu) / (1 - s["product"]))
                p.addcdiv_(s["m"], denom, value=-group["lr"] * mu_next / (1 - s["product"] * mu_next))


class TwoPointX:
    """An optimizer with the options of NAdam and RAdam that 1.13 lacks: maximize turns the gradient,
    decoupled_weight_decay first multiplies the parameter by 1 - lr weight_decay."""

    def __init__(self, cls, params, maximize=False, decoupled_weight_decay=False, weight_decay=0, **options):
        self.maximize = maximize
        self.decay = weight_decay if decoupled_weight_decay else 0
        self.optim = cls(params, weight_decay=0 if decoupled_weight_decay else weight_decay, **options)

    @torch.no_grad()
    def step(self):
        group = self.optim.param_groups[0]
        for p in group["params"]:
            if p.grad is not None:
                p.mul_(1 - group["lr"] * self.decay)
                if self.maximize:
                    p.grad.neg_()
        self.optim.step()


def run(optimizer, options, dtype):
    """The parameters, p's four then q, after each of the SHOWN steps."""
    i = torch.arange(4, dtype=torch.int64)
    p = torch.nn.Parameter((i + 1).to(dtype) / 4)
    q = torch.nn.Parameter(torch.tensor([-0.5], dtype=dtype))
    c, t = (i + 1).to(dtype) / 2, (i - 2).to(dtype) / 8
    cls = NAdam if optimizer == "NAdam" else getattr(torch.optim, optimizer)
    if optimizer in ("NAdam", "RAdam"):
        optim = TwoPointX(cls, [p, q], **options)
        scheduled = optim.optim
    else:
        optim = scheduled = cls([p, q], **options)
    schedule = torch.optim.lr_scheduler.StepLR(scheduled, 200, 0.7)
    rows = []
    for step in range(STEPS):
        noise = (((37 * step + 11 * i) % 64).to(dtype) - 31.5) / 64
        p.grad = (2 * c * (p - t) + noise).detach()
        q.grad = None if step % 3 == 2 else (q - 1 + noise[:1]).detach()
        optim.step()
        schedule.step()
        if step + 1 in SHOWN:
            rows.append(p.tolist() + q.tolist())
    return rows


def literal(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (tuple, list)):
        return "Tuple{" + ", ".join(map(literal, value)) + "}"
    if isinstance(value, str):
        return f'"{value}"'
    return repr(value)


def attributes(options):
    return "{" + ", ".join(f'{{"{key}", {literal(value)}}}' for key, value in options.items()) + "}"


def main():
    print("// Written by tests/optim/generate_trajectories.py with PyTorch; do not edit.\n// clang-format off")
    print("#pragma once\n")
    print('#include <array>\n#include <vector>\n\n#include "core/tensor/value.h"\n')
    print("namespace tapewire {\n")
    print("struct Trajectory {\n  const char* name;\n  const char* optimizer;\n  AttributeMap options;")
    print(f"  std::array<std::array<double, 5>, {len(SHOWN)}> parameters;  // after each of kTrajectorySteps")
    print("  std::array<double, 5> in_float32;  // after the last\n};\n")
    print(f"inline constexpr std::array<int, {len(SHOWN)}> kTrajectorySteps{{{', '.join(map(str, SHOWN))}}};\n")
    print("inline std::vector<Trajectory> trajectories() {\n  return {")
    for name, optimizer, options in CASES:
        print(f'      {{"{name}",\n       "{optimizer}",\n       {attributes(options)},\n       {{{{')
        for row in run(optimizer, options, torch.float64):
            print("           {" + ", ".join(map(repr, row)) + "},")
        last = run(optimizer, options, torch.float32)[-1]
        print("       }},\n       {" + ", ".join(f"{x:.9g}" for x in last) + "}},")
    print("  };\n}\n\n}  // namespace tapewire")


if __name__ == "__main__":
    main()
