"""The one ResNet among a file's names: wrappers are taken off, the rest is told."""

import itertools

import pytest

from mmix_jax.errors import InputError
from mmix_jax.interop.torch_names import find_encoder
from mmix_jax.interop.torch_resnet import entry_table

SMALL = {"stages": (2, 1), "width": 8}
NAMES = {naming: list(entry_table(naming, **SMALL)) for naming in ("authors", "torchvision")}
TORCHVISION = NAMES["torchvision"]
ENCODER = [name for name in NAMES["authors"] if name.startswith("f.")]
WRAPPERS = ("module.", "backbone.", "encoder.", "_orig_mod.", "model.", "net.", "backbone.0.")
PREFIXES = [*WRAPPERS, *map("".join, itertools.permutations(WRAPPERS[:4], 2)), "a.b.c.d."]


def under(prefix, names):
    return [prefix + name for name in names]


@pytest.mark.parametrize("prefix", ["", *PREFIXES])
@pytest.mark.parametrize("naming", NAMES)
def test_any_prefix_is_taken_off(naming, prefix):
    found = find_encoder(under(prefix, NAMES[naming]))
    assert found.naming == naming
    assert found.given == {name: prefix + name for name in NAMES[naming]}
    plain = prefix.replace("module.", "").replace("_orig_mod.", "")
    assert found.notes == ((f"read the entries under {plain}",) if plain else ())


def test_wrappers_inside_of_names_are_taken_off():
    inner = [name.replace("layer1.", "layer1._orig_mod.") for name in TORCHVISION]
    assert list(find_encoder(inner).given) == TORCHVISION


@pytest.mark.parametrize("prefix", ["", "backbone.", "module.encoder."])
def test_a_sequence_of_layers_is_the_authors(prefix):
    bare = [name.removeprefix("f.") for name in ENCODER]
    found = find_encoder(under(prefix, bare))
    assert found.naming == "authors"
    assert found.given == {f"f.{name}": prefix + name for name in bare}


def test_shortcut_is_downsample():
    names = [name.replace("downsample", "shortcut") for name in TORCHVISION]
    assert list(find_encoder(names).given) == TORCHVISION


BESIDE = {
    "the classifier": ["fc.weight", "fc.bias"],
    "heads": ["projector.0.weight", "predictor.0.bias", "projection_head.weight", "head.bias"],
    "the queue": ["queue", "queue_ptr"],
    "a profiler's counters": ["total_ops", "total_params", "layer1.0.conv1.total_ops"],
}


@pytest.mark.parametrize("kind", BESIDE)
@pytest.mark.parametrize("prefix", ["", "encoder."])
def test_what_is_left_out_is_told(kind, prefix):
    found = find_encoder(under(prefix, [*TORCHVISION, *BESIDE[kind]]))
    assert list(found.given) == TORCHVISION
    assert found.notes[-1] == f"left out {kind}: {', '.join(under(prefix, BESIDE[kind]))}"


@pytest.mark.parametrize("name", ["linear.weight", "classifier.0.weight", "head.fc.weight"])
def test_what_is_not_under_the_prefix_is_told(name):
    found = find_encoder([*under("encoder.", TORCHVISION), name])
    assert found.notes == (
        "read the entries under encoder.",
        f"left out what is not under it: {name}",
    )


def test_batch_counters_are_left_out_unsaid():
    assert find_encoder([*TORCHVISION, "bn1.num_batches_tracked"]).notes == ()


@pytest.mark.parametrize(
    ("still", "moving"),
    [
        ("encoder_q.", "encoder_k."),
        ("online_encoder.net.", "target_encoder.net."),
        ("backbone.", "backbone_momentum."),
        ("student.", "teacher."),
        ("model.", "ema.model."),
        ("base_encoder.", "momentum_encoder."),
    ],
)
@pytest.mark.parametrize("wrapper", ["", "module."])
def test_a_moving_copy_is_left_out_and_told(still, moving, wrapper):
    names = under(wrapper + moving, TORCHVISION) + under(wrapper + still, TORCHVISION)
    found = find_encoder(names)
    assert found.given == {name: wrapper + still + name for name in TORCHVISION}
    assert found.notes[1].startswith(f"left out the moving copy {moving}: {names[0]}, ")
    assert f"({len(TORCHVISION)} in all)" in found.notes[1]


def test_a_moving_copy_alone_is_taken():
    assert len(find_encoder(under("teacher.", TORCHVISION)).given) == len(TORCHVISION)


def test_names_that_mean_two_things_are_refused():
    with pytest.raises(InputError, match=r"one ResNet, found them under a., b.; keep one"):
        find_encoder(under("a.", TORCHVISION) + under("b.", TORCHVISION))
    with pytest.raises(InputError, match=r"found them under \(no prefix\), \(no prefix\)"):
        find_encoder([*ENCODER, *TORCHVISION])
    with pytest.raises(InputError, match=r"once, found conv1.weight and module.conv1.weight"):
        find_encoder([*TORCHVISION, "module.conv1.weight"])


def test_unknown_entries_stay_to_be_refused():
    """A deeper network must not pass for this one."""
    deeper = ["layer1.2.conv1.weight", "layer9.0.conv1.weight", "attention.weight"]
    assert set(deeper) < find_encoder([*TORCHVISION, *deeper]).given.keys()
