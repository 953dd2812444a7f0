"""What an entry of PyTorch's operator database is called in our catalogue, and how its arguments are said there."""

import functools
import re
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[2]

# The database's name -> the catalogue's, where dropping "nn.functional." does not give it.
RENAMED = {
    "__getitem__": "getitem",
    "__radd__": "add",
    "__rdiv__": "div",
    "__rmatmul__": "matmul",
    "__rmod__": "remainder",
    "__rmul__": "mul",
    "__rpow__": "pow",
    "__rsub__": "rsub",
    "bool": "to",
    "byte": "to",
    "double": "to",
    "float": "to",
    "int": "to",
    "long": "to",
    "nn.functional._scaled_dot_product_attention": "scaled_dot_product_attention",
    "nn.functional.unfold": "im2col",
    "nn.functional.upsample_bilinear": "interpolate",
    "nn.functional.upsample_nearest": "interpolate",
    "split_with_sizes": "split",
    "T": "permute",
}

# Ours under the same name, but not the same function.
OTHERWISE = {
    "empty_like": "uninitialised memory has no values to compare",
    "native_batch_norm": "ours returns what its backward needs otherwise; batch_norm is covered",
    "as_strided": "PyTorch's is over the storage, ours over a row-major input",
    "as_strided_scatter": "PyTorch's is over the storage, ours over a row-major input",
}

REASONS = [
    (r"^jiterator_", "compiles CUDA code"),
    (r"^(fft\.|stft|istft)", "complex numbers"),
    (r"^(angle|chalf|complex|conj|conj_physical|imag|isreal|polar|real|resolve_conj|resolve_neg|sgn|H|mH|view_as_complex"
     r"|view_as_real)$", "complex numbers"),
    (r"^(sparse\.|to_sparse)", "sparse tensors"),
    (r"^(bfloat16|char|half|short)$", "a dtype that the engine does not compute in"),
    (r"^masked\.", "masked tensors: PyTorch's prototype"),
    (r"^(linalg\.|cholesky|geqrf|logdet|lu|matrix_exp|ormqr|pca_lowrank|pinverse|qr|svd|symeig|triangular_solve)",
     "linear algebra beyond products and vector norms is not in the catalogue"),
    (r"^(special\.|i0$|igamma|mvlgamma|erfinv|polygamma)", "special functions beyond the catalogue"),
    (r"^(bitwise_|gcd|lcm|__rand__|__ror__|__rxor__)", "arithmetic on bits and integers is not in the catalogue"),
    (r"^(empty|new_empty)", "uninitialised memory has no values to compare"),
]


def short_name(name):
    return name.removeprefix("nn.functional.")


@functools.cache
def catalogue():
    page = (ROOT / "docs/operators.md").read_text()
    operators = page.split("## Operators")[1].split("\n## ")[0]
    return set(re.findall(r"^- \*\*`([\w.]+)\(", operators, re.M))


def catalogue_name(op):
    """The operator of ours that replays it, or None."""
    name = RENAMED.get(op.name, short_name(op.name))
    return name if op.name not in OTHERWISE and name in catalogue() else None


def reason_for(op):
    if op.name in OTHERWISE:
        return OTHERWISE[op.name]
    for pattern, reason in REASONS:
        if re.search(pattern, op.name):
            return reason
    return "not in the catalogue"


def swapped(args, kwargs):
    return [args[1], args[0], *args[2:]], kwargs


def to_dtype(dtype):
    return lambda args, kwargs: ([args[0], dtype], kwargs)


def upsample(mode, **more):
    def adapt(args, kwargs):
        names = ("size", "scale_factor")
        given = dict(zip(names, args[1:])) | kwargs
        return [args[0]], given | {"mode": mode} | more
    return adapt


def where(args, kwargs):
    x, condition, other = args
    return [condition, x, other], kwargs


def einsum(args, kwargs):
    return [args[1], args[0]], kwargs


def linspace(args, kwargs):
    if kwargs.get("dtype", torch.float32) not in (torch.float32, torch.float64) and args[2] > 8:
        raise ValueError("1.13 counts integers in float vectors, 2.x one by one in double")
    return args, kwargs


def attention(args, kwargs):
    """2.x gives no attention weights; the output is the same."""
    return args, {k: v for k, v in kwargs.items() if k != "need_attn_weights"}


def reversed_dims(args, kwargs):
    return [args[0], tuple(reversed(range(args[0].dim())))], kwargs


def convert(args, kwargs):
    """to() in all its forms: what remains of them here is the dtype."""
    dtypes = [v for v in (*args[1:], *kwargs.values()) if isinstance(v, (torch.dtype, torch.Tensor))]
    dtype = dtypes[0].dtype if dtypes and isinstance(dtypes[0], torch.Tensor) else dtypes[0] if dtypes else args[0].dtype
    return [args[0], dtype], {}


def evaluating(position):
    """A graph's op follows the module's mode; PyTorch's function does not train unless told to."""
    def adapt(args, kwargs):
        return args, kwargs if len(args) > position else {"training": False} | kwargs
    return adapt


def legacy_loss(args, kwargs):
    for name in ("size_average", "reduce"):
        if kwargs.get(name) is not None:
            raise ValueError("the deprecated arguments size_average and reduce")
    return args, {k: v for k, v in kwargs.items() if k not in ("size_average", "reduce")}


# How an entry's arguments are said in the catalogue. A ValueError says why they cannot be.
CALLS = {
    "__rdiv__": swapped,
    "__rmatmul__": swapped,
    "__rmod__": swapped,
    "__rpow__": swapped,
    "bool": to_dtype(torch.bool),
    "byte": to_dtype(torch.uint8),
    "double": to_dtype(torch.float64),
    "einsum": einsum,
    "float": to_dtype(torch.float32),
    "int": to_dtype(torch.int32),
    "long": to_dtype(torch.int64),
    "linspace": linspace,
    "nn.functional._scaled_dot_product_attention": attention,
    "nn.functional.batch_norm": evaluating(5),
    "nn.functional.embedding": swapped,
    "nn.functional.feature_alpha_dropout": evaluating(2),
    "nn.functional.rrelu": evaluating(3),
    "nn.functional.upsample_bilinear": upsample("bilinear", align_corners=True),
    "nn.functional.upsample_nearest": upsample("nearest"),
    "polygamma": swapped,
    "T": reversed_dims,
    "to": convert,
    "where": where,
}

# What is computed, where it is not what the database calls: that has two results, detaches the number's place, or calls
# randn_like.
FUNCTIONS = {
    "nn.functional._scaled_dot_product_attention": lambda *args, **kwargs: (
        torch.nn.functional._scaled_dot_product_attention(*args, **kwargs)[0]),
    "__rpow__": lambda x, other: torch.pow(other, x),
    "rand_like": torch.rand_like,
}


def in_single(sample):
    """1.13 keeps a norm's order in float32, 2.x in float64: one that is the same in both."""
    if "ord" in sample.kwargs:
        sample.kwargs["ord"] = float(np.float32(sample.kwargs["ord"]))
    return sample


# Samples that say something else in 2.x, changed so that they do not.
SAMPLES = {
    "linalg.vector_norm": in_single,
}


# Arithmetic that takes a number as first operand, where PyTorch's functions take a tensor.
NUMBERS_FIRST = {"add", "div", "mul", "pow", "remainder", "rsub", "sub"}


def left_out(op, sample):
    """Why a sample's results are not what ours must be, or None."""
    if op.name == "polygamma" and not sample.input.is_floating_point():
        return "integers: PyTorch's values at poles are rounding noise"
    return None


def call_for(name):
    adapt = CALLS.get(name)
    if name.endswith("_loss") or name.startswith("nn.functional.binary_cross_entropy"):
        return legacy_loss if adapt is None else adapt
    return adapt
