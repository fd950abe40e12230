"""FID's Inception-v3 written for PyTorch, on its own; run by another interpreter where this one has no PyTorch.

`python inception_torch.py FOLDER` writes random weights in both forms of `torch.save`, images, features and logits.
Module names are those of the published file; the rest is written from the description of the graph.
"""

import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


class C(nn.Module):
    def __init__(self, a, b, kernel=1, stride=1, padding=0):
        super().__init__()
        self.conv = nn.Conv2d(a, b, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(b, eps=0.001)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)))


def average(x):
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


class A(nn.Module):
    def __init__(self, n, pool):
        super().__init__()
        self.branch1x1 = C(n, 64)
        self.branch5x5_1, self.branch5x5_2 = C(n, 48), C(48, 64, 5, padding=2)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = C(n, 64), C(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = C(96, 96, 3, padding=1)
        self.branch_pool = C(n, pool)

    def forward(self, x):
        five = self.branch5x5_2(self.branch5x5_1(x))
        three = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch1x1(x), five, three, self.branch_pool(average(x))], 1)


class B(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.branch3x3 = C(n, 384, 3, 2)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = C(n, 64), C(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = C(96, 96, 3, 2)

    def forward(self, x):
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), double, F.max_pool2d(x, 3, 2)], 1)


class Seven(nn.Module):
    def __init__(self, n, c):
        super().__init__()
        row, column = {"kernel": (1, 7), "padding": (0, 3)}, {"kernel": (7, 1), "padding": (3, 0)}
        self.branch1x1 = C(n, 192)
        self.branch7x7_1, self.branch7x7_2, self.branch7x7_3 = C(n, c), C(c, c, **row), C(c, 192, **column)
        self.branch7x7dbl_1, self.branch7x7dbl_2 = C(n, c), C(c, c, **column)
        self.branch7x7dbl_3, self.branch7x7dbl_4 = C(c, c, **row), C(c, c, **column)
        self.branch7x7dbl_5 = C(c, 192, **row)
        self.branch_pool = C(n, 192)

    def forward(self, x):
        single = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return torch.cat([self.branch1x1(x), single, double, self.branch_pool(average(x))], 1)


class D(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.branch3x3_1, self.branch3x3_2 = C(n, 192), C(192, 320, 3, 2)
        self.branch7x7x3_1, self.branch7x7x3_2 = C(n, 192), C(192, 192, (1, 7), padding=(0, 3))
        self.branch7x7x3_3, self.branch7x7x3_4 = C(192, 192, (7, 1), padding=(3, 0)), C(192, 192, 3, 2)

    def forward(self, x):
        seven = self.branch7x7x3_4(self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x))))
        return torch.cat([self.branch3x3_2(self.branch3x3_1(x)), seven, F.max_pool2d(x, 3, 2)], 1)


class E(nn.Module):
    def __init__(self, n, pool):
        super().__init__()
        self.pool = pool
        row, column = {"kernel": (1, 3), "padding": (0, 1)}, {"kernel": (3, 1), "padding": (1, 0)}
        self.branch1x1 = C(n, 320)
        self.branch3x3_1 = C(n, 384)
        self.branch3x3_2a, self.branch3x3_2b = C(384, 384, **row), C(384, 384, **column)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = C(n, 448), C(448, 384, 3, padding=1)
        self.branch3x3dbl_3a, self.branch3x3dbl_3b = C(384, 384, **row), C(384, 384, **column)
        self.branch_pool = C(n, 192)

    def forward(self, x):
        s, d = self.branch3x3_1(x), self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        parts = [self.branch3x3_2a(s), self.branch3x3_2b(s), self.branch3x3dbl_3a(d), self.branch3x3dbl_3b(d)]
        return torch.cat([self.branch1x1(x), *parts, self.branch_pool(self.pool(x))], 1)


class Inception(nn.Module):
    def __init__(self):
        super().__init__()
        self.Conv2d_1a_3x3, self.Conv2d_2a_3x3 = C(3, 32, 3, 2), C(32, 32, 3)
        self.Conv2d_2b_3x3 = C(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1, self.Conv2d_4a_3x3 = C(64, 80), C(80, 192, 3)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = A(192, 32), A(256, 64), A(288, 64)
        self.Mixed_6a = B(288)
        self.Mixed_6b, self.Mixed_6c, self.Mixed_6d = Seven(768, 128), Seven(768, 160), Seven(768, 160)
        self.Mixed_6e = Seven(768, 192)
        self.Mixed_7a = D(768)
        self.Mixed_7b, self.Mixed_7c = E(1280, average), E(2048, lambda x: F.max_pool2d(x, 3, 1, 1))
        self.fc = nn.Linear(2048, 1008)

    def forward(self, x):
        """Pixels [n, 3, 299, 299], float 0..255."""
        x = (x - 128) / 128
        x = F.max_pool2d(self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x))), 3, 2)
        x = F.max_pool2d(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)), 3, 2)
        for name in ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c"):
            x = getattr(self, f"Mixed_{name}")(x)
        x = x.mean((2, 3))
        return x, x @ self.fc.weight.T


def resized(x, size=299):
    """[n, h, w, 3] -> [n, 3, size, size], a pixel at a time along each axis: source row i * h / size, no offset."""
    for axis in (2, 1):
        n = x.shape[axis]
        at = np.arange(size) * n / size
        low = np.floor(at).astype(int)
        high = np.minimum(low + 1, n - 1)
        w = (at - low).reshape([-1 if i == axis else 1 for i in range(4)])
        x = np.take(x, low, axis) * (1 - w) + np.take(x, high, axis) * w
    return x.transpose(0, 3, 1, 2)


def main(folder):
    torch.manual_seed(0)
    net = Inception().eval()
    with torch.no_grad():
        for name, p in [*net.named_parameters(), *net.named_buffers()]:
            if name.endswith("conv.weight"):
                nn.init.kaiming_normal_(p)
            elif name.endswith(("bn.weight", "running_var")):
                p.uniform_(0.7, 1.3)
            elif name.endswith(("bn.bias", "running_mean")):
                p.normal_(0.0, 0.2)
    torch.save(net.state_dict(), folder / "zip.pth")
    torch.save(net.state_dict(), folder / "sequence.pth", _use_new_zipfile_serialization=False)
    rng = np.random.default_rng(0)
    out = {}
    for name, shape in {"small": (2, 32, 28, 3), "exact": (1, 299, 299, 3), "large": (1, 320, 411, 3)}.items():
        images = rng.integers(0, 256, shape, np.uint8)
        with torch.no_grad():
            features, logits = net(torch.from_numpy(resized(images.astype(np.float64)).astype(np.float32)))
        out |= {f"{name}/images": images, f"{name}/features": features.numpy(), f"{name}/logits": logits.numpy()}
    np.savez(folder / "expected.npz", **out)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
