"""What the recordings of operators and of modules share: rounding, cotangents, messages, the file."""

import io
import lzma
import random
import sys
import types
import unittest
from pathlib import Path

# The databases want a test helper that Debian does not package.
expecttest = types.ModuleType("expecttest")
expecttest.ACCEPT = False
expecttest.TestCase = unittest.TestCase
sys.modules["expecttest"] = expecttest

import numpy as np  # noqa: E402
import torch  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]

FORMAT_VERSION = 2
RESULT_BITS = 40  # of mantissa
INPUT_BITS = 23  # what float32 holds, too
SEED = 42  # the database seeds random operators with it, too
LARGE = 75_000  # elements: of tensors with more the file holds a part
LARGE_PART = 256  # elements of a large result, about
INPUTS, SUM = 2, 3  # orders of cotangent(), beside those of the first and the second gradients


class Unsupported(Exception):
    """A sample that the contract cannot say."""


def seed_generators():
    """Whatever the databases draw from. The order of sets is PYTHONHASHSEED's, which ./dev sets."""
    torch.manual_seed(SEED)
    np.random.seed(SEED)
    random.seed(SEED)


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
        self.inputs = []  # (name, tensor, rounded)

    def argument(self, value):
        pb = self.pb
        out = pb.Argument()
        if value is None:
            out.symbol = pb.SYMBOL_NONE
        elif isinstance(value, torch.Tensor):
            out.ref = self.add(value)
        elif value is Ellipsis:
            out.literal.string_value = "..."
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
            write_scalar(pb, value, out.literal)
        return out

    def add(self, tensor):
        check_tensor(tensor)
        for name, known, _ in self.inputs:
            if known is tensor:
                return name
        rounded = tensor.detach()
        if tensor.numel() > LARGE:
            if not tensor.is_floating_point():
                raise Unsupported("large inputs of integers")
            rounded = cotangent(INPUTS, len(self.inputs), tensor).requires_grad_(tensor.requires_grad)
        elif tensor.is_floating_point():
            rounded = round_mantissa(tensor, INPUT_BITS).requires_grad_(tensor.requires_grad)
        name = f"x{len(self.inputs)}"
        self.inputs.append((name, tensor, rounded))
        return name

    def finish(self, case):
        for name, _, rounded in self.inputs:
            out = case.inputs.add(name=name).tensor
            encode(self.pb, rounded, out)
            if rounded.numel() > LARGE:
                out.ClearField("data")  # the reader makes it again


def check_tensor(tensor):
    if tensor.device.type != "cpu":
        raise Unsupported("tensors of another device")
    if tensor.is_complex():
        raise Unsupported("complex numbers")
    if tensor.layout != torch.strided:
        raise Unsupported("sparse tensors")


def write_scalar(pb, value, literal):
    if isinstance(value, (bool, np.bool_)):
        literal.bool_value = bool(value)
    elif isinstance(value, (int, np.integer)):
        if not -2**63 <= value < 2**63:
            raise Unsupported("an integer beyond 64 bits")
        literal.int_value = int(value)
    elif isinstance(value, (float, np.floating)):
        literal.double_value = float(value)
    elif isinstance(value, str):
        literal.string_value = value
    elif isinstance(value, torch.dtype):
        literal.dtype = dtype_of(pb, value)
    else:
        raise Unsupported(f"an argument of type {type(value).__name__}")


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


def fresh(x):
    """A leaf of its own."""
    return x.detach().clone().requires_grad_(x.requires_grad)


def to_single(x):
    """The same in float32, if it is a float64."""
    return (x.detach().to(torch.float32) if x.dtype == torch.float64 else x.detach()).clone().requires_grad_(
        x.requires_grad)


class Once:
    """A conversion that gives the same tensor for the same tensor."""

    def __init__(self, convert):
        self.convert = convert
        self.made = {}

    def __call__(self, x):
        if id(x) not in self.made:
            self.made[id(x)] = self.convert(x)
        return self.made[id(x)]


def differentiate(outputs, wanted, twice=True):
    """Gradients and second gradients of the weighed outputs, by what is wanted; None where there is none."""
    grads = [None] * len(wanted)
    seconds = [None] * len(wanted)
    roots = [(i, y) for i, y in enumerate(outputs) if y.requires_grad and y.is_floating_point()]
    if roots and wanted:
        grads = list(torch.autograd.grad([y for _, y in roots], wanted, [cotangent(0, i, y) for i, y in roots],
                                         create_graph=twice, allow_unused=True))
        again = [(i, g) for i, g in enumerate(grads) if g is not None and g.requires_grad]
        if again:
            try:
                seconds = list(torch.autograd.grad([g for _, g in again], wanted,
                                                   [cotangent(1, i, g) for i, g in again], allow_unused=True))
            except RuntimeError as e:
                if "not implemented" not in str(e) and "once_differentiable" not in str(e):
                    raise
    return [solid(g) for g in grads], [solid(g) for g in seconds]


def solid(g):
    """PyTorch's zero tensors have no memory for NumPy to read."""
    return torch.zeros(g.shape, dtype=g.dtype) if g is not None and g._is_zerotensor() else g


def largest_difference(a, b):
    if a is None or b is None or a.shape != b.shape or not a.is_floating_point() or a.numel() == 0:
        return 0.0
    difference = (a.detach().to(torch.float64) - b.detach().to(torch.float64)).abs()
    difference = difference[torch.isfinite(difference)]
    return float(difference.max()) if difference.numel() else 0.0


def write_results(pb, case, names, double, single):
    """Outputs, gradients and second gradients, each with the distance of the float32 run if there is one."""
    outputs, grads, seconds = double
    if single is not None and [y.shape for y in single[0]] == [y.shape for y in outputs]:
        case.float32 = True
    else:
        single = ([None] * len(outputs), [None] * len(grads), [None] * len(seconds))
    for y, s in zip(outputs, single[0]):
        write_result(pb, case.outputs.add(), y, s)
    if any(g is not None for g in grads):
        for name, g, s in zip(names, grads, single[1]):
            write_result(pb, case.grads.add(name=name), g, s)
    if any(g is not None for g in seconds):
        for name, g, s in zip(names, seconds, single[2]):
            write_result(pb, case.second_grads.add(name=name), g, s)


def write_result(pb, result, y, single):
    if y is None:
        return
    error = largest_difference(y, single)
    # Up to a power of two: it is not the same in every run.
    result.float32_error = 2.0 ** np.ceil(np.log2(error)) if error > 0 else 0
    result.requires_grad = y.requires_grad and y.is_floating_point()
    if y.numel() > LARGE:
        write_part(pb, result, y.detach())
    else:
        encode(pb, y, result.tensor, RESULT_BITS)


def write_part(pb, result, y):
    """Of a large result: its sizes, an element every so often, and sums of all."""
    result.shape.extend(y.shape)
    result.stride = y.numel() // LARGE_PART
    result.sum = float((y * cotangent(SUM, 0, y)).sum())
    result.magnitude = float(y.abs().sum())
    encode(pb, y.reshape(-1)[::result.stride], result.tensor, RESULT_BITS)


def write_cases(case_pb, cases, path):
    """The whole file: xz over a header and the cases, each behind its length. Gives its size before compression."""
    buffer = io.BytesIO()
    header = case_pb.Header(version=FORMAT_VERSION, pytorch=pytorch_version(), cases=len(cases))
    for message in [header, *cases]:
        data = message.SerializeToString(deterministic=True)
        buffer.write(varint(len(data)))
        buffer.write(data)
    path.write_bytes(lzma.compress(buffer.getvalue(), preset=9 | lzma.PRESET_EXTREME))
    return len(buffer.getvalue())


def pytorch_version():
    return torch.__version__.split("a")[0].split("+")[0]


def varint(n):
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def load_protos(path):
    """The message classes, from a descriptor set that protoc wrote: no generated code is needed."""
    from google.protobuf import descriptor_pb2, descriptor_pool
    from google.protobuf.message_factory import MessageFactory
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(Path(path).read_bytes()).file:
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
