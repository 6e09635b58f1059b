"""Weights of PyTorch in our modules: the same features, and one line where they do not fit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmix_jax.encoders.heads import ProjectionHead
from mmix_jax.encoders.resnet import ResNet18
from mmix_jax.errors import InputError
from mmix_jax.interop.torch_resnet import entry_table, from_state_dict
from mmix_jax.interop.torch_weights import read_state_dict

SMALL = {"stages": (2, 1), "width": 8}


def drawn(naming: str, **options) -> dict[str, np.ndarray]:
    """A state_dict of random weights, in torch's layout."""
    draw = np.random.default_rng(0)
    table = entry_table(naming, **options)
    return {
        name: draw.uniform(0.1, 0.2, entry.shape).astype(np.float32)
        for name, entry in table.items()
    }


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="needs PyTorch, whose models are converted")


def build(torch, naming: str, stages=(2, 2, 2, 2), width: int = 64):
    """A ResNet with torchvision's names and a classifier, or the authors' with their head."""
    nn = torch.nn

    class Block(nn.Module):
        def __init__(self, before, width, stride):
            super().__init__()
            self.conv1 = nn.Conv2d(before, width, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(width)
            self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(width)
            self.downsample = nn.Identity()
            if stride != 1 or before != width:
                conv = nn.Conv2d(before, width, 1, stride, bias=False)
                self.downsample = nn.Sequential(conv, nn.BatchNorm2d(width))

        def forward(self, x):
            h = torch.relu(self.bn1(self.conv1(x)))
            return torch.relu(self.bn2(self.conv2(h)) + self.downsample(x))

    names = ["conv1", "bn1", "relu", *(f"layer{i + 1}" for i in range(len(stages))), "pool"]
    layers = [nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    before = width
    for stage, num_blocks in enumerate(stages):
        after, blocks = width * 2**stage, []
        for block in range(num_blocks):
            blocks.append(Block(before, after, 2 if stage and not block else 1))
            before = after
        layers.append(nn.Sequential(*blocks))
    layers.append(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    model = nn.Module()
    if naming == "authors":
        model.f = nn.Sequential(*layers)
        hidden = (nn.Linear(before, before, bias=False), nn.BatchNorm1d(before), nn.ReLU())
        model.g = nn.Sequential(*hidden, nn.Linear(before, 128))
        return model, model.f, model.g
    for name, layer in zip(names, layers, strict=True):
        setattr(model, name, layer)
    model.fc = nn.Linear(before, 10)
    return model, nn.Sequential(*layers), None


def numpy_state(model) -> dict[str, np.ndarray]:
    return {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize("naming", ["authors", "torchvision"])
def test_the_table_names_every_entry_of_a_torch_model(torch, naming):
    shapes = {name: a.shape for name, a in numpy_state(build(torch, naming)[0]).items()}
    kept = {
        name: shape
        for name, shape in shapes.items()
        if not name.startswith("fc.") and not name.endswith("num_batches_tracked")
    }
    assert kept == {name: entry.shape for name, entry in entry_table(naming).items()}


def assert_same(found, expected, **tolerance):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(ours, theirs, **tolerance)


@pytest.mark.parametrize("naming", ["authors", "torchvision"])
def test_features_and_statistics_are_those_of_torch(torch, naming, tmp_path):
    """Through the file, while training and, with the statistics that leaves, in evaluation."""
    torch.manual_seed(0)
    model, encoder, head = build(torch, naming, **SMALL)
    images = torch.randn(6, 3, 9, 9)
    parts = {"encoder": (encoder, ResNet18(**SMALL))}
    if head is not None:
        parts["head"] = (head, ProjectionHead())
    path = tmp_path / "model.pth"

    def converted():
        torch.save({"state_dict": model.state_dict(), "epoch": 3}, path)
        return from_state_dict(read_state_dict(path), **SMALL)

    for train in (True, False):
        model.train(train)
        before = converted()
        theirs, ours = images, jnp.asarray(images.permute(0, 2, 3, 1).numpy())
        after = {}
        for name, (module, flax_module) in parts.items():
            with torch.no_grad():
                theirs = module(theirs)
            variables = {"params": before.params[name], "batch_stats": before.batch_stats[name]}
            ours, changed = flax_module.apply(variables, ours, train=train, mutable="batch_stats")
            after[name] = changed["batch_stats"]
            np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-4, atol=1e-5)
        assert_same(after, converted().batch_stats, rtol=1e-4, atol=1e-5)


def test_half_precision_and_what_is_left_out():
    state = drawn("torchvision", **SMALL)
    exact = from_state_dict(state, **SMALL)
    assert exact.notes == ("the file has no projection head (g)",)
    state = {name: array.astype(np.float16) for name, array in state.items()}
    state |= {"fc.weight": np.zeros((10, 16)), "bn1.num_batches_tracked": np.array(3)}
    found = from_state_dict(state, **SMALL)
    assert_same(found[:2], exact[:2], rtol=1e-3)
    assert {leaf.dtype for leaf in jax.tree.leaves(found[:2])} == {np.dtype(np.float32)}
    assert found.notes == (*exact.notes, "left out the classifier: fc.weight")


def test_wrapped_entries_are_the_same_and_float64_stays():
    state = drawn("torchvision", **SMALL)
    wrapped = {f"module.encoder_q.{n}": array.astype(np.float64) for n, array in state.items()}
    wrapped |= {f"module.encoder_k.{n}": np.zeros_like(array) for n, array in state.items()}
    wrapped |= {"module.encoder_q.total_ops": np.zeros(1), "module.queue": np.zeros((2, 2))}
    found, exact = from_state_dict(wrapped, **SMALL), from_state_dict(state, **SMALL)
    assert_same(found[:2], exact[:2])
    assert {leaf.dtype for leaf in jax.tree.leaves(found[:2])} == {np.dtype(np.float64)}
    assert [note.partition(":")[0] for note in found.notes] == [
        "the file has no projection head (g)",
        "read the entries under encoder_q.",
        "left out a profiler's counters",
        "left out the moving copy encoder_k.",
        "left out what is not under it",
    ]


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (np.zeros((8, 3, 3, 3), np.int8), "floating-point numbers, found int8 at conv1.weight"),
        (np.full((8, 3, 3, 3), np.nan), "must be finite, found others at conv1.weight"),
        (np.full((8, 3, 3, 3), 1e300), "must be finite, found others at conv1.weight"),
    ],
)
def test_numbers_that_are_no_weights_are_told(array, told):
    with pytest.raises(InputError, match=told):
        from_state_dict(drawn("torchvision", **SMALL) | {"conv1.weight": array}, **SMALL)


def test_entries_that_do_not_fit_are_all_named_in_one_line():
    state = drawn("authors", **SMALL)
    del state["f.3.1.bn2.running_var"], state["g.3.bias"]
    state |= {"h.weight": np.zeros(1), "f.0.weight": np.zeros((8, 3, 7, 7), np.float32)}
    with pytest.raises(InputError) as caught:
        from_state_dict(state, **SMALL)
    line = str(caught.value)
    assert "\n" not in line
    assert "missing: f.3.1.bn2.running_var, g.3.bias;" in line
    assert "surplus: h.weight;" in line
    assert "wrongly shaped: f.0.weight (8, 3, 7, 7) instead of (8, 3, 3, 3);" in line


@pytest.mark.parametrize("state", [{}, {"layers.0.weight": np.zeros(1)}])
def test_other_models_are_told(state):
    found = next(iter(state), "nothing")
    with pytest.raises(InputError, match=f"found {found}; rename"):
        from_state_dict(state, **SMALL)


def test_a_long_list_of_names_is_cut():
    state = drawn("torchvision", **SMALL)
    wrong = {"conv1.weight": state["conv1.weight"]}
    with pytest.raises(InputError, match=rf"… \({len(state) - 1} in all\)"):
        from_state_dict(wrong, **SMALL)
