#!/usr/bin/python3
"""Trains the networks in PyTorch for 20 steps and writes tests/networks/networks.json: what the engine is held to.

usage: /usr/bin/python3 tests/networks/record.py [NETWORK...]

With names it records these alone, and leaves the others as they are in the file.

Of each network: the losses in float64; those in float32 (with mkldnn, on one thread), and PyTorch's own spread at each
step, the largest difference up to it between its float32 losses with and without mkldnn, on one and on two threads, and
the float64 ones; and a checksum of each tensor of the float64 state dict after the last step.

What starts normally (embeddings, positions) is taken from a PyTorch with ATEN_CPU_CAPABILITY=default, which computes each
number by itself: so does the engine, while vectorised approximations are a few units in the last place off.
"""

import itertools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # threads that wait do not spin: the cores may be others' too

import torch

import data
from networks import NETWORKS

STEPS = 20


def seeded(network):
    torch.manual_seed(network.seed)
    return network.make()


def write_normals(path):
    """Saves what starts normally: the tensors, by network and name."""
    names = ("embedding.weight", "position")
    torch.save({name: {key: value for key, value in seeded(network).state_dict().items() if key.endswith(names)}
                for name, network in NETWORKS.items()}, path)


def exact_normals():
    """The same of a PyTorch that computes each number by itself, which it decides when it is loaded."""
    with tempfile.NamedTemporaryFile() as file:
        subprocess.run([sys.executable, __file__, "--normals", file.name], check=True,
                       env={**os.environ, "ATEN_CPU_CAPABILITY": "default"})
        return torch.load(file.name)


def train(network, normals, dtype, mkldnn, threads):
    """The losses, and the module as it is after the last step."""
    torch.set_num_threads(threads)
    module = seeded(network)
    module.load_state_dict(normals, strict=False)
    module = module.to(dtype)
    optimizer = network.optimizer(module)
    scheduler = network.scheduler(optimizer) if network.scheduler else None
    losses = []
    with torch.backends.mkldnn.flags(enabled=mkldnn):
        for step in range(STEPS):
            inputs, target = data.RECIPES[network.data](network.batch, step, dtype)
            optimizer.zero_grad()
            loss = network.loss(module(*inputs), target)
            loss.backward()
            optimizer.step()
            if scheduler:
                scheduler.step()
            losses.append(loss.item())
    return losses, module


def checksum(tensor):
    """The sum of the elements by turns of 17 weights, and that of their magnitudes, which it is precise by."""
    x = tensor.double().flatten()
    weights = ((torch.arange(x.numel()) * 7 + 3) % 17 - 8).double() / 8
    return {"sum": (x * weights).sum().item(), "magnitude": x.abs().sum().item()}


def record(name, network, normals):
    exact, module = train(network, normals, torch.float64, mkldnn=True, threads=1)
    runs = [train(network, normals, torch.float32, mkldnn, threads)[0] for mkldnn in (True, False) for threads in (1, 2)]
    spread = list(itertools.accumulate((max(losses) - min(losses) for losses in zip(exact, *runs)), max))
    print(f"{name:13} loss {exact[0]:.4f} -> {exact[-1]:.4f}, spread {spread[-1]:.1e}", flush=True)
    return {
        "name": name,
        "definition": network.definition,
        "seed": network.seed,
        "data": network.data,
        "batch": network.batch,
        "parameters": sum(p.numel() for p in module.parameters()),
        "float64": exact,
        "float32": runs[0],
        "spread": spread,
        "state": [{"name": key, **checksum(value)} for key, value in module.state_dict().items()],
    }


def main():
    if sys.argv[1:2] == ["--normals"]:
        write_normals(sys.argv[2])
        return
    path = Path(__file__).with_name("networks.json")
    only = sys.argv[1:]
    before = {n["name"]: n for n in json.loads(path.read_text())["networks"]} if only else {}
    normals = exact_normals()
    networks = [before[name] if only and name not in only else record(name, network, normals[name])
                for name, network in NETWORKS.items()]
    recorded = {"pytorch": torch.__version__.split("a")[0].split("+")[0], "networks": networks}
    path.write_text(json.dumps(recorded, indent=0, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
