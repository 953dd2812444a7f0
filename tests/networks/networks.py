"""The ten networks as one writes them for PyTorch, and how each is trained.

Each is the network of its definition file under client/examples: the same names, the same order of registration, the
same optimizer and scheduler.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Callable, Optional

import torch
from torch import nn
from torch.nn import functional as F
from torch.optim import lr_scheduler


def mlp():
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 64), nn.Sigmoid(),
        nn.Linear(64, 10))


def lenet():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2),
        nn.Conv2d(16, 120, 5), nn.Tanh(), nn.Flatten(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10))


class Mnist(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 10, 5)
        self.conv2 = nn.Conv2d(10, 20, 5)
        self.conv2_drop = nn.Dropout2d()
        self.fc1 = nn.Linear(320, 50)
        self.fc2 = nn.Linear(50, 10)

    def forward(self, x):
        x = F.relu(F.max_pool2d(self.conv1(x), 2))
        x = F.relu(F.max_pool2d(self.conv2_drop(self.conv2(x)), 2))
        x = F.relu(self.fc1(x.view(-1, 320)))
        return F.log_softmax(self.fc2(F.dropout(x, training=self.training)), 1)


def conv3x3(inputs, outputs, stride=1):
    return nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)


class BasicBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = conv3x3(inputs, outputs, stride)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = conv3x3(outputs, outputs)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(out + (x if self.downsample is None else self.downsample(x)))


class ResNet18(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = conv3x3(1, 16)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(BasicBlock(16, 16, 1), BasicBlock(16, 16, 1))
        self.layer2 = nn.Sequential(BasicBlock(16, 32, 2), BasicBlock(32, 32, 1))
        self.layer3 = nn.Sequential(BasicBlock(32, 64, 2), BasicBlock(64, 64, 1))
        self.layer4 = nn.Sequential(BasicBlock(64, 128, 2), BasicBlock(128, 128, 1))
        self.fc = nn.Linear(128, 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))


def conv_bn_relu6(inputs, outputs, kernel, stride=1, groups=1):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs), nn.ReLU6())


class InvertedResidual(nn.Module):
    def __init__(self, inputs, outputs, stride, expansion):
        super().__init__()
        hidden = inputs * expansion
        layers = [conv_bn_relu6(inputs, hidden, 1)] if expansion != 1 else []
        layers += [conv_bn_relu6(hidden, hidden, 3, stride, groups=hidden),
                   nn.Conv2d(hidden, outputs, 1, bias=False), nn.BatchNorm2d(outputs)]
        self.conv = nn.Sequential(*layers)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x):
        return x + self.conv(x) if self.residual else self.conv(x)


class MobileNetV2(nn.Module):
    def __init__(self):
        super().__init__()
        blocks = [(8, 8, 1, 1), (8, 12, 1, 6), (12, 12, 1, 6), (12, 16, 2, 6), (16, 16, 1, 6), (16, 32, 2, 6),
                  (32, 32, 1, 6)]
        self.features = nn.Sequential(
            conv_bn_relu6(1, 8, 3, 2), *(InvertedResidual(*block) for block in blocks), conv_bn_relu6(32, 128, 1))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(128, 10))

    def forward(self, x):
        return self.classifier(torch.flatten(F.adaptive_avg_pool2d(self.features(x), 1), 1))


def double_conv(inputs, outputs):
    return nn.Sequential(conv3x3(inputs, outputs), nn.BatchNorm2d(outputs), nn.ReLU(),
                         conv3x3(outputs, outputs), nn.BatchNorm2d(outputs), nn.ReLU())


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down1 = double_conv(1, 8)
        self.down2 = double_conv(8, 16)
        self.bottom = double_conv(16, 32)
        self.up2 = nn.ConvTranspose2d(32, 16, 2, stride=2)
        self.merge2 = double_conv(32, 16)
        self.up1 = nn.ConvTranspose2d(16, 8, 2, stride=2)
        self.merge1 = double_conv(16, 8)
        self.head = nn.Conv2d(8, 1, 1)

    def forward(self, x):
        d1 = self.down1(x)
        d2 = self.down2(F.max_pool2d(d1, 2))
        x = self.up2(self.bottom(F.max_pool2d(d2, 2)))
        x = self.up1(self.merge2(torch.cat([d2, x], 1)))
        return self.head(self.merge1(torch.cat([d1, x], 1)))


class LstmClassifier(nn.Module):
    """Reads a digit row by row."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(28, 48, num_layers=2, batch_first=True)
        self.fc = nn.Linear(48, 10)

    def forward(self, x):
        sequence, _ = self.lstm(torch.reshape(x, [-1, 28, 28]))
        return self.fc(sequence[:, -1])


class GruSeq2Seq(nn.Module):
    """The decoder is given what it should have said so far: teacher forcing. Logits [N, 128, T]."""

    def __init__(self):
        super().__init__()
        self.source_embedding = nn.Embedding(128, 24)
        self.encoder = nn.GRU(24, 48, batch_first=True)
        self.target_embedding = nn.Embedding(128, 24)
        self.decoder = nn.GRU(24, 48, batch_first=True)
        self.fc = nn.Linear(48, 128)

    def forward(self, source, said):
        _, state = self.encoder(self.source_embedding(source))
        sequence, _ = self.decoder(self.target_embedding(said), state)
        return self.fc(sequence).transpose(1, 2)


class Transformer(nn.Module):
    """A causal language model of bytes: logits [N, 128, T]."""

    def __init__(self):
        super().__init__()
        self.position = nn.Parameter(nn.init.normal_(torch.empty(1, 32, 32), std=0.02))
        self.embedding = nn.Embedding(128, 32)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(32, 4, 64, dropout=0, batch_first=True) for _ in range(2))
        self.norm = nn.LayerNorm(32)
        self.fc = nn.Linear(32, 128)

    def forward(self, tokens):
        mask = torch.triu(torch.ones([32, 32], dtype=torch.bool), 1)
        x = self.embedding(tokens) + self.position
        for layer in self.layers:
            x = layer(x, src_mask=mask)
        return self.fc(self.norm(x)).transpose(1, 2)


class VitTiny(nn.Module):
    """4 x 4 patches of 7 x 7 pixels and a class token, through pre-norm encoder layers."""

    def __init__(self):
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, 32))
        self.position = nn.Parameter(nn.init.normal_(torch.empty(1, 17, 32), std=0.02))
        self.patches = nn.Conv2d(1, 32, 7, stride=7)
        self.blocks = nn.Sequential(*(
            nn.TransformerEncoderLayer(32, 4, 64, dropout=0, activation="gelu", batch_first=True, norm_first=True)
            for _ in range(4)))
        self.norm = nn.LayerNorm(32)
        self.head = nn.Linear(32, 10)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(x.size(0), -1, -1), x], 1) + self.position
        return self.head(self.norm(self.blocks(x))[:, 0])


@dataclass
class Network:
    """How a network is made and trained. `optimizer` takes the module, `scheduler` the optimizer."""

    make: Callable[[], nn.Module]
    definition: str
    data: str  # a recipe of data.py
    batch: int
    seed: int
    optimizer: Callable
    loss: Callable = field(default_factory=nn.CrossEntropyLoss)
    scheduler: Optional[Callable] = None


def vit_optimizer(module):
    """No decay of what is no matrix of weights; it comes second, as groups of a definition do."""
    undecayed = [p for name, p in module.named_parameters() if name.endswith("bias") or "norm" in name]
    rest = [p for p in module.parameters() if not any(p is u for u in undecayed)]
    return torch.optim.AdamW([{"params": rest}, {"params": undecayed, "weight_decay": 0.0}], lr=0.002, weight_decay=0.05)


NETWORKS = OrderedDict(
    mlp=Network(
        mlp, "client/examples/networks/mlp.txtpb", "digits", 32, 1,
        lambda m: torch.optim.SGD(m.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)),
    lenet=Network(
        lenet, "client/examples/networks/lenet.txtpb", "digits", 16, 2,
        lambda m: torch.optim.Adam(m.parameters(), lr=0.002)),
    mnist=Network(
        Mnist, "client/examples/mnist/mnist.txtpb", "digits", 32, 20,
        lambda m: torch.optim.SGD(m.parameters(), lr=0.02, momentum=0.9, nesterov=True),
        loss=nn.NLLLoss()),
    resnet18=Network(
        ResNet18, "client/examples/networks/resnet18.txtpb", "digits", 16, 4,
        lambda m: torch.optim.SGD(m.parameters(), lr=0.005, momentum=0.9, weight_decay=5e-4),
        scheduler=lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=250)),
    mobilenet_v2=Network(
        MobileNetV2, "client/examples/networks/mobilenet_v2.txtpb", "digits", 16, 5,
        lambda m: torch.optim.RMSprop(m.parameters(), lr=0.0002, alpha=0.9, momentum=0.9, eps=1e-3, weight_decay=4e-5),
        scheduler=lambda o: lr_scheduler.ExponentialLR(o, gamma=0.999)),
    unet=Network(
        UNet, "client/examples/networks/unet.txtpb", "strokes", 4, 6,
        lambda m: torch.optim.Adam(m.parameters(), lr=0.01, amsgrad=True),
        loss=nn.BCEWithLogitsLoss(),
        scheduler=lambda o: lr_scheduler.StepLR(o, step_size=10, gamma=0.9)),
    lstm=Network(
        LstmClassifier, "client/examples/networks/lstm.txtpb", "digits", 16, 7,
        lambda m: torch.optim.Adamax(m.parameters(), lr=0.01)),
    gru_seq2seq=Network(
        GruSeq2Seq, "client/examples/networks/gru_seq2seq.txtpb", "reversal", 8, 8,
        lambda m: torch.optim.Adagrad(m.parameters(), lr=0.05)),
    transformer=Network(
        Transformer, "client/examples/networks/transformer.txtpb", "text", 8, 9,
        lambda m: torch.optim.AdamW(m.parameters(), lr=0.001),
        scheduler=lambda o: lr_scheduler.OneCycleLR(o, max_lr=0.01, total_steps=1000, pct_start=0.01)),
    vit_tiny=Network(
        VitTiny, "client/examples/networks/vit_tiny.txtpb", "digits", 16, 10,
        vit_optimizer,
        loss=nn.CrossEntropyLoss(label_smoothing=0.1),
        scheduler=lambda o: lr_scheduler.LinearLR(o, start_factor=0.25, total_iters=8)),
)
