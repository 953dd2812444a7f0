"""Modules whose first values are drawn: large enough that normal numbers come from vectors, too."""

from dataclasses import dataclass

from recording import SEED

import torch

INITIALS = [
    ("Bilinear", {"in1_features": 5, "in2_features": 4, "out_features": 3}),
    ("Conv1d", {"in_channels": 4, "out_channels": 6, "kernel_size": 3, "groups": 2}),
    ("Conv2d", {"in_channels": 3, "out_channels": 8, "kernel_size": 5}),
    ("Conv2d", {"in_channels": 3, "out_channels": 8, "kernel_size": (3, 2), "bias": False}),
    ("Conv3d", {"in_channels": 2, "out_channels": 4, "kernel_size": 3}),
    ("ConvTranspose1d", {"in_channels": 4, "out_channels": 6, "kernel_size": 3}),
    ("ConvTranspose2d", {"in_channels": 4, "out_channels": 6, "kernel_size": 3, "groups": 2}),
    ("ConvTranspose3d", {"in_channels": 2, "out_channels": 4, "kernel_size": 3}),
    ("BatchNorm2d", {"num_features": 5}),
    ("Embedding", {"num_embeddings": 3, "embedding_dim": 4}),
    ("Embedding", {"num_embeddings": 20, "embedding_dim": 9}),
    ("Embedding", {"num_embeddings": 20, "embedding_dim": 8, "padding_idx": -3}),
    ("GroupNorm", {"num_groups": 2, "num_channels": 6}),
    ("GRU", {"input_size": 5, "hidden_size": 7, "num_layers": 2, "bidirectional": True}),
    ("GRUCell", {"input_size": 5, "hidden_size": 7}),
    ("InstanceNorm2d", {"num_features": 5, "affine": True, "track_running_stats": True}),
    ("LayerNorm", {"normalized_shape": (3, 4)}),
    ("Linear", {"in_features": 40, "out_features": 30}),
    ("Linear", {"in_features": 7, "out_features": 5, "bias": False}),
    ("LSTM", {"input_size": 5, "hidden_size": 7, "num_layers": 2}),
    ("LSTM", {"input_size": 5, "hidden_size": 7, "bidirectional": True, "proj_size": 3}),
    ("LSTMCell", {"input_size": 5, "hidden_size": 7}),
    ("MultiheadAttention", {"embed_dim": 8, "num_heads": 2}),
    ("MultiheadAttention", {"embed_dim": 8, "num_heads": 2, "kdim": 6, "vdim": 5}),
    ("MultiheadAttention", {"embed_dim": 20, "num_heads": 2, "add_bias_kv": True}),
    ("PReLU", {"num_parameters": 3}),
    ("RNN", {"input_size": 5, "hidden_size": 7, "num_layers": 2}),
    ("RNNCell", {"input_size": 5, "hidden_size": 7}),
    ("Transformer", {"d_model": 8, "nhead": 2, "num_encoder_layers": 2, "num_decoder_layers": 2,
                     "dim_feedforward": 12}),
    ("TransformerDecoderLayer", {"d_model": 8, "nhead": 2, "dim_feedforward": 12}),
    ("TransformerEncoderLayer", {"d_model": 8, "nhead": 2, "dim_feedforward": 12}),
]


# PyTorch's vector instructions approximate normal numbers, where it draws 16 and more.
NORMAL_ULPS = 8


@dataclass
class Initial:
    """A module as it is made in float32 of SEED."""

    label: str
    cls: type
    attributes: dict
    module: torch.nn.Module
    ulps: int  # of the largest value, that each may be away


def initials():
    torch.set_default_dtype(torch.float32)
    for i, (name, attributes) in enumerate(INITIALS):
        cls = getattr(torch.nn, name)
        torch.manual_seed(SEED)
        normal = name == "Embedding" or attributes.get("add_bias_kv", False)
        yield Initial(f"initial_{i}", cls, attributes, cls(**attributes), NORMAL_ULPS if normal else 0)
    torch.set_default_dtype(torch.float64)
