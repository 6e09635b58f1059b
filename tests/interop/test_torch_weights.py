"""Files of torch.save: tensors come back, anything else is refused before it runs."""

import collections
import os
import zipfile

import numpy as np
import pytest

from mmix_jax.errors import InputError
from mmix_jax.interop.torch_weights import read_state_dict
from tests.interop.torch_files import BRAIN, FLOAT, HALF, LONG, Calls, Storage, save, tensor


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


@pytest.mark.parametrize("key", ["state_dict", "model", None])
@pytest.mark.parametrize("prefix", ["module.", ""])
def test_a_checkpoint_around_it_and_a_prefix_are_taken_off(path, key, prefix):
    state = {f"{prefix}a.weight": tensor(six(), (6,), (1,)), f"{prefix}b": tensor(six(), (), ())}
    content = {"epoch": 3, key: state, "optimizer": [None]} if key else state
    assert list(read_state_dict(save(path, content, {"0": SIX.tobytes()}))) == ["a.weight", "b"]


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
    torch.save(layer.double().state_dict(), path)
    refused(path, "'torch.DoubleStorage'")
