"""What the networks are trained on: digits of client/examples/mnist/data, and the text of LICENSE.

data.cc makes the same bits.
"""

import gzip
from functools import lru_cache
from pathlib import Path

import numpy
import torch

ROOT = Path(__file__).resolve().parents[2]
LENGTH = 32  # of a text's window
APART = 37  # where one window starts after another


@lru_cache(None)
def pixels():
    """uint8 [N, 28, 28]."""
    data = gzip.decompress((ROOT / "client/examples/mnist/data/mnist-train-images-idx3-ubyte.gz").read_bytes())
    return torch.from_numpy(numpy.frombuffer(data, numpy.uint8, offset=16).reshape(-1, 28, 28).copy())


@lru_cache(None)
def labels():
    """int64 [N]."""
    data = gzip.decompress((ROOT / "client/examples/mnist/data/mnist-train-labels-idx1-ubyte.gz").read_bytes())
    return torch.from_numpy(numpy.frombuffer(data, numpy.uint8, offset=8).astype(numpy.int64))


@lru_cache(None)
def text():
    """int64 [bytes]."""
    return torch.tensor(list((ROOT / "LICENSE").read_bytes()))


def images(batch, step, dtype):
    """Grey images [batch, 1, 28, 28], normalised in float32."""
    chosen = pixels()[batch * step : batch * (step + 1)]
    return ((chosen.float() / 255 - 0.1307) / 0.3081).unsqueeze(1).to(dtype)


def windows(batch, step):
    """Rows of LENGTH + 1 bytes of the text, APART from each other; the text goes round."""
    starts = torch.arange(batch * step, batch * (step + 1)) * APART
    return text()[(starts.unsqueeze(1) + torch.arange(LENGTH + 1)) % len(text())]


def digits(batch, step, dtype):
    """Images, and which digit each is."""
    return [images(batch, step, dtype)], labels()[batch * step : batch * (step + 1)]


def strokes(batch, step, dtype):
    """Images, and which of their pixels are ink."""
    chosen = pixels()[batch * step : batch * (step + 1)]
    return [images(batch, step, dtype)], (chosen >= 128).unsqueeze(1).to(dtype)


def next_bytes(batch, step, dtype):
    """Bytes of a text, and the ones that follow each."""
    rows = windows(batch, step)
    return [rows[:, :-1].contiguous()], rows[:, 1:].contiguous()


def reversal(batch, step, dtype):
    """Bytes of a text, the same backwards behind a zero, and backwards."""
    rows = windows(batch, step)[:, :-1]
    backwards = rows.flip(1)
    said = torch.cat([torch.zeros(batch, 1, dtype=torch.int64), backwards[:, :-1]], 1)
    return [rows.contiguous(), said], backwards


RECIPES = {"digits": digits, "strokes": strokes, "text": next_bytes, "reversal": reversal}
