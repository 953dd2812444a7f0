#!/usr/bin/python3
"""Writes the operators' conformance cases: what PyTorch computes for the samples of its operator database.

    ./dev conformance        # rewrites tests/conformance/*.cases.xz and docs/conformance.md

Needs Debian's python3-torch and python3-protobuf. Inputs are rounded to a few bits of mantissa, before anything is
computed, and results to 40 bits, so that the file compresses.
"""

import argparse
import warnings
from pathlib import Path

from recording import (ROOT, SEED, CallWriter, Once, Unsupported, differentiate, flatten, fresh, load_protos,
                       seed_generators, substitute, to_single, write_cases, write_results)

import torch
from torch.testing._internal import common_methods_invocations as database

from names import FUNCTIONS, NUMBERS_FIRST, SAMPLES, call_for, catalogue_name, left_out, reason_for
from page import Rows, write_section

RANDOM = {"dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout", "rrelu", "rand_like",
          "randn", "randn_like", "randint_like", "bernoulli", "scaled_dot_product_attention"}


def compute(op, sample, inputs, seed, convert):
    """Outputs, gradients and second gradients, by input; None where there is none."""
    once = Once(convert)
    x = substitute(sample.input, inputs, once)
    args = substitute(sample.args, inputs, once)
    kwargs = substitute(sample.kwargs, inputs, once)
    if seed is not None:
        torch.manual_seed(seed)
    outputs = flatten(FUNCTIONS.get(op.name, op)(x, *args, **kwargs))
    return outputs, *differentiate(outputs, [once(r) for _, _, r in inputs if r.requires_grad])


class Generator:
    def __init__(self, case_pb, pb):
        self.case_pb = case_pb
        self.pb = pb
        self.cases = []
        self.rows = Rows()

    def run(self, only=None):
        for op in database.op_db:
            row = self.rows.start(op.name)
            target = catalogue_name(op)
            if target is None:
                row["reason"] = reason_for(op)
                continue
            if only and op.name not in only:
                continue
            self.add_op(op, target, row)

    def add_op(self, op, target, row):
        made = 0
        for dtype in (torch.float64, torch.int64, torch.bool):
            if dtype not in op.dtypes:
                continue
            grad = dtype == torch.float64 and op.supports_autograd
            seed_generators()
            for i, sample in enumerate(op.sample_inputs("cpu", dtype, requires_grad=grad)):
                sample = SAMPLES.get(op.name, lambda given: given)(sample)
                label = f"{str(dtype).removeprefix('torch.')}_{i}"
                try:
                    self.cases.append(self.case(op, target, sample, label))
                    made += 1
                except (RuntimeError, IndexError) as e:
                    raise RuntimeError(f"{op.name} {label}: {sample}") from e
                except Unsupported as e:
                    self.rows.leave(op.name, e)
        if op.error_inputs_func is not None:
            for i, error in enumerate(op.error_inputs("cpu")):
                try:
                    self.cases.append(self.error_case(op, target, error.sample_input, f"error_{i}"))
                    made += 1
                except Unsupported as e:
                    self.rows.leave(op.name, e)
        row["cases"] += made

    def start(self, op, target, sample, label):
        case = self.case_pb.Case(name=op.name, variant=op.variant_test_name, sample=label)
        writer = CallWriter(self.pb)
        args, kwargs = [sample.input, *sample.args], dict(sample.kwargs)
        adapt = call_for(op.name)
        if adapt is not None:
            try:
                args, kwargs = adapt(args, kwargs)
            except ValueError as e:
                raise Unsupported(str(e)) from e
        if kwargs.get("out") is not None:
            raise Unsupported("an out= argument")
        if kwargs.get("layout", torch.strided) != torch.strided:
            raise Unsupported("sparse tensors")
        for name in ("device", "layout", "requires_grad", "memory_format", "pin_memory", "out", "generator"):
            kwargs.pop(name, None)
        case.call.op = target
        case.call.args.extend(writer.argument(a) for a in args)
        for key, value in kwargs.items():
            case.call.kwargs[key].CopyFrom(writer.argument(value))
        case.call.results.append("out")
        return case, writer

    def case(self, op, target, sample, label):
        reason = left_out(op, sample)
        if reason:
            raise Unsupported(reason)
        case, writer = self.start(op, target, sample, label)
        writer.finish(case)
        random = target in RANDOM
        seed = SEED if random else None
        if random:
            case.seed = SEED
        double = compute(op, sample, writer.inputs, seed, fresh)
        single = None
        if label.startswith("float64") and not random:
            try:
                single = compute(op, sample, writer.inputs, seed, to_single)
            except RuntimeError:
                pass
        write_results(self.pb, case, [name for name, _, r in writer.inputs if r.requires_grad], double, single)
        return case

    def error_case(self, op, target, sample, label):
        if target in NUMBERS_FIRST and isinstance(sample.input, (bool, int, float)):
            raise Unsupported("a number as first operand, which the catalogue takes")
        try:
            op(sample.input, *sample.args, **sample.kwargs)
        except Exception:  # of any kind: that it fails is what is recorded
            pass
        else:
            raise Unsupported("an error that this PyTorch does not raise")
        case, writer = self.start(op, target, sample, label)
        case.fails = True
        writer.finish(case)
        return case


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--descriptors", required=True, help="a descriptor set of case.proto with its imports")
    parser.add_argument("--out", type=Path, default=ROOT / "tests/conformance/ops.cases.xz")
    parser.add_argument("--only", nargs="*", help="names of the database; the page is not written then")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    generator = Generator(*load_protos(args.descriptors))
    generator.run(args.only)
    size = write_cases(generator.case_pb, generator.cases, args.out)
    if not args.only:
        write_section("Operators", "From `torch.testing._internal.common_methods_invocations.op_db`.", generator.rows)
    print(f"{len(generator.rows.supported())} names, {len(generator.cases)} cases, {size / 1e6:.1f} MB,"
          f" {args.out.stat().st_size / 1e6:.1f} MB compressed")


if __name__ == "__main__":
    main()
