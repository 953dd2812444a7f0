#!/usr/bin/python3
"""Writes the modules' conformance cases: what PyTorch computes for the samples of its module and criterion databases.

    ./dev conformance        # rewrites tests/conformance/*.cases.xz and docs/conformance.md

Parameters are those that the module begins with, rounded like inputs; constant ones are spread out first, so that none
goes unseen.
"""

import argparse
import copy
import os
import warnings
from pathlib import Path

# The last bits of what PyTorch draws and computes are those of its vector instructions.
os.environ["ATEN_CPU_CAPABILITY"] = "avx2"

from recording import (INPUT_BITS, ROOT, SEED, CallWriter, Once, Unsupported, differentiate, encode, flatten, fresh,
                       largest_difference, load_protos, round_mantissa, seed_generators, substitute, to_single,
                       write_cases, write_result, write_results)

import torch

from generate import Generator as OperatorGenerator
from module_errors import errors
from module_functions import function_sample, is_function
from module_initials import initials
from module_names import reason_for, write_spec
from module_samples import constructor_arguments, database_samples, own_samples, test_samples
from names import catalogue_name, reason_for as operator_reason_for
from page import Rows, write_section

SOURCE = """From `torch.testing._internal.common_modules.module_db` and the module and criterion tests of
`torch.testing._internal.common_nn`; modules that these leave out, errors and first values from
tests/conformance/module_*.py."""
PATH = "module"  # of what the call calls


def is_loss(module):
    return isinstance(module, torch.nn.modules.loss._Loss)


def spread_out(module):
    """Rounds the state, and makes what is constant (a norm's weight) different in each element."""
    generator = torch.Generator().manual_seed(SEED)
    for tensor in module.state_dict().values():
        if not tensor.is_floating_point():
            continue
        if not is_loss(module) and tensor.numel() > 0 and bool((tensor == tensor.flatten()[0]).all()):
            tensor.add_(torch.rand(tensor.shape, generator=generator) - 0.5)
        tensor.copy_(round_mantissa(tensor, INPUT_BITS))


def compute(sample, inputs, convert, dtype):
    """(outputs, gradients, second gradients), and the buffers as they are then."""
    module = copy.deepcopy(sample.module).to(dtype).train(sample.training)
    once = Once(convert)
    args = substitute(sample.args, inputs, once)
    kwargs = substitute(sample.kwargs, inputs, once)
    torch.manual_seed(SEED)
    outputs = flatten(module(*args, **kwargs))
    wanted = [once(r) for _, _, r in inputs if r.requires_grad] + list(module.parameters())
    return (outputs, *differentiate(outputs, wanted, sample.twice)), list(module.buffers())


def draws(sample, inputs):
    """Whether the call takes random numbers."""
    torch.manual_seed(SEED)
    before = torch.get_rng_state()
    copy.deepcopy(sample.module).train(sample.training)(*substitute(sample.args, inputs, fresh),
                                                        **substitute(sample.kwargs, inputs, fresh))
    return not torch.equal(before, torch.get_rng_state())


def agree(double, single):
    """Whether both precisions drew the same: else one's results say nothing of the other's."""
    return all(largest_difference(y, s) < 1e-2 for y, s in zip(double[0], single[0]))


class Generator:
    def __init__(self, case_pb, pb):
        self.case_pb = case_pb
        self.pb = pb
        self.operators = OperatorGenerator(case_pb, pb)
        self.cases = []
        self.rows = Rows()

    def run(self):
        for cls, samples in database_samples():
            for sample in samples:
                self.add(cls, self.case, sample)
        for sample in test_samples():
            if is_function(sample.module):
                self.add_function(sample)
            else:
                self.add(type(sample.module), self.case, sample)
        for sample in own_samples():
            self.add(type(sample.module), self.case, sample)
        for error in errors():
            self.add(error.cls, self.error_case, error)
        for initial in initials():
            self.add(initial.cls, self.initial_case, initial)

    def add(self, cls, make, *args):
        name = f"nn.{cls.__name__}"
        row = self.rows.start(name)
        row["reason"] = reason_for(cls)
        if row["reason"]:
            return
        try:
            self.cases.append(make(name, *args))
            row["cases"] += 1
        except Unsupported as e:
            self.rows.leave(name, e)

    def add_function(self, sample):
        try:
            op, called = function_sample(sample)
            target = catalogue_name(op)
            row = self.rows.start(op.name)
            if target is None:
                row["reason"] = operator_reason_for(op)
                return
            self.cases.append(self.operators.case(op, target, called, f"float64_{sample.label}"))
            row["cases"] += 1
        except Unsupported as e:
            self.rows.leave(op.name, e)

    def start(self, name, label, cls, attributes):
        case = self.case_pb.Case(name=name, sample=label)
        write_spec(self.pb, cls, attributes, case.modules.add(path=PATH))
        return case

    def write_call(self, case, args, kwargs):
        writer = CallWriter(self.pb)
        case.call.module = PATH
        case.call.args.extend(writer.argument(a) for a in args)
        for key, value in kwargs.items():
            case.call.kwargs[key].CopyFrom(writer.argument(value))
        case.call.results.append("out")
        writer.finish(case)
        return writer.inputs

    def case(self, name, sample):
        module = sample.module
        case = self.start(name, sample.label, type(module), constructor_arguments(module))
        case.evaluating = not sample.training
        inputs = self.write_call(case, sample.args, sample.kwargs)
        spread_out(module)
        if not is_loss(module):  # a loss has its weights from its constructor
            self.write_state(case.state, module)
        random = draws(sample, inputs)
        if random:
            case.seed = SEED
        double, buffers = compute(sample, inputs, fresh, torch.float64)
        single, single_buffers = compute(sample, inputs, to_single, torch.float32)
        if random and not agree(double, single):
            single, single_buffers = None, [None] * len(buffers)
        names = [key for key, _, r in inputs if r.requires_grad]
        names += [f"{PATH}.{key}" for key, _ in module.named_parameters()]
        write_results(self.pb, case, names, double, single)
        if not is_loss(module):
            for (key, _), y, s in zip(module.named_buffers(), buffers, single_buffers):
                write_result(self.pb, case.buffers.add(name=f"{PATH}.{key}"), y, s)
        return case

    def error_case(self, name, error):
        case = self.start(name, error.label, error.cls, error.attributes)
        case.fails = True
        if error.args is not None:
            self.write_call(case, error.args, {})
        return case

    def initial_case(self, name, initial):
        case = self.start(name, initial.label, initial.cls, initial.attributes)
        case.seed = SEED
        case.ulps = initial.ulps
        self.write_state(case.initial, initial.module)
        return case

    def write_state(self, out, module):
        for key, tensor in module.state_dict().items():
            encode(self.pb, tensor, out.add(name=f"{PATH}.{key}").tensor)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--descriptors", required=True, help="a descriptor set of case.proto with its imports")
    parser.add_argument("--out", type=Path, default=ROOT / "tests/conformance/modules.cases.xz")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    generator = Generator(*load_protos(args.descriptors))
    generator.run()
    size = write_cases(generator.case_pb, generator.cases, args.out)
    write_section("Modules and losses", SOURCE, generator.rows)
    print(f"{len(generator.rows.supported())} names, {len(generator.cases)} cases, {size / 1e6:.1f} MB,"
          f" {args.out.stat().st_size / 1e6:.1f} MB compressed")


if __name__ == "__main__":
    main()
