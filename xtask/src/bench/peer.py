"""Times convolutions and whole training steps of a peer, on request: a line of JSON in, a line of JSON out.

    {"prepare": {"peer": ..., "pass": ..., "problem": {...}}}    -> {}
    {"prepare": {"peer": ..., "network": {...}}}                 -> {}
    {"run": N}                                                   -> {"seconds": [...]}

Anything that goes wrong is answered with {"failed": reason}.
"""

import json
import sys
import time

import torch
import torch.nn.functional as F

CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
MASKS = {
    "backward-input": [True, False, False],
    "backward-weights": [False, True, False],
    "both": [True, True, False],
}


def random(shape, device):
    return torch.rand(shape, device=device) * 2 - 1


class Problem:
    """A convolution with its tensors. Padding that differs at the two ends is a pad of the input before."""

    def __init__(self, fields, device):
        axes = fields["axes"]
        self.stride = [a["stride"] for a in axes]
        self.dilation = [a["dilation"] for a in axes]
        self.groups = fields["groups"]
        lo = [a["padding"][0] for a in axes]
        hi = [a["padding"][1] for a in axes]
        self.padding = lo if lo == hi else [0] * len(axes)
        self.pad = None if lo == hi else [n for a in reversed(axes) for n in a["padding"]]
        self.x = random([fields["batch"], fields["in_channels"], *(a["input"] for a in axes)], device)
        kernel = [a["kernel"] for a in axes]
        self.w = random([fields["out_channels"], fields["in_channels"] // self.groups, *kernel], device)
        self.conv = CONV[len(axes)]
        self.dy = random(self.forward().shape, device)

    def padded(self):
        return self.x if self.pad is None else F.pad(self.x, self.pad)

    def forward(self):
        return self.conv(self.padded(), self.w, None, self.stride, self.padding, self.dilation, self.groups)

    def backward(self, mask):
        grads = torch.ops.aten.convolution_backward(
            self.dy, self.padded(), self.w, None, self.stride, self.padding, self.dilation,
            False, [0] * len(self.stride), self.groups, MASKS[mask],
        )
        if self.pad is not None and grads[0] is not None:
            return F.pad(grads[0], [-n for n in self.pad]), grads[1]
        return grads

    def step(self):
        self.forward()
        self.backward("both")

    def run(self, name):
        if name == "forward":
            return self.forward
        if name == "step":
            return self.step
        return lambda: self.backward(name)


class FftConv(Problem):
    """The same through fft-conv-pytorch, whose gradients are those of autograd."""

    def forward(self):
        from fft_conv_pytorch import fft_conv

        return fft_conv(self.padded(), self.w, stride=tuple(self.stride), padding=tuple(self.padding),
                        dilation=tuple(self.dilation), groups=self.groups)

    def run(self, name):
        if name == "forward":
            return super().run(name)
        self.x.requires_grad_()
        self.w.requires_grad_()
        wanted = {"backward-input": [self.x], "backward-weights": [self.w]}.get(name, [self.x, self.w])
        if name == "step":
            return lambda: torch.autograd.grad(self.forward(), wanted, self.dy)
        y = self.forward()
        return lambda: torch.autograd.grad(y, wanted, self.dy, retain_graph=True)


def network(fields, device):
    """A training step: forward, cross-entropy, backward, SGD with momentum."""
    kinds = {
        "conv": lambda c, o, k, p: torch.nn.Conv2d(c, o, k, padding=p),
        "relu": torch.nn.ReLU,
        "maxpool": torch.nn.MaxPool2d,
        "flatten": torch.nn.Flatten,
        "linear": torch.nn.Linear,
    }
    layers = [kinds[kind](*numbers) for kind, numbers in fields["layers"]]
    model = torch.nn.Sequential(*layers).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=fields["rate"], momentum=fields["momentum"])
    images = random([fields["batch"], *fields["image"]], device)
    labels = torch.arange(fields["batch"], device=device) % fields["classes"]

    def step():
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()

    return step


def prepare(request, device):
    tf32 = request["peer"] == "pytorch-tf32"
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = tf32
    if "network" in request:
        return network(request["network"], device)
    kind = FftConv if request["peer"] == "fft-conv-pytorch" else Problem
    step = kind(request["problem"], device).run(request["pass"])
    if request["peer"] == "fft-conv-pytorch" and request["pass"] != "forward":
        return step

    def without_gradients():
        with torch.no_grad():
            step()

    return without_gradients


def seconds_of(step):
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def seconds_on_gpu(step):
    """Between events on the stream, as ours are taken."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    step()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / 1e3


def main():
    backend, threads = sys.argv[1], int(sys.argv[2])
    torch.set_num_threads(threads)
    torch.backends.cudnn.benchmark = True
    device = torch.device(backend)
    torch.empty(1, device=device)
    timed = seconds_on_gpu if backend == "cuda" else seconds_of
    print(json.dumps({"version": torch.__version__}), flush=True)
    step = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if "prepare" in request:
                step = None
                step = prepare(request["prepare"], device)
                answer = {}
            else:
                answer = {"seconds": [timed(step) for _ in range(request["run"])]}
        except Exception as error:
            answer = {"failed": f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"}
        print(json.dumps(answer), flush=True)


main()
