#!/usr/bin/python3
"""Writes torch_sequences.json: what PyTorch computes for the modules of sequences.

    /usr/bin/python3 tests/nn/generate_torch_sequences.py > tests/nn/torch_sequences.json

A case is a module by its attributes and a call. Weights and inputs are patterns (support.h has the same), so only sums
of outputs, gradients and gradients of gradients need to be stored. Where 1.13 reads a call otherwise than 2.x (floating
key_padding_mask beside attn_mask), there is no case.
"""
import itertools
import json

import torch
from torch import nn

SEED = 5


def pattern(shape, mul=7, add=3):
    count = torch.Size(shape).numel()
    return ((torch.arange(count, dtype=torch.float64) * mul + add) % 17 - 8).reshape(shape) / 8


def sums(x):
    x = x.detach()
    return [(x * pattern(x.shape, 3, 1)).sum().item(), (x * pattern(x.shape, 5, 2)).sum().item(), (x * x).sum().item()]


def fingerprint(x):
    """FNV-1a of a float32 tensor's bytes."""
    out = 0xCBF29CE484222325
    for byte in x.detach().contiguous().numpy().tobytes():
        out = ((out ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return out


def record(tensors):
    return [{"sizes": list(x.shape), "sums": sums(x)} for x in tensors]


def flat(output):
    if output is None:
        return []
    if isinstance(output, torch.Tensor):
        return [output]
    return [x for part in output for x in flat(part)]


def make_input(kind, shape, index):
    """A tensor of a call; a mask is not differentiated."""
    if kind == "tensor":
        return (pattern(shape, 7, index + 3) * 0.9).requires_grad_()
    if kind == "causal":
        return torch.triu(torch.full(shape, float("-inf"), dtype=torch.float64), 1)
    if kind == "bool":  # the first key is always seen
        return (pattern(shape, 5, 0) > 0.2) & (torch.arange(shape[-1]) > 0)
    return pattern(shape, 5, 1)  # "float"


class Case:
    def __init__(self, name, kind, attributes, inputs, flags=None, seed=-1, training=True, make=None, drop_flags=()):
        self.name, self.kind, self.attributes, self.inputs = name, kind, attributes, inputs
        self.flags, self.seed, self.training = flags or {}, seed, training
        self.make = make or (lambda: getattr(nn, kind)(**attributes))
        self.drop_flags = drop_flags  # hints that 1.13 does not know, and that change no number

    def call(self, module):
        tensors = [make_input(kind, shape, i) for i, (_, kind, shape) in enumerate(self.inputs)]
        arguments = {}
        for (name, _, _), x in zip(self.inputs, tensors):
            arguments[name] = (arguments[name], x) if name in arguments else x
        arguments.update({k: v for k, v in self.flags.items() if k not in self.drop_flags})
        if self.seed >= 0:
            torch.manual_seed(self.seed)
        output = module(**arguments)
        return flat(output), [x for x in tensors if x.requires_grad]

    def recorded(self):
        torch.manual_seed(SEED)
        seeded = self.make()
        fingerprints = [fingerprint(x) for x in seeded.state_dict().values()]
        next_draw = torch.rand(1, dtype=torch.float64).item()
        module = self.make().double().train(self.training)
        with torch.no_grad():
            for i, p in enumerate(module.parameters()):
                p.copy_(pattern(p.shape, 5, i + 1) * (0.3 + 0.01 * i))
        outputs, leaves = self.call(module)
        leaves += list(module.parameters())
        loss = sum((out * pattern(out.shape, 3, i + 1)).sum() for i, out in enumerate(outputs))
        first = torch.autograd.grad(loss, leaves, create_graph=True)
        curve = sum((g * pattern(g.shape, 5, i)).sum() for i, g in enumerate(first))
        second = torch.autograd.grad(curve, leaves, allow_unused=True)
        second = [torch.zeros_like(x) if g is None else g for g, x in zip(second, leaves)]
        return {
            "name": self.name,
            "type": self.kind,
            "attributes": self.attributes,
            "inputs": [{"name": name, "kind": kind, "sizes": sizes} for name, kind, sizes in self.inputs],
            "flags": self.flags,
            "seed": self.seed,
            "training": self.training,
            "outputs": record(outputs),
            "first": record(first),
            "second": record(second),
            "fingerprints": fingerprints,
            "next_draw": next_draw,
        }


def recurrent_cases():
    def layer(name, kind, states=False, unbatched=False, seed=-1, **options):
        attributes = {"input_size": 3, "hidden_size": 4, **options}
        ways = (2 if options.get("bidirectional") else 1) * options.get("num_layers", 1)
        shape = [5, 2, 3]
        if options.get("batch_first"):
            shape = [2, 5, 3]
        if unbatched:
            shape = [5, 3]
        inputs = [("input", "tensor", shape)]
        batch = [] if unbatched else [2]
        if states:
            inputs.append(("hx", "tensor", [ways] + batch + [options.get("proj_size") or 4]))
        if states and kind == "LSTM":
            inputs.append(("hx", "tensor", [ways] + batch + [4]))
        return Case(f"{kind}_{name}", kind, attributes, inputs, seed=seed)

    for kind in ("RNN", "LSTM", "GRU"):
        yield layer("plain", kind)
        yield layer("states", kind, states=True)
        yield layer("unbatched", kind, states=True, unbatched=True)
        yield layer("unbatched_batch_first", kind, unbatched=True, batch_first=True)
        yield layer("without_bias", kind, bias=False)
        yield layer("deep", kind, states=True, num_layers=2, bidirectional=True, batch_first=True)
        yield layer("dropout", kind, num_layers=3, dropout=0.5, seed=11)
        yield layer("dropout_bidirectional_batch_first", kind, num_layers=2, dropout=0.25, bidirectional=True,
                    batch_first=True, seed=3)
    yield layer("relu", "RNN", nonlinearity="relu", num_layers=2)
    yield layer("projected", "LSTM", proj_size=2, states=True)
    yield layer("projected_deep", "LSTM", proj_size=3, num_layers=2, bidirectional=True, states=True, bias=False)
    for kind in ("RNNCell", "LSTMCell", "GRUCell"):
        sizes = {"input_size": 3, "hidden_size": 4}
        states = 2 if kind == "LSTMCell" else 1
        yield Case(f"{kind}_plain", kind, sizes, [("input", "tensor", [2, 3])])
        yield Case(f"{kind}_states", kind, sizes, [("input", "tensor", [2, 3])] + [("hx", "tensor", [2, 4])] * states)
        yield Case(f"{kind}_unbatched", kind, {**sizes, "bias": False},
                   [("input", "tensor", [3])] + [("hx", "tensor", [4])] * states)
    yield Case("RNNCell_relu", "RNNCell", {**sizes, "nonlinearity": "relu"}, [("input", "tensor", [2, 3])])


def attention_cases():
    def attention(name, options=None, masks=(), flags=None, unbatched=False, seed=-1, key=(4, 2), drop_flags=()):
        options = {"embed_dim": 4, "num_heads": 2, **(options or {})}
        batch = [] if unbatched else [2]

        def sized(length, features):
            return [2, length, features] if options.get("batch_first") and not unbatched else [length] + batch + [features]

        inputs = [("query", "tensor", sized(3, 4)), ("key", "tensor", sized(4, options.get("kdim", 4))),
                  ("value", "tensor", sized(4, options.get("vdim", 4)))]
        return Case(f"MultiheadAttention_{name}", "MultiheadAttention", options, inputs + list(masks), flags, seed,
                    drop_flags=drop_flags)

    padding = ("key_padding_mask", "bool", [2, 4])
    yield attention("plain")
    yield attention("without_weights", flags={"need_weights": False})
    yield attention("weights_of_each_head", flags={"average_attn_weights": False})
    yield attention("unbatched", unbatched=True, masks=[("key_padding_mask", "bool", [4])])
    yield attention("unbatched_mask_of_each_head", unbatched=True, masks=[("attn_mask", "float", [2, 3, 4])])
    yield attention("batch_first", {"batch_first": True}, masks=[padding])
    yield attention("without_bias", {"bias": False})
    yield attention("other_sizes", {"kdim": 3, "vdim": 5})
    yield attention("other_sizes_without_bias", {"kdim": 3, "vdim": 5, "bias": False})
    for masks in itertools.product(("bool", "float"), ([3, 4], [4, 3, 4])):
        for weights in (True, False):
            name = f"{masks[0]}_mask_{len(masks[1])}d" + ("" if weights else "_without_weights")
            yield attention(name, masks=[("attn_mask", *masks)], flags={"need_weights": weights})
    yield attention("float_padding", masks=[("key_padding_mask", "float", [2, 4])])
    yield attention("both_masks", masks=[padding, ("attn_mask", "float", [3, 4])], flags={"need_weights": False})
    yield attention("causal_hint", masks=[("attn_mask", "causal", [3, 4])],
                    flags={"need_weights": False, "is_causal": True}, drop_flags=("is_causal",))
    yield attention("causal_hint_with_padding", masks=[("attn_mask", "causal", [3, 4]),
                                                       ("key_padding_mask", "bool", [2, 4])],
                    flags={"need_weights": False, "is_causal": True}, drop_flags=("is_causal",))
    extra = {"add_bias_kv": True, "add_zero_attn": True}
    yield attention("bias_kv", {"add_bias_kv": True}, masks=[padding])
    yield attention("zero_attn", {"add_zero_attn": True}, masks=[("attn_mask", "bool", [3, 4])])
    yield attention("both_extras", extra, masks=[padding, ("attn_mask", "float", [4, 3, 4])],
                    flags={"need_weights": False})
    yield attention("dropout", {"dropout": 0.5}, seed=7)
    yield attention("dropout_without_weights", {"dropout": 0.5, "batch_first": True}, flags={"need_weights": False},
                    seed=8)

    layer = {"d_model": 4, "nhead": 2, "dim_feedforward": 6}
    still = {**layer, "dropout": 0.0}
    src = [("src", "tensor", [3, 2, 4])]
    first = [("src", "tensor", [2, 3, 4])]
    pair = [("tgt", "tensor", [3, 2, 4]), ("memory", "tensor", [4, 2, 4])]
    pair_first = [("tgt", "tensor", [2, 3, 4]), ("memory", "tensor", [2, 4, 4])]
    causal = ("src_mask", "causal", [3, 3])

    kind = "TransformerEncoderLayer"
    yield Case(f"{kind}_plain", kind, still, src)
    yield Case(f"{kind}_gelu_norm_first", kind, {**still, "activation": "gelu", "norm_first": True}, src)
    yield Case(f"{kind}_masks", kind, {**still, "batch_first": True, "layer_norm_eps": 0.01},
               first + [causal, ("src_key_padding_mask", "bool", [2, 3])])
    yield Case(f"{kind}_causal_hint", kind, still, src + [causal], {"is_causal": True}, drop_flags=("is_causal",))
    yield Case(f"{kind}_unbatched", kind, still, [("src", "tensor", [3, 4])], training=False)
    yield Case(f"{kind}_dropout", kind, {**layer, "dropout": 0.3}, src, seed=4)
    yield Case(f"{kind}_dropout_batch_first", kind, {**layer, "dropout": 0.3, "batch_first": True}, first, seed=4)
    yield Case(f"{kind}_dropout_norm_first", kind,
               {**layer, "dropout": 0.3, "batch_first": True, "norm_first": True}, first, seed=4)

    kind = "TransformerDecoderLayer"
    yield Case(f"{kind}_plain", kind, still, pair)
    yield Case(f"{kind}_gelu_norm_first", kind, {**still, "activation": "gelu", "norm_first": True}, pair)
    yield Case(f"{kind}_masks", kind, {**still, "batch_first": True},
               pair_first + [("tgt_mask", "causal", [3, 3]), ("memory_mask", "bool", [3, 4]),
                             ("tgt_key_padding_mask", "bool", [2, 3])])
    yield Case(f"{kind}_dropout_batch_first", kind, {**layer, "dropout": 0.3, "batch_first": True}, pair_first, seed=4)

    def stack(name, kind, inputs, norm=False, num_layers=2, seed=-1, **options):
        def make():
            one = getattr(nn, kind + "Layer")(**{**still, **options})
            last = nn.LayerNorm(4, eps=options.get("layer_norm_eps", 1e-5)) if norm else None
            return getattr(nn, kind)(one, num_layers, last)

        attributes = {**still, **options, "num_layers": num_layers}
        if norm:
            attributes["norm"] = True
        return Case(f"{kind}_{name}", kind, attributes, inputs, seed=seed, make=make)

    yield stack("plain", "TransformerEncoder", src)
    yield stack("norm", "TransformerEncoder", first + [("mask", "causal", [3, 3])], norm=True, batch_first=True,
                norm_first=True, layer_norm_eps=0.01, num_layers=3)
    yield stack("padded", "TransformerEncoder", src + [("src_key_padding_mask", "bool", [2, 3])], norm=True)
    yield stack("dropout", "TransformerEncoder", first, batch_first=True, dropout=0.2, seed=2)
    yield stack("plain", "TransformerDecoder", pair)
    yield stack("norm", "TransformerDecoder",
                pair + [("tgt_mask", "causal", [3, 3]), ("memory_key_padding_mask", "bool", [2, 4])], norm=True)

    whole = {**still, "num_encoder_layers": 2, "num_decoder_layers": 1}
    both = [("src", "tensor", [4, 2, 4]), ("tgt", "tensor", [3, 2, 4])]
    yield Case("Transformer_plain", "Transformer", whole, both)
    yield Case("Transformer_masks", "Transformer", {**whole, "batch_first": True, "norm_first": True},
               [("src", "tensor", [2, 4, 4]), ("tgt", "tensor", [2, 3, 4]), ("src_mask", "float", [4, 4]),
                ("tgt_mask", "causal", [3, 3]), ("memory_mask", "float", [3, 4]),
                ("src_key_padding_mask", "bool", [2, 4]), ("memory_key_padding_mask", "bool", [2, 4])])
    yield Case("Transformer_unbatched", "Transformer", whole,
               [("src", "tensor", [4, 4]), ("tgt", "tensor", [3, 4]), ("tgt_mask", "causal", [3, 3])])
    yield Case("Transformer_dropout", "Transformer", {**whole, "dropout": 0.2, "batch_first": True},
               [("src", "tensor", [2, 4, 4]), ("tgt", "tensor", [2, 3, 4])], seed=9)


def main():
    torch.set_num_threads(1)
    cases = [json.dumps(case.recorded()) for case in itertools.chain(recurrent_cases(), attention_cases())]
    print("[\n" + ",\n".join(cases) + "\n]")


if __name__ == "__main__":
    main()
