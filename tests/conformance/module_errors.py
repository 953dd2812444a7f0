"""Calls that PyTorch refuses: its databases have none for modules in 1.13, those of 2.x are among these."""

from dataclasses import dataclass

from recording import seed_generators

import torch

# Arguments that no module can be constructed with.
CONSTRUCTION = [
    ("AlphaDropout", {"p": 1.5}),
    ("BatchNorm2d", {}),
    ("Bilinear", {"in1_features": 0, "in2_features": 3, "out_features": 4}),
    ("Conv1d", {"in_channels": 3, "out_channels": 4, "kernel_size": 3, "groups": 2}),
    ("Conv2d", {"in_channels": 4, "out_channels": 3, "kernel_size": 3, "groups": 2}),
    ("Conv2d", {"in_channels": 3, "out_channels": 3, "kernel_size": 3, "padding": "sme"}),
    ("Conv2d", {"in_channels": 3, "out_channels": 3, "kernel_size": 3, "padding": "same", "stride": 2}),
    ("Conv3d", {"in_channels": 3, "out_channels": 3, "kernel_size": 3, "padding_mode": "mirror"}),
    ("ConvTranspose2d", {"in_channels": 3, "out_channels": 3, "kernel_size": 3, "padding_mode": "reflect"}),
    ("Dropout", {"p": -0.1}),
    ("Dropout2d", {"p": 2}),
    ("Embedding", {"num_embeddings": 4, "embedding_dim": 3, "padding_idx": 4}),
    ("Embedding", {"num_embeddings": 4, "embedding_dim": 3, "padding_idx": -5}),
    ("GroupNorm", {"num_groups": 3, "num_channels": 10}),
    ("GRU", {"input_size": 3, "hidden_size": 3, "dropout": 1.5}),
    ("GRU", {"input_size": 3, "hidden_size": 3, "proj_size": 2}),
    ("Hardtanh", {"min_val": 1.0, "max_val": 0.0}),
    ("Linear", {"in_features": 3}),
    ("Linear", {"in_features": -1, "out_features": 3}),
    ("LSTM", {"input_size": 3, "hidden_size": 3, "proj_size": 3}),
    ("LSTM", {"input_size": 3, "hidden_size": 3, "proj_size": -1}),
    ("MultiMarginLoss", {"p": 3}),
    ("MultiheadAttention", {"embed_dim": 5, "num_heads": 2}),
    ("RNN", {"input_size": 3, "hidden_size": 3, "nonlinearity": "sigmoid"}),
    ("TransformerEncoderLayer", {"d_model": 4, "nhead": 2, "activation": "tanh"}),
]

# Modules that are fine, and tensors that they cannot take.
CALLS = [
    ("AvgPool2d", {"kernel_size": 3}, [(3, 4)]),
    ("BatchNorm1d", {"num_features": 3}, [(2, 3, 4, 5)]),
    ("BatchNorm1d", {"num_features": 3}, [(1, 3)]),
    ("BatchNorm2d", {"num_features": 3}, [(2, 3, 4)]),
    ("BatchNorm2d", {"num_features": 3}, [(2, 4, 4, 4)]),
    ("BatchNorm3d", {"num_features": 3}, [(2, 3, 4, 4)]),
    ("BCELoss", {}, [(3,), (4,)]),
    ("Bilinear", {"in1_features": 2, "in2_features": 3, "out_features": 4}, [(5, 2), (5, 4)]),
    ("Conv1d", {"in_channels": 3, "out_channels": 4, "kernel_size": 3}, [(2, 4, 9)]),
    ("Conv2d", {"in_channels": 3, "out_channels": 4, "kernel_size": 3}, [(2, 3, 2, 2)]),
    ("Conv2d", {"in_channels": 3, "out_channels": 4, "kernel_size": 3}, [(3, 9)]),
    ("CosineEmbeddingLoss", {}, [(3, 4), (3, 5), (3,)]),
    ("CrossEntropyLoss", {}, [(3, 4), (3, 5)]),
    ("CrossEntropyLoss", {"label_smoothing": 1.5}, [(3, 4), (3, 4)]),
    ("GRU", {"input_size": 3, "hidden_size": 3}, [(2, 3, 3, 3)]),
    ("GRU", {"input_size": 3, "hidden_size": 4}, [(2, 3, 5)]),
    ("GRU", {"input_size": 3, "hidden_size": 4}, [(2, 3, 3), (1, 3, 5)]),
    ("GRU", {"input_size": 3, "hidden_size": 4}, [(2, 3), (1, 3, 4)]),
    ("GRUCell", {"input_size": 10, "hidden_size": 20}, [(3, 11)]),
    ("GRUCell", {"input_size": 10, "hidden_size": 20}, [(3, 10), (3, 21)]),
    ("GRUCell", {"input_size": 10, "hidden_size": 20}, [(3, 10), (5, 20)]),
    ("GRUCell", {"input_size": 10, "hidden_size": 20}, [(3, 10), (3, 1, 1, 20)]),
    ("InstanceNorm1d", {"num_features": 3}, [(2, 3, 4, 5)]),
    ("InstanceNorm2d", {"num_features": 3}, [(2, 3, 1, 1)]),
    ("KLDivLoss", {}, [(3, 4), (3, 5)]),
    ("LayerNorm", {"normalized_shape": 5}, [(3, 4)]),
    ("Linear", {"in_features": 3, "out_features": 4}, [(2, 4)]),
    ("LSTM", {"input_size": 3, "hidden_size": 4}, [(2, 3, 5)]),
    ("LSTMCell", {"input_size": 10, "hidden_size": 20}, [(3, 11)]),
    ("LSTMCell", {"input_size": 10, "hidden_size": 20}, [(3, 10), ((3, 21), (3, 21))]),
    ("LSTMCell", {"input_size": 10, "hidden_size": 20}, [(3, 10), ((5, 20), (5, 20))]),
    ("LSTMCell", {"input_size": 10, "hidden_size": 20}, [(3, 10), ((3, 1, 1, 20), (3, 1, 1, 20))]),
    ("MarginRankingLoss", {}, [(3,), (3, 4), (3,)]),
    ("MaxPool2d", {"kernel_size": 3, "padding": 2}, [(1, 3, 9, 9)]),
    ("MaxPool2d", {"kernel_size": 3}, [(3, 4)]),
    ("MultiheadAttention", {"embed_dim": 4, "num_heads": 2}, [(3, 2, 5), (3, 2, 5), (3, 2, 5)]),
    ("MultiheadAttention", {"embed_dim": 4, "num_heads": 2}, [(3, 2, 4), (3, 4), (3, 4)]),
    ("NLLLoss", {}, [(3, 4), (3,)]),
    ("PixelShuffle", {"upscale_factor": 3}, [(1, 4, 2, 2)]),
    ("PixelUnshuffle", {"downscale_factor": 3}, [(1, 4, 2, 2)]),
    ("PReLU", {"num_parameters": 3}, [(2, 4, 5)]),
    ("ReflectionPad1d", {"padding": 4}, [(2, 3, 4)]),
    ("ReflectionPad2d", {"padding": 3}, [(2, 3, 4)]),
    ("RNN", {"input_size": 3, "hidden_size": 4}, [(2, 3, 5)]),
    ("RNN", {"input_size": 3, "hidden_size": 4}, [(2, 3, 3), (2, 3, 4)]),
    ("RNNCell", {"input_size": 10, "hidden_size": 20}, [(3, 11)]),
    ("RNNCell", {"input_size": 10, "hidden_size": 20}, [(3, 10), (3, 21)]),
    ("RNNCell", {"input_size": 10, "hidden_size": 20}, [(3, 10), (5, 20)]),
    ("RNNCell", {"input_size": 10, "hidden_size": 20}, [(3, 10), (3, 1, 1, 20)]),
    ("Softmax2d", {}, [(3, 4)]),
    ("Transformer", {"d_model": 4, "nhead": 2, "num_encoder_layers": 1, "num_decoder_layers": 1, "dim_feedforward": 8},
     [(3, 2, 4), (3, 3, 4)]),
    ("TripletMarginLoss", {}, [(3, 4), (4,), (3, 4)]),
    ("Unflatten", {"dim": 1, "unflattened_size": (2, 3)}, [(2, 5)]),
]


@dataclass
class Error:
    """A constructor's arguments, and what the module is called with if it can be constructed."""

    label: str
    cls: type
    attributes: dict
    args: tuple | None = None


def raises(function, *args, **kwargs):
    try:
        function(*args, **kwargs)
    except Exception:  # of any kind: that it fails is what is recorded
        return True
    return False


def tensors(shape):
    return tuple(map(tensors, shape)) if shape and isinstance(shape[0], tuple) else torch.rand(shape)


def errors():
    seed_generators()
    for i, (name, attributes) in enumerate(CONSTRUCTION):
        cls = getattr(torch.nn, name)
        if not raises(cls, **attributes):
            raise AssertionError(f"{name}({attributes}) is none of PyTorch's errors")
        yield Error(f"construction_error_{i}", cls, attributes)
    for i, (name, attributes, shapes) in enumerate(CALLS):
        cls = getattr(torch.nn, name)
        args = tuple(map(tensors, shapes))
        if not raises(cls(**attributes), *args):
            raise AssertionError(f"{name}({attributes}) of {shapes} is none of PyTorch's errors")
        yield Error(f"call_error_{i}", cls, attributes, args)
