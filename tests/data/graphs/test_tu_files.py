"""The text files of TUDataset's format: every packaging is read, every fault told with its line."""

import logging
import re
import zipfile

import numpy as np
import pytest

from mmix_jax.data.graphs.tu_files import parse_texts, parts_in, read_texts
from mmix_jax.errors import InputError
from tests.data.graphs import tu_files
from tests.data.graphs.tu_files import MINIMAL, TOY


def _parse(source, name="TOY"):
    return parse_texts(read_texts(source, name))


@pytest.fixture
def read(tmp_path):
    """Reads a toy set whose parts are changed; a change to None leaves the part out."""

    def read(parts=TOY, **changes):
        parts = {part: text for part, text in (parts | changes).items() if text is not None}
        return _parse(tu_files.write_zip(tmp_path, "TOY", parts))

    return read


def _assert_same(found, wanted):
    for part, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(part, other, strict=True)


def test_nodes_and_graphs_are_counted_from_zero(read):
    found = read()
    assert found.first_node.tolist() == [0, 3, 3, 5, 6]
    assert found.senders.tolist() == [0, 1, 1, 2, 0, 2, 4]
    assert found.receivers.tolist() == [1, 0, 2, 1, 2, 0, 3]
    assert found.labels.tolist() == [1, 0, 0, 1]
    assert found.node_labels.tolist() == [[3], [7], [3], [-2], [3], [7]]
    assert found.node_attributes.tolist() == [[0.5, 7], [1.5, 7], [-1, 7], [20, 7], [0, 7], [0, 7]]


def test_parts_that_may_be_missing(read):
    found = read(MINIMAL)
    assert (found.node_labels, found.node_attributes) == (None, None)


@pytest.mark.parametrize("inside", ["TOY//", "TOY/", "", "TOY\\", "a/b/"])
def test_names_inside_the_archive_differ(read, tmp_path, inside):
    wanted = read()
    _assert_same(_parse(tu_files.write_zip(tmp_path, "TOY", TOY, inside=inside)), wanted)


def test_an_unpacked_folder_is_the_same(read, tmp_path):
    _assert_same(_parse(tu_files.write_folder(tmp_path, "TOY", TOY)), read())


def test_line_ends_of_windows_and_empty_lines_at_the_end(read):
    wanted = read()
    _assert_same(read({part: text.replace("\n", "\r\n") for part, text in TOY.items()}), wanted)
    _assert_same(read({part: text.rstrip("\n") for part, text in TOY.items()}), wanted)
    _assert_same(read({part: text + "\n \n" for part, text in TOY.items()}), wanted)


WAYS = {
    "windows": lambda text: text.replace("\n", "\r\n"),
    "old mac": lambda text: text.replace("\n", "\r"),
    "empty lines": lambda text: "\n\n" + text.replace("\n", "\n \t\n\n"),
    "spaces": lambda text: text.replace("\n", "  \n"),
    "mark": lambda text: "\ufeff" + text,
    "points": lambda text: re.sub(r"(?m)(^|, )(-?\d+)(?=,|$)", r"\1\2.0", text),
    "no end": lambda text: text.rstrip(),
}


@pytest.mark.parametrize("way", WAYS)
def test_ways_of_writing_the_same(read, way):
    wanted = read()
    _assert_same(read({part: WAYS[way](text) for part, text in TOY.items()}), wanted)


def test_text_of_windows_wide_characters(tmp_path, read):
    wanted = read()
    folder = tu_files.write_folder(tmp_path, "TOY", TOY)
    for path in folder.iterdir():
        path.write_text(path.read_text(), encoding="utf-16")
    _assert_same(_parse(folder), wanted)


@pytest.mark.parametrize(
    ("indicator", "labels", "first_node", "told"),
    [
        ("2 2 2 3 3 4", "1 2 1 2", [0, 0, 3, 5, 6], "warning: .*nodes: 1 of 4 \\(1\\)"),
        ("1 1 1 2 2 3", "1 2 1 2 1", [0, 3, 5, 6, 6, 6], "warning: .*nodes: 2 of 5 \\(4, 5\\)"),
        ("1 1 1 3 3 4", "1 2 1 2", [0, 3, 3, 5, 6], "^TOY.*graphs without nodes: 1 of 4"),
    ],
)
def test_graphs_without_nodes_are_told(read, indicator, labels, first_node, told, caplog):
    """Warned of where they are the first or last, as if a file had been cut."""
    lines = [words.replace(" ", "\n") for words in (indicator, labels)]
    with caplog.at_level(logging.INFO):
        found = read(graph_indicator=lines[0], graph_labels=lines[1])
    assert found.first_node.tolist() == first_node
    (record,) = caplog.records
    assert re.search(told, record.getMessage())


@pytest.mark.parametrize(
    ("others", "told"), [({}, "not in it; the"), ({"graph_attributes": "1.5\n"}, "only numbers of")]
)
def test_a_set_without_classes_is_warned_of(read, others, told, caplog):
    found = read(TOY | others, graph_labels=None)
    assert found.labels is None
    assert found.first_node.tolist() == [0, 3, 3, 5, 6]
    (record,) = (record for record in caplog.records if record.levelno == logging.WARNING)
    assert told in record.getMessage()


@pytest.mark.parametrize("inside", ["TOY", "TOY/raw", "raw", "TOY/TOY"])
def test_folders_as_libraries_make_them(tmp_path, read, inside):
    wanted = read()
    place = tmp_path / "data" / inside
    tu_files.write_folder(place.parent, "TOY", TOY).rename(place)
    (tmp_path / "data" / "processed").mkdir()
    source = place.parent if inside in ("TOY/raw", "TOY/TOY") else tmp_path / "data"
    _assert_same(_parse(source), wanted)


@pytest.mark.parametrize("parts", [[], ["node_labels"], ["node_attributes"]])
def test_parts_that_are_not_asked_for_are_not_read(tmp_path, parts):
    source = tu_files.write_zip(tmp_path, "TOY", TOY | {"edge_labels": "none"})
    texts = read_texts(source, "TOY", parts)
    assert texts.keys() == {*MINIMAL, *parts}
    assert parts_in(source, "TOY") == {*TOY, "edge_labels"}


# Bad input


@pytest.mark.parametrize(
    ("part", "text", "told"),
    [
        ("graph_indicator", "1\n1\n1\n3\n2\n4\n", "line 5: graph numbers must never fall, found 2"),
        ("graph_indicator", "0\n0\n0\n1\n1\n2\n", "line 1: graphs must count from 1, found 0"),
        ("graph_indicator", "", "must hold a number or more, found none"),
        ("graph_labels", "1\n-1\n1\n", "a label for each of 4 graphs, found 3"),
        ("graph_labels", "1\n\n-1\n1\n", r"4 graphs, found 3 \(beside 1 empty line\);"),
        ("graph_labels", "1\n-1\n1.5\n1\n", "line 3: must hold 1 integers .*found '1.5'"),
        ("node_labels", "3\n7\n3\n-2\n3\n", "each of 6 nodes, found 5"),
        ("node_labels", "3\n7\n\n-2\n3\n7\n", r"6 nodes, found 5 \(beside 1 empty line\);"),
        ("node_labels", "3\n7\n3\n-2\n3\nC\n", "line 6: .*found 'C'"),
        ("node_labels", "3\n7, 1\n3\n-2\n3\n1\n", "line 2: .*found '7, 1'"),
        ("node_labels", "3\n7\n3\n-2\n3\n" + "9" * 60, f"line 6: .*found '{'9' * 40}…'"),
        ("node_attributes", "1\n2\n3\n4\nnan\n6\n", "line 5: must hold 1 finite numbers"),
        ("node_attributes", "1\n2\n3\n4\n5\n1e999\n", "line 6: must hold 1 finite numbers"),
        ("node_attributes", "1, 2\n1, 2\n1, 2\n1\n1, 2\n1, 2\n", "line 4: must hold 2 finite"),
        ("node_attributes", "", "each of 6 nodes, found 0"),
        ("node_labels", "3\n\n7\n3\n-2\n3\nC\n", "line 7: .*found 'C'"),
        ("node_labels", "3\n7\n3\n-2\n3\n1e17\n", "line 6: .*found '1e17'"),
        ("node_labels", "3\n7\n3\n-2\n3\nnan\n", "line 6: .*found 'nan'"),
        ("graph_indicator", "\n1\n1\n \n1\n3\n2\n4\n", "line 7: graph numbers must never fall"),
        ("A", "1, 2\n\n7, 6\n", "line 3: nodes must lie in 1 … 6, found 7, 6"),
        ("A", "\n1, 2\n1, 3\n\n\n3, 4\n", "line 6: an edge must stay in one graph"),
        ("A", "1, 2\n7, 6\n", r"line 2: nodes must lie in 1 … 6, found 7, 6"),
        ("A", "0, 1\n", "line 1: nodes must lie in 1 … 6, found 0, 1"),
        ("A", "1, 2\n1, 3\n3, 4\n", "line 3: an edge must stay in one graph, found graphs 1 and 3"),
        ("A", "1 2\n", "line 1: must hold 2 integers separated by commas, found '1 2'"),
        ("A", "1, 2, 3\n", "line 1: must hold 2 integers"),
        ("A", "1, 2\n1,\n", "line 2: must hold 2 integers"),
        ("A", "1, 2\n1, é\n", r"line 2: .*found '1, \\\\xc3\\\\xa9'"),
        ("A", "1, 2\n# 1, 3\n", "line 2: must hold 2 integers"),
    ],
)
def test_bad_files_are_told_with_their_line(read, part, text, told):
    with pytest.raises(InputError, match=told) as caught:
        read(**{part: text})
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(f"TOY_{part}.txt in ")


def test_files_of_other_lengths_are_told(read):
    with pytest.raises(InputError, match=r"TOY_graph_labels\.txt .*each of 5 graphs, found 4"):
        read(graph_indicator="1\n1\n1\n3\n3\n5\n")
    with pytest.raises(InputError, match=r"TOY_node_labels\.txt .*each of 7 nodes, found 6"):
        read(graph_indicator=TOY["graph_indicator"] + "4\n")


@pytest.mark.parametrize("part", ["A", "graph_indicator"])
def test_an_incomplete_set_is_told(read, tmp_path, part):
    with pytest.raises(InputError, match=rf"TOY\.zip: TOY_{part}\.txt must be in it, found none"):
        read(**{part: None})
    folder = tu_files.write_folder(tmp_path, "TOY", {k: v for k, v in TOY.items() if k != part})
    with pytest.raises(InputError, match=rf"TOY_{part}\.txt must be in it"):
        _parse(folder)


def test_the_wrong_set_is_told(read, tmp_path):
    read()
    with pytest.raises(InputError, match=r"MUTAG_A\.txt must be in it"):
        _parse(tmp_path / "TOY.zip", "MUTAG")


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: b"<html>not found</html>",
        lambda content: b"",
        lambda content: content.replace(b"TOY_A.txt", b"TOY_A.txt\0\0\0\0", 1),
    ],
    ids=["cut", "another file", "empty", "shifted bytes"],
)
def test_a_damaged_zip_is_told(tmp_path, damage):
    path = tu_files.write_zip(tmp_path, "TOY", TOY)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=r"TOY\.zip: not a readable zip .*; delete it") as caught:
        _parse(path)
    assert "\n" not in str(caught.value)


def test_archives_that_would_leave_their_folder_are_refused(tmp_path):
    path = tu_files.write_zip(tmp_path, "TOY", TOY)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../TOY_A.txt", "1, 2\n")
    with pytest.raises(InputError, match="do not unpack it"):
        _parse(path)


def test_a_file_that_is_there_twice_is_refused(tmp_path):
    path = tu_files.write_zip(tmp_path, "TOY", TOY)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("other/TOY_A.txt", "1, 2\n")
    with pytest.raises(InputError, match=r"found 'other/TOY_A\.txt' a second time"):
        _parse(path)
