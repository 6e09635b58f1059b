"""Files of torch.save: tensors come back, anything else is refused before it runs."""

import collections
import os
import zipfile

import numpy as np
import pytest

from mmix_jax.errors import InputError
from mmix_jax.interop.torch_weights import read_state_dict, read_weights
from tests.interop.torch_files import (
    BRAIN,
    FLOAT,
    HALF,
    LONG,
    OTHERS,
    UNTYPED,
    Calls,
    Storage,
    parameter,
    save,
    tensor,
    tensor_of_type,
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.pth"


def refused(path, *words):
    with pytest.raises(InputError) as caught:
        read_state_dict(path)
    line = str(caught.value)
    assert "\n" not in line
    for word in (str(path), *words):
        assert word in line
    return line


SIX = np.arange(6, dtype="<f4")


def six(count: int = 6):
    return Storage(FLOAT, "0", count)


@pytest.mark.parametrize("byteorder", ["little", "big"])
def test_four_storage_types_in_either_byte_order(path, byteorder):
    order = "<" if byteorder == "little" else ">"
    content = collections.OrderedDict(
        single=tensor(six(), (2, 3), (3, 1)),
        half=tensor(Storage(HALF, "1", 2), (2,), (1,)),
        brain=tensor(Storage(BRAIN, "2", 3), (3,), (1,)),
        tracked=tensor(Storage(LONG, "3", 1), (), ()),
    )
    blobs = {
        "0": SIX.astype(f"{order}f4").tobytes(),
        "1": np.array([0.5, -3], f"{order}f2").tobytes(),
        "2": np.array([0x3F80, 0xC040, 0x7F80], f"{order}u2").tobytes(),  # 1, -3, inf
        "3": np.array(-(2**40), f"{order}i8").tobytes(),
    }
    found = read_state_dict(save(path, content, blobs, byteorder=byteorder))
    assert list(found) == ["single", "half", "brain", "tracked"]
    np.testing.assert_array_equal(found["single"], SIX.reshape(2, 3))
    np.testing.assert_array_equal(found["half"], [0.5, -3])
    np.testing.assert_array_equal(found["brain"], [1, -3, np.inf])
    np.testing.assert_array_equal(found["tracked"], -(2**40))
    types = [str(array.dtype) for array in found.values()]
    assert types == ["float32", "float16", "float32", "int64"]
    assert all(isinstance(array, np.ndarray) and array.flags.writeable for array in found.values())


OTHER_TYPES = {
    "Double": "f8", "Int": "i4", "Short": "i2", "Char": "i1", "Byte": "u1", "Bool": "?"
}  # fmt: skip


@pytest.mark.parametrize("kind", OTHER_TYPES)
def test_other_plain_types(path, kind):
    values = np.array([1, 0, 1], OTHER_TYPES[kind])
    content = {"a": tensor(Storage(OTHERS[kind], "0", 3), (3,), (1,))}
    found = read_state_dict(save(path, content, {"0": values.tobytes()}))["a"]
    np.testing.assert_array_equal(found, values, strict=True)


def test_parameters_and_types_that_stand_at_the_tensor(path):
    content = {
        "single": parameter(tensor(six(), (6,), (1,))),
        "late": tensor_of_type(Storage(UNTYPED, "0", 24), (2,), (2,), LONG, offset=1),
    }
    # Python's int stands for a storage; here for torch.int16.
    saved = save(path, content, {"0": SIX.tobytes()})
    old, new = b"ctorch\nLongStorage\n", b"ctorch\nint16\n"
    with zipfile.ZipFile(saved) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(saved, "w") as archive:
        for name, blob in members.items():
            archive.writestr(name, blob.replace(old, new))
    found = read_state_dict(path)
    np.testing.assert_array_equal(found["single"], SIX)
    np.testing.assert_array_equal(found["late"], SIX.view("<i2")[[1, 3]], strict=True)


def test_strides_offsets_and_shared_storages(path):
    content = {
        "transposed": tensor(six(), (3, 2), (1, 3)),
        "column": tensor(six(), (2,), (3,), offset=2),
        "empty": tensor(six(), (0, 3), (3, 1)),
    }
    found = read_state_dict(save(path, content, {"0": SIX.tobytes()}))
    np.testing.assert_array_equal(found["transposed"], SIX.reshape(2, 3).T)
    np.testing.assert_array_equal(found["column"], [2, 5])
    assert found["empty"].shape == (0, 3)


@pytest.mark.parametrize("key", ["state_dict", "model", "net", "model_state_dict", "encoder", None])
@pytest.mark.parametrize("prefix", ["module.", ""])
def test_a_checkpoint_around_it_and_a_prefix_are_taken_off(path, key, prefix):
    state = {f"{prefix}a.weight": tensor(six(), (6,), (1,)), f"{prefix}b": tensor(six(), (), ())}
    content = {"epoch": 3, "mine": state, key: state, "optimizer": [None]} if key else state
    assert list(read_state_dict(save(path, content, {"0": SIX.tobytes()}))) == ["a.weight", "b"]


@pytest.mark.parametrize(
    ("content", "notes"),
    [
        ({"a": 1}, ()),
        ({"model": {"a": 1}}, ("read the weights under 'model'",)),
        ({"epoch": 3, "model": {"a": 1}, "head": {"b": 1}},
         ("read the weights under 'model', not epoch, head",)),
        ({"model": {"state_dict": {"a": 1}, "x": 0}},
         ("read the weights under 'model.state_dict'",)),
        ({"mine": {"a": 1}, "epoch": 3}, ("read the weights under 'mine', not epoch",)),
        ({"state_dict": {"a": 1, "epoch": 3, "best": None}},
         ("read the weights under 'state_dict'", "left out what is no tensor: epoch, best")),
    ],
)  # fmt: skip
def test_what_is_left_out_is_noted(path, content, notes):
    def filled(tree):
        made = {
            key: filled(value) if isinstance(value, dict) else value for key, value in tree.items()
        }
        return made | {key: tensor(six(), (6,), (1,)) for key in {"a", "b"} & made.keys()}

    found = read_weights(save(path, filled(content), {"0": SIX.tobytes()}))
    assert (list(found.state), found.notes) == (["a"], notes)


def test_several_dictionaries_of_unknown_names_are_refused(path):
    state = {"w": tensor(six(), (6,), (1,))}
    refused(save(path, {"a": state, "b": state}, {"0": SIX.tobytes()}), "found several: a, b;")


def test_a_prefix_of_some_names_stays(path):
    state = {"module.a": tensor(six(), (6,), (1,)), "b": tensor(six(), (), ())}
    assert set(read_state_dict(save(path, state, {"0": SIX.tobytes()}))) == {"module.a", "b"}


@pytest.mark.parametrize(
    ("size", "stride", "offset"),
    [
        ((2, 3), (3, 1), 1),
        ((7,), (1,), 0),
        ((2,), (6,), 0),
        ((2,), (-1,), 3),
        ((1,), (1,), -1),
        ((10**9, 10**9), (0, 0), 0),
        ((2, 3), (1,), 0),
        ((2.0,), (1,), 0),
        ((True,), (1,), 0),
    ],
)
def test_a_tensor_outside_its_storage_is_refused(path, size, stride, offset):
    content = {"a": tensor(six(), size, stride, offset)}
    refused(save(path, content, {"0": SIX.tobytes()}), "not a readable file of tensors")


def test_storages_must_be_there_whole_and_uncompressed(path):
    content = {"a": tensor(six(), (6,), (1,))}
    refused(save(path, content), "not a readable file of tensors")
    refused(save(path, content, {"0": SIX.tobytes()[:-4]}), "5 elements, not 6")
    packed = zipfile.ZIP_DEFLATED
    refused(save(path, content, {"0": SIX.tobytes()}, compression=packed), "compressed")
    escaping = {"a": tensor(Storage(FLOAT, "../byteorder", 6), (6,), (1,))}
    refused(save(path, escaping, {"0": SIX.tobytes()}), "not a readable file of tensors")


def test_a_call_of_the_shell_is_refused_and_not_made(path, tmp_path):
    victim = tmp_path / "made"
    refused(save(path, {"a": Calls(os.system, f"touch {victim}")}), "found the global", "system'")
    assert not victim.exists()


@pytest.mark.parametrize("bad", [Calls(eval, "1"), Calls(getattr, "a", "b"), np.zeros(2), Calls])
def test_any_other_name_is_refused(path, bad):
    content = {"a": tensor(six(), (6,), (1,)), "b": bad}
    refused(save(path, content, {"0": SIX.tobytes()}), "found the global")


def test_what_a_pickle_sets_on_a_dictionary_does_nothing(path):
    state = collections.OrderedDict(a=tensor(six(), (6,), (1,)))
    state.keys = state._metadata = [1]  # pickled as the instance's attributes
    assert list(read_state_dict(save(path, state, {"0": SIX.tobytes()}))) == ["a"]


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ({}, "an empty one"),
        ([1], "found list"),
        ({"a": 1}, "found int at 'a'"),
        ({"state_dict": {"a": [1]}}, "found list at 'a'"),
        ({3: tensor(six(), (6,), (1,))}, "at 3"),
    ],
)
def test_what_is_no_state_dict_is_told(path, content, word):
    refused(save(path, content, {"0": SIX.tobytes()}), word)


def test_other_files_are_told_in_one_line(path, tmp_path):
    whole = save(path, {"a": tensor(six(), (6,), (1,))}, {"0": SIX.tobytes()}).read_bytes()
    for content in (b"", b"<html>404</html>", whole[: len(whole) // 2]):
        path.write_bytes(content)
        refused(path, "another kind of file")
    path.write_bytes(whole.replace(b"torch._utils", b"\xff" * 12))
    refused(path, "not a readable file of tensors")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/other", b"")
    refused(path, "one data.pkl, found 0")
    refused(tmp_path / "absent.pth", "No such file")
    refused(tmp_path, "readable file")


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="needs PyTorch, whose files are read")


def test_files_that_torch_writes(torch, path):
    torch.manual_seed(0)
    layer = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    state = layer.state_dict()
    state["half"] = torch.randn(3, 5).half().t()
    state["brain"] = torch.randn(4, 6).bfloat16()[1:, ::2]
    torch.save(state, path)
    found = read_state_dict(path)
    assert list(found) == list(state)
    for name, array in found.items():
        expected = state[name]
        expected = expected.float() if name == "brain" else expected
        np.testing.assert_array_equal(array, expected.numpy(), err_msg=name)
        assert array.dtype == expected.numpy().dtype


def test_other_files_that_torch_writes(torch, path):
    layer = torch.nn.Linear(2, 2)
    torch.save(layer.state_dict(), path, _use_new_zipfile_serialization=False)
    refused(path, "torch 1.6 and later")
    torch.save(layer, path)
    refused(path, "'torch.nn.modules.linear.Linear'")


def test_every_type_that_torch_writes(torch, path):
    types = ("float64", "int32", "int16", "int8", "uint8", "bool", "uint16", "uint32", "uint64")
    state = {name: torch.tensor([0, 1, 1]).to(getattr(torch, name))[1:] for name in types}
    state["parameter"] = torch.nn.Parameter(torch.ones(2))
    torch.save({"net": state, "counts": collections.Counter([1]), "size": torch.Size([1])}, path)
    found = read_weights(path)
    assert found.notes == ("read the weights under 'net', not counts, size",)
    for name, array in found.state.items():
        np.testing.assert_array_equal(array, state[name].detach().numpy(), strict=True)


def test_files_that_safetensors_writes(torch, path):
    saving = pytest.importorskip("safetensors.torch", reason="needs safetensors, which writes them")
    state = torch.nn.BatchNorm2d(4).state_dict() | {"brain": torch.randn(3, 2).bfloat16()}
    saving.save_file(state, path)
    found = read_state_dict(path)
    assert found.keys() == state.keys()
    for name, array in found.items():
        np.testing.assert_array_equal(array, state[name].to(torch.float64).numpy())
