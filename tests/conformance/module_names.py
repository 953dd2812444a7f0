"""What a class of torch.nn is called in our catalogue, and how its constructor's arguments are said there."""

import functools
import re

import torch
import torch.nn.functional as F

from module_samples import parameter_default
from recording import INPUT_BITS, ROOT, Unsupported, check_tensor, encode, round_mantissa, write_scalar

# For whole classes: why they are not supported.
REASONS = [
    (r"^Lazy", "a definition says its shapes"),
    (r"^Fractional", "pooling by random windows is not in the catalogue"),
    (r"^EmbeddingBag", "bags of indices are not in the catalogue"),
]

DEPRECATED = ("size_average", "reduce")

# Functions that PyTorch also takes by name.
FUNCTION_NAMES = {F.relu: "relu", F.gelu: "gelu"}


@functools.cache
def catalogue():
    """The attributes of each module and loss."""
    page = (ROOT / "docs/operators.md").read_text()
    out = {}
    for title in ("Modules", "Losses"):
        for line in page.split(f"\n## {title}\n")[1].split("\n## ")[0].splitlines():
            if entry := re.match(r"- \*\*`(\w+)\(", line):
                attributes = out.setdefault(entry[1], [])
            elif attribute := re.match(r"  - `(\w+)` \(", line):
                attributes.append(attribute[1])
    return out


def reason_for(cls):
    """Why a class is not supported, or None if it is."""
    if cls.__name__ in catalogue():
        return None
    for pattern, reason in REASONS:
        if re.search(pattern, cls.__name__):
            return reason
    return "not in the catalogue"


def write_spec(pb, cls, arguments, spec):
    """What is constructed with these arguments, as a definition says it."""
    known = catalogue()[cls.__name__]
    spec.type = cls.__name__
    for name, value in arguments.items():
        if name in DEPRECATED:
            if value is not None:
                raise Unsupported("the deprecated arguments size_average and reduce")
            continue
        if value is None and parameter_default(cls, name) is None:
            continue
        if name not in known:
            raise Unsupported(f"the argument {name}")
        if name == "sparse" and value:
            raise Unsupported("sparse tensors")
        write_literal(pb, value, spec.attributes[name])


def write_literal(pb, value, literal):
    if value is None:
        literal.symbol = pb.SYMBOL_NONE
    elif isinstance(value, torch.Tensor):
        check_tensor(value)
        encode(pb, round_mantissa(value, INPUT_BITS) if value.is_floating_point() else value, literal.tensor)
    elif isinstance(value, (list, tuple)):
        if all(type(v) is int for v in value):
            literal.ints.values.extend(value)
            literal.ints.SetInParent()
        elif all(type(v) in (int, float) for v in value):
            literal.doubles.values.extend(value)
        else:
            for v in value:
                write_literal(pb, v, literal.list.items.add())
    elif callable(value) and value in FUNCTION_NAMES:
        literal.string_value = FUNCTION_NAMES[value]
    else:
        write_scalar(pb, value, literal)
