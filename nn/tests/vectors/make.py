"""Test vectors by PyTorch: python3 nn/tests/vectors/make.py, with torch, numpy and safetensors.

NET.weights.safetensors is the state_dict a network begins with; NET.losses.safetensors has its batches, the losses of
20 steps under each optimizer, and the state_dict at the end; layers.safetensors has single layers with gradients.
"""

import math
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

FOLDER = Path(__file__).parent
STEPS, BATCH, BATCHES, CLASSES = 20, 8, 3, 4


def networks():
    yield "linear", (12,), lambda: nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, CLASSES))
    yield "conv", (2, 7, 7), lambda: nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, padding_mode="reflect", bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(36, CLASSES),
    )


def cosine(step, warmup=4):
    return (step + 1) / warmup if step < warmup else (1 + math.cos(math.pi * (step - warmup) / STEPS)) / 2


def train(network, optimizer, images, labels, factor=lambda step: 1.0, smoothing=0.0, clip=None):
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    loss = nn.CrossEntropyLoss(label_smoothing=smoothing)
    losses = []
    for step in range(STEPS):
        rows = slice(step % BATCHES * BATCH, (step % BATCHES + 1) * BATCH)
        optimizer.zero_grad()
        found = loss(network(images[rows]), labels[rows])
        found.backward()
        if clip:
            nn.utils.clip_grad_norm_(network.parameters(), clip)
        optimizer.step()
        schedule.step()
        losses.append(found.item())
    return torch.tensor(losses)


RUNS = {
    "sgd": lambda p: (torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01), {}),
    "nesterov": lambda p: (torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True), {"smoothing": 0.1}),
    "adam": lambda p: (torch.optim.Adam(p, lr=0.01, weight_decay=0.01), {"clip": 0.5}),
    "adamw": lambda p: (torch.optim.AdamW(p, lr=0.02, weight_decay=0.1), {"factor": cosine}),
}


def losses():
    for name, image, make in networks():
        torch.manual_seed(1)
        first = make().state_dict()
        save_file(first, FOLDER / f"{name}.weights.safetensors")
        images = torch.randn(BATCH * BATCHES, *image)
        labels = torch.randint(CLASSES, (BATCH * BATCHES,))
        found = {"images": images, "labels": labels.float()}
        for run, optimizer in RUNS.items():
            network = make()
            network.load_state_dict(first)
            chosen, options = optimizer(network.parameters())
            found[f"{run}.losses"] = train(network, chosen, images, labels, **options)
            for key, value in network.state_dict().items():
                if value.is_floating_point():
                    found[f"{run}.end.{key}"] = value
        save_file(found, FOLDER / f"{name}.losses.safetensors")


def single(found, name, layer, image):
    x = torch.randn(2, *image, requires_grad=True)
    y = layer(x)
    g = torch.randn_like(y)
    y.backward(g)
    found |= {f"{name}.x": x.detach(), f"{name}.y": y.detach(), f"{name}.g": g, f"{name}.dx": x.grad}
    for key, value in layer.named_parameters():
        found |= {f"{name}.{key}": value.detach(), f"{name}.d{key}": value.grad}


def layers():
    torch.manual_seed(2)
    found = {}
    for mode in ["zeros", "circular", "reflect", "replicate"]:
        single(found, f"{mode}1", nn.Conv1d(2, 3, 3, padding=2, padding_mode=mode, stride=2), (2, 7))
        options = {"padding": (2, 1), "padding_mode": mode, "groups": 2, "dilation": (1, 2)}
        single(found, f"{mode}2", nn.Conv2d(4, 2, (3, 2), **options), (4, 5, 6))
    single(found, "replicate3", nn.Conv3d(1, 2, 2, padding=1, padding_mode="replicate"), (1, 3, 2, 4))
    single(found, "same", nn.Conv2d(2, 3, (4, 3), padding="same", dilation=(1, 2)), (2, 6, 5))
    single(found, "batch_norm", nn.BatchNorm2d(3), (3, 2, 4))
    save_file(found, FOLDER / "layers.safetensors")


if __name__ == "__main__":
    losses()
    layers()
