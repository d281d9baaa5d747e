"""The three models of the benchmarks in PyTorch, as its own documentation would write them."""
from torch import nn

# Floating-point operations of one sample: forward, weight gradients, and input gradients but for the first layer.
FLOPS = {
    "softmax": 2 * 2 * 784 * 10,
    "2nn": 2 * (3 * (784 * 200 + 200 * 200 + 200 * 10) - 784 * 200),
    "cnn": 2 * (3 * (28 * 28 * 25 * 32 + 14 * 14 * 25 * 32 * 64 + 3136 * 512 + 512 * 10) - 28 * 28 * 25 * 32),
}


class Cnn(nn.Module):
    """McMahan et al. 2017: two 5x5 convolutions (32, 64), each with a 2x2 max-pool, 512 hidden units; 1,663,370 parameters."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2))
        self.classifier = nn.Sequential(nn.Linear(3136, 512), nn.ReLU(), nn.Linear(512, 10))

    def forward(self, x):
        return self.classifier(self.features(x.view(-1, 1, 28, 28)).flatten(1))


def make_model(name: str) -> nn.Module:
    if name == "softmax":
        return nn.Linear(784, 10)
    if name == "2nn":
        return nn.Sequential(nn.Linear(784, 200), nn.ReLU(), nn.Linear(200, 200), nn.ReLU(), nn.Linear(200, 10))
    if name == "cnn":
        return Cnn()
    raise SystemExit(f'unknown model "{name}"; known: {", ".join(FLOPS)}')
