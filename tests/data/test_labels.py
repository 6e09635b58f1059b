"""Classes are those that occur, by their names; masks are 0 or 1."""

import numpy as np
import pandas
import pytest

from mmix_jax.data.labels import decode_classes, encode_classes, zero_or_one


@pytest.mark.parametrize(
    ("labels", "codes", "names"),
    [
        ([1, 2, 1], [0, 1, 0], [1, 2]),
        ([0, 7, 3], [0, 2, 1], [0, 3, 7]),
        ([10**12, 5, -1], [1, 0, -1], [5, 10**12]),
        ([2.0, np.nan, 0.0], [1, -1, 0], [0, 2]),
        ([True, False, True], [1, 0, 1], [0, 1]),
        (["dog", "cat", ""], [1, 0, -1], ["cat", "dog"]),
        (["dog", "cat", None], [1, 0, -1], ["cat", "dog"]),
        (["dog", "cat", "-1"], [1, 0, -1], ["cat", "dog"]),
        ([" 2 ", "10", "2"], [0, 1, 0], [2, 10]),
        (["1.0", "0.0", "NaN"], [1, 0, -1], [0, 1]),
        (["01", "10", "01"], [0, 1, 0], ["01", "10"]),
        ([None, 3, 4.0], [-1, 0, 1], [3, 4]),
        (np.array([250, 3, 3], np.uint8), [1, 0, 0], [3, 250]),
        (np.array([1, 300, 1], ">i2"), [0, 1, 0], [1, 300]),
        (np.array([1, 2, 1], np.float16), [0, 1, 0], [1, 2]),
        (np.array([2**64 - 1, 0, 0], np.uint64), [1, 0, 0], [0, 2**64 - 1]),
        (np.array([b"x", b"y", b"x"]), [0, 1, 0], ["x", "y"]),
        (pandas.Categorical(["b", "a", None]), [1, 0, -1], ["a", "b"]),
        (pandas.array([4, None, 5], dtype="Int64"), [0, -1, 1], [4, 5]),
        (np.array([[1], [2], [1]]), [0, 1, 0], [1, 2]),
        (np.ma.array([5, 6, 7], mask=[0, 0, 1]), [0, 1, -1], [5, 6]),
    ],
)
def test_classes_are_those_that_occur(labels, codes, names):
    found = encode_classes(labels, 3)
    np.testing.assert_array_equal(found.codes, np.array(codes, np.int32), strict=True)
    assert found.names.tolist() == names


def test_nothing_known_is_no_labels():
    for labels in (None, [-1, -1], [np.nan, np.nan], ["", "NaN"], [None, None]):
        assert encode_classes(labels, 2) is None
        assert encode_classes(labels, 2, of="graph") is None


def test_of_graphs_minus_one_and_one_are_two_classes():
    found = encode_classes([-1, 1, 1], 3, of="graph")
    assert (found.codes.tolist(), found.names.tolist()) == ([0, 1, 1], [-1, 1])
    assert encode_classes([-1, 1, 0], 3, of="graph").codes.tolist() == [-1, 1, 0]


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ([0, 1], r"labels must have shape \(3,\), found \(2,\); give one class per node"),
        (np.eye(3), r"found \(3, 3\)"),
        ([0, 1, -2], "found -2; number the classes from zero"),
        ([0, 1, 0.5], "found 0.5; classes are names, not measurements"),
        ([0.0, np.inf, 1.0], "found inf"),
        (["0", "1", "cat"], "one of the two, found '0' and 'cat'"),
        (["0", "0.5", "1"], "found 0.5"),
        ([1, "a", "b"], r"found 1 \(int\) among texts"),
        ([[1], "a", None], r"found \[1\] \(list\) among texts"),
        (np.array([1j, 2, 3]), "found dtype complex128"),
        ([7, 7, -1], "two classes or more, found class 7 only"),
        (["a", "a", ""], "two classes or more, found class 'a' only"),
        ([[1], [1, 2], [3]], "one value each, found otherwise"),
        ([10**400, 1, 1], "found one of many digits"),
    ],
)
def test_labels_that_are_no_classes_are_told(labels, told):
    with pytest.raises(ValueError, match=told) as caught:
        encode_classes(labels, 3)
    assert "\n" not in str(caught.value)


def test_names_are_no_classes():
    with pytest.raises(ValueError, match="found 30 different ones on 40 nodes, such as 'n0'"):
        encode_classes([f"n{i % 30}" for i in range(40)], 40)
    assert encode_classes(np.arange(40) % 20, 40).names.size == 20
    with pytest.raises(ValueError, match="found 10 different ones on 10 nodes"):
        encode_classes([f"person {i}" for i in range(10)], 10)


@pytest.mark.parametrize(
    ("codes", "names", "wanted"),
    [
        ([1, -1, 0], np.array([3, 7]), [7, -1, 3]),
        ([1, -1, 0], np.array([0, 1]), [1, -1, 0]),
        ([1, -1, 0], np.array([3, 7], np.uint8), [7, -1, 3]),
        ([1, -1, 0], np.array(["a", "b"]), ["b", "", "a"]),
    ],
)
def test_codes_become_the_names_again(codes, names, wanted):
    assert decode_classes(np.array(codes, np.int32), names).tolist() == wanted


@pytest.mark.parametrize(
    "mask",
    [
        [True, False],
        [1, 0],
        [1.0, 0.0],
        ["1", "0"],
        ["true", "False"],
        [b"1", b"0"],
        [True, 0],
        [1, "0"],
        np.array([1, 0], ">i2"),
        np.array([1, 0], np.float16),
        np.array([np.True_, "false"], object),
    ],
)
def test_masks_are_zero_and_one_of_any_type(mask):
    np.testing.assert_array_equal(zero_or_one(mask, "m"), [True, False], strict=True)


@pytest.mark.parametrize(
    "value", [np.nan, 2, -1, 0.5, None, "", "yes", "nan", 1j, np.inf, "２", np.datetime64(1, "D")]
)
@pytest.mark.parametrize("beside", [(), (True,), ("0",)])
def test_masks_of_anything_else_are_refused(value, beside):
    values = np.empty(1 + len(beside), object)
    values[:] = [value, *beside]
    for mask in (values, [value, *beside], [value]):
        with pytest.raises(ValueError, match="m must be 0 or 1, true or false, found"):
            zero_or_one(mask, "m")
