#!/usr/bin/python3
"""Writes the conformance cases: what PyTorch computes for the samples of its operator database.

    ./dev conformance        # rewrites tests/conformance/ops.cases.xz and docs/conformance.md

Needs Debian's python3-torch and python3-protobuf. Inputs are rounded to a few bits of mantissa, before anything is
computed, and results to 40 bits, so that the file compresses.
"""

import argparse
import io
import lzma
import sys
import types
import unittest
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# The database wants a test helper that Debian does not package.
expecttest = types.ModuleType("expecttest")
expecttest.ACCEPT = False
expecttest.TestCase = unittest.TestCase
sys.modules["expecttest"] = expecttest

import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch.testing._internal import common_methods_invocations as database  # noqa: E402

from names import FUNCTIONS, NUMBERS_FIRST, SAMPLES, call_for, catalogue_name, left_out, reason_for  # noqa: E402

FORMAT_VERSION = 1
RESULT_BITS = 40  # of mantissa
INPUT_BITS = 23  # what float32 holds, too
SEED = 42  # the database seeds random operators with it, too


class Unsupported(Exception):
    """A sample that the contract cannot say."""


def round_mantissa(x, bits):
    """x with its mantissa rounded to so many bits; NaN, infinities and zeros stay."""
    array = x.detach().reshape(-1).numpy().astype(np.float64)  # flat: NumPy has 32 dimensions at most
    mantissa, exponent = np.frexp(array)
    with np.errstate(all="ignore"):
        rounded = np.ldexp(np.round(np.ldexp(mantissa, bits)), exponent - bits)
    keep = np.isnan(array) | np.isinf(array) | (array == 0) | np.isinf(rounded)
    return torch.from_numpy(np.where(keep, array, rounded)).to(x.dtype).reshape(x.shape)


def cotangent(order, index, like):
    """Dyadic numbers in [-1, 1) that any reader can make again: see cotangent() in replay.cc."""
    i = torch.arange(like.numel(), dtype=torch.int64)
    bits = (i * 40503 + (order * 31 + index) * 9973 + 12345) % 65536
    return (bits.to(torch.float64) / 32768 - 1).to(like.dtype).reshape(like.shape)


class CallWriter:
    """Turns a sample's arguments into a Call whose tensors are named inputs."""

    def __init__(self, pb):
        self.pb = pb
        self.inputs = []  # (name, tensor)

    def argument(self, value):
        pb = self.pb
        out = pb.Argument()
        if value is None:
            out.symbol = pb.SYMBOL_NONE
        elif isinstance(value, torch.Tensor):
            out.ref = self.add(value)
        elif isinstance(value, (bool, np.bool_)):
            out.literal.bool_value = bool(value)
        elif isinstance(value, (int, np.integer)):
            if not -2**63 <= value < 2**63:
                raise Unsupported("an integer beyond 64 bits")
            out.literal.int_value = int(value)
        elif isinstance(value, (float, np.floating)):
            out.literal.double_value = float(value)
        elif isinstance(value, str):
            out.literal.string_value = value
        elif value is Ellipsis:
            out.literal.string_value = "..."
        elif isinstance(value, torch.dtype):
            out.literal.dtype = dtype_of(pb, value)
        elif isinstance(value, slice):
            for part in ("start", "stop", "step"):
                if getattr(value, part) is not None:
                    getattr(out.slice, part).CopyFrom(self.argument(getattr(value, part)))
            out.slice.SetInParent()
        elif isinstance(value, list) and value and all(type(v) is int for v in value):
            out.literal.ints.values.extend(value)
        elif isinstance(value, (list, tuple, torch.Size)):
            out.list.items.extend(self.argument(v) for v in value)
            out.list.SetInParent()
        else:
            raise Unsupported(f"an argument of type {type(value).__name__}")
        return out

    def add(self, tensor):
        if tensor.device.type != "cpu":
            raise Unsupported("tensors of another device")
        if tensor.is_complex():
            raise Unsupported("complex numbers")
        if tensor.layout != torch.strided:
            raise Unsupported("sparse tensors")
        for name, known, _ in self.inputs:
            if known is tensor:
                return name
        rounded = tensor.detach()
        if tensor.is_floating_point():
            rounded = round_mantissa(tensor, INPUT_BITS).requires_grad_(tensor.requires_grad)
        name = f"x{len(self.inputs)}"
        self.inputs.append((name, tensor, rounded))
        return name


DTYPES = {
    torch.float32: "FLOAT32", torch.float64: "FLOAT64", torch.int64: "INT64", torch.int32: "INT32",
    torch.uint8: "UINT8", torch.bool: "BOOL",
}


def dtype_of(pb, dtype):
    if dtype not in DTYPES:
        raise Unsupported(f"dtype {str(dtype).removeprefix('torch.')}")
    return getattr(pb, "DATA_TYPE_" + DTYPES[dtype])


def encode(pb, tensor, out, bits=None):
    tensor = tensor.detach().clone()  # zeros that PyTorch only says to be there get memory
    out.dtype = dtype_of(pb, tensor.dtype)
    out.shape.extend(tensor.shape)
    if bits is not None and tensor.dtype == torch.float64:
        tensor = round_mantissa(tensor, bits)
    out.data = tensor.reshape(-1).numpy().tobytes()


def substitute(value, inputs, convert):
    """The same arguments with the rounded tensors in place of the sample's."""
    if isinstance(value, torch.Tensor):
        for _, known, rounded in inputs:
            if known is value:
                return convert(rounded)
    if isinstance(value, (list, tuple)):
        items = [substitute(v, inputs, convert) for v in value]
        return type(value)(items) if type(value) in (list, tuple) else value
    if isinstance(value, dict):
        return {k: substitute(v, inputs, convert) for k, v in value.items()}
    return value


def flatten(value):
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, (list, tuple)):
        return [x for v in value for x in flatten(v)]
    if value is None:
        return []
    raise Unsupported(f"a result of type {type(value).__name__}")


def compute(op, sample, inputs, seed, convert):
    """Outputs, gradients and second gradients, by input; None where there is none."""
    converted = {}

    def once(x):
        if id(x) not in converted:
            converted[id(x)] = convert(x)
        return converted[id(x)]

    x = substitute(sample.input, inputs, once)
    args = substitute(sample.args, inputs, once)
    kwargs = substitute(sample.kwargs, inputs, once)
    if seed is not None:
        torch.manual_seed(seed)
    outputs = flatten(FUNCTIONS.get(op.name, op)(x, *args, **kwargs))
    wanted = [once(r) for _, _, r in inputs if r.requires_grad]
    grads = [None] * len(wanted)
    seconds = [None] * len(wanted)
    roots = [(i, y) for i, y in enumerate(outputs) if y.requires_grad and y.is_floating_point()]
    if roots and wanted:
        grads = list(torch.autograd.grad([y for _, y in roots], wanted, [cotangent(0, i, y) for i, y in roots],
                                         create_graph=True, allow_unused=True))
        again = [(i, g) for i, g in enumerate(grads) if g is not None and g.requires_grad]
        if again:
            try:
                seconds = list(torch.autograd.grad([g for _, g in again], wanted,
                                                   [cotangent(1, i, g) for i, g in again], allow_unused=True))
            except RuntimeError as e:
                if "not implemented" not in str(e) and "once_differentiable" not in str(e):
                    raise
    return outputs, [solid(g) for g in grads], [solid(g) for g in seconds]


def solid(g):
    """PyTorch's zero tensors have no memory for NumPy to read."""
    return torch.zeros(g.shape, dtype=g.dtype) if g is not None and g._is_zerotensor() else g


def largest_difference(a, b):
    if a is None or b is None or a.shape != b.shape or not a.is_floating_point() or a.numel() == 0:
        return 0.0
    difference = (a.detach().to(torch.float64) - b.detach().to(torch.float64)).abs()
    difference = difference[torch.isfinite(difference)]
    return float(difference.max()) if difference.numel() else 0.0


class Generator:
    def __init__(self, case_pb, pb):
        self.case_pb = case_pb
        self.pb = pb
        self.cases = []
        self.rows = {}  # name -> (cases, reason, skipped {reason: count})

    def run(self, only=None):
        for op in database.op_db:
            row = self.rows.setdefault(op.name, {"cases": 0, "reason": None, "left": {}})
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
            torch.manual_seed(SEED)
            np.random.seed(SEED)
            for i, sample in enumerate(op.sample_inputs("cpu", dtype, requires_grad=grad)):
                sample = SAMPLES.get(op.name, lambda given: given)(sample)
                label = f"{str(dtype).removeprefix('torch.')}_{i}"
                try:
                    self.cases.append(self.case(op, target, sample, label))
                    made += 1
                except (RuntimeError, IndexError) as e:
                    raise RuntimeError(f"{op.name} {label}: {sample}") from e
                except Unsupported as e:
                    row["left"][str(e)] = row["left"].get(str(e), 0) + 1
        if op.error_inputs_func is not None:
            for i, error in enumerate(op.error_inputs("cpu")):
                try:
                    self.cases.append(self.error_case(op, target, error.sample_input, f"error_{i}"))
                    made += 1
                except Unsupported as e:
                    row["left"][str(e)] = row["left"].get(str(e), 0) + 1
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

    def finish_inputs(self, case, writer):
        for name, _, rounded in writer.inputs:
            entry = case.inputs.add(name=name)
            encode(self.pb, rounded, entry.tensor)

    def case(self, op, target, sample, label):
        reason = left_out(op, sample)
        if reason:
            raise Unsupported(reason)
        case, writer = self.start(op, target, sample, label)
        self.finish_inputs(case, writer)
        random = target in RANDOM
        seed = SEED if random else None
        if random:
            case.seed = SEED
        fresh = lambda x: x.detach().clone().requires_grad_(x.requires_grad)  # noqa: E731
        outputs, grads, seconds = compute(op, sample, writer.inputs, seed, fresh)
        single = None
        if label.startswith("float64") and not random:
            to_single = lambda x: (x.detach().to(torch.float32) if x.dtype == torch.float64 else x.detach()  # noqa: E731
                                   ).clone().requires_grad_(x.requires_grad)
            try:
                single = compute(op, sample, writer.inputs, seed, to_single)
            except RuntimeError:
                pass
        if single is not None and [y.shape for y in single[0]] == [y.shape for y in outputs]:
            case.float32 = True
        else:
            single = ([None] * len(outputs), [None] * len(grads), [None] * len(seconds))
        for y, s in zip(outputs, single[0]):
            encode(self.pb, y, self.result(case.outputs.add(), y, s).tensor, RESULT_BITS)
        names = [name for name, _, r in writer.inputs if r.requires_grad]
        if any(g is not None for g in grads):
            for name, g, s in zip(names, grads, single[1]):
                self.gradient(case.grads.add(name=name), g, s)
        if any(g is not None for g in seconds):
            for name, g, s in zip(names, seconds, single[2]):
                self.gradient(case.second_grads.add(name=name), g, s)
        return case

    def gradient(self, result, g, single):
        if g is not None:
            encode(self.pb, g, self.result(result, g, single).tensor, RESULT_BITS)

    @staticmethod
    def result(result, y, single):
        error = largest_difference(y, single)
        # Up to a power of two: it is not the same in every run.
        result.float32_error = 2.0 ** np.ceil(np.log2(error)) if error > 0 else 0
        result.requires_grad = y.requires_grad and y.is_floating_point()
        return result

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
        self.finish_inputs(case, writer)
        return case

    def write(self, path):
        buffer = io.BytesIO()
        version = torch.__version__.split("a")[0].split("+")[0]
        messages = [self.case_pb.Header(version=FORMAT_VERSION, pytorch=version, cases=len(self.cases)), *self.cases]
        for message in messages:
            data = message.SerializeToString(deterministic=True)
            buffer.write(varint(len(data)))
            buffer.write(data)
        path.write_bytes(lzma.compress(buffer.getvalue(), preset=9 | lzma.PRESET_EXTREME))
        return len(buffer.getvalue())


def varint(n):
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


RANDOM = {"dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout", "rrelu", "rand_like",
          "randn", "randn_like", "randint_like", "bernoulli", "scaled_dot_product_attention"}


def load_protos(directory):
    """The message classes, from a descriptor set that protoc wrote: no generated code is needed."""
    from google.protobuf import descriptor_pb2, descriptor_pool
    from google.protobuf.message_factory import MessageFactory
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(Path(directory).read_bytes()).file:
        pool.Add(file)
    factory = MessageFactory(pool)

    class Messages:
        def __init__(self, package):
            self.package = package

        def __getattr__(self, name):
            full = f"{self.package}.{name}"
            try:
                return factory.GetPrototype(pool.FindMessageTypeByName(full))
            except KeyError:
                pass
            for enum in ("Symbol", "DataType"):
                values = pool.FindEnumTypeByName(f"{self.package}.{enum}").values_by_name
                if name in values:
                    return values[name].number
            raise AttributeError(full)

    return Messages("tapewire.conformance"), Messages("tapewire.v1")


def write_page(generator, path):
    supported = {n: r for n, r in generator.rows.items() if r["cases"]}
    lines = [
        "# Conformance with PyTorch",
        "",
        f"Generated by `./dev conformance` from the operator database of PyTorch {torch.__version__.split('a')[0]}"
        " (`torch.testing._internal.common_methods_invocations.op_db`).",
        "`./dev test conformance` replays every case in the engine and over gRPC: outputs, gradients, gradients of"
        " gradients, expected errors; float64 cases again in float32.",
        "",
        f"{len(supported)} of {len(generator.rows)} names are supported,"
        f" with {sum(r['cases'] for r in supported.values())} cases.",
        "",
        "| name | supported | cases | not covered |",
        "|---|---|---:|---|",
    ]
    for name in sorted(generator.rows):
        row = generator.rows[name]
        if row["cases"]:
            left = "; ".join(f"{count} samples: {why}" for why, count in sorted(row["left"].items()))
            lines.append(f"| {name} | yes | {row['cases']} | {left} |")
        else:
            left = row["reason"] or "; ".join(sorted(row["left"]))
            lines.append(f"| {name} | no | 0 | {left} |")
    path.write_text("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--descriptors", required=True, help="a descriptor set of case.proto with its imports")
    parser.add_argument("--out", type=Path, default=ROOT / "tests/conformance/ops.cases.xz")
    parser.add_argument("--page", type=Path, default=ROOT / "docs/conformance.md")
    parser.add_argument("--only", nargs="*", help="names of the database; the page is not written then")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    generator = Generator(*load_protos(args.descriptors))
    generator.run(args.only)
    size = generator.write(args.out)
    if not args.only:
        write_page(generator, args.page)
    names = sum(1 for r in generator.rows.values() if r["cases"])
    print(f"{names} names, {len(generator.cases)} cases, {size / 1e6:.1f} MB, {args.out.stat().st_size / 1e6:.1f} MB compressed")


if __name__ == "__main__":
    main()
