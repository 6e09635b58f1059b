"""Files are read from folders and archives alike, and only those that stay inside."""

import io
import pathlib
import stat
import tarfile
import zipfile

import pytest

from mmix_jax.data.store.containers import check_members, open_container
from mmix_jax.errors import InputError

FILES = {"b/2.txt": b"two", "a/1.txt": b"one", "c.txt": b"three" * 50}
ENDINGS = ["folder", ".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz"]


def pack(place: pathlib.Path, ending: str, members) -> pathlib.Path:
    """Writes (name, content) pairs as a folder or an archive, in this order."""
    path = place / f"packed{'' if ending == 'folder' else ending}"
    if ending == "folder":
        for name, content in members:
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(content)
    elif ending == ".zip":
        with zipfile.ZipFile(path, "w") as zipped:
            for name, content in members:
                zipped.writestr(name, content)
    else:
        mode = "w:" + ending.removeprefix(".tar").replace("tgz", "gz").replace(".", "")
        with tarfile.open(path, mode) as tar:
            for name, content in members:
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return path


@pytest.mark.parametrize("ending", ENDINGS)
def test_all_files_are_listed_and_those_wanted_read(tmp_path, ending):
    with open_container(pack(tmp_path, ending, FILES.items())) as container:
        order = sorted(FILES) if ending == "folder" else list(FILES)
        assert list(container.members) == order
        assert list(container.read(FILES)) == [(name, FILES[name]) for name in order]
        assert list(container.read({"a/1.txt"})) == [("a/1.txt", b"one")]
        with pytest.raises(InputError, match=r"d.txt must be in it, found none"):
            list(container.read({"a/1.txt", "d.txt"}))


@pytest.mark.parametrize("ending", [".zip", ".tar"])
def test_names_are_written_in_one_way(tmp_path, ending):
    given = [("./a//1.txt", b"one"), ("b\\2.txt", b"two")]
    with open_container(pack(tmp_path, ending, given)) as container:
        assert dict(container.read({"a/1.txt", "b/2.txt"})) == {
            "a/1.txt": b"one",
            "b/2.txt": b"two",
        }


@pytest.mark.parametrize("ending", [".zip", ".tar.gz"])
@pytest.mark.parametrize("name", ["../a.txt", "/a.txt", "C:\\a.txt"])
def test_names_that_leave_the_archive_are_refused(tmp_path, ending, name):
    path = pack(tmp_path, ending, [("fine.txt", b""), (name, b"")])
    with pytest.raises(InputError, match="below its own folder only"), open_container(path):
        pass


@pytest.mark.parametrize("ending", [".zip", ".tar"])
def test_a_name_twice_is_refused(tmp_path, ending):
    path = pack(tmp_path, ending, [("a/b", b"1"), ("a//b", b"2")])
    with pytest.raises(InputError, match="'a/b' a second time"), open_container(path):
        pass


@pytest.mark.parametrize("ending", [".zip", ".tar", ".tar.gz", ".tar.xz"])
def test_damaged_archives_are_told_in_one_line(tmp_path, ending):
    path = pack(tmp_path, ending, FILES.items())
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(InputError, match="not a readable archive") as caught, open_container(path):
        pass
    assert "\n" not in str(caught.value)


def test_a_damaged_member_is_told_with_its_name(tmp_path):
    path = pack(tmp_path, ".zip", FILES.items())
    path.write_bytes(path.read_bytes().replace(b"one", b"0ne", 1))
    with (
        pytest.raises(InputError, match=r"a/1.txt in .*zip: cannot be read \(BadZipFile: Bad CRC"),
        open_container(path) as container,
    ):
        list(container.read(FILES))


def test_linked_folders_are_entered_and_circles_are_not(tmp_path):
    path = pack(tmp_path, "folder", FILES.items())
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "3.txt").write_bytes(b"far")
    (path / "far").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(path / "a")  # a/1.txt a second time: no circle
    for name, target in {"self": path, "root": path.parents[-1], "nothing": path / "no"}.items():
        (path / "a" / name).symlink_to(target)
    with open_container(path) as container:
        assert list(container.members) == sorted({*FILES, "far/3.txt", "far/back/1.txt"})
        assert dict(container.read({"far/3.txt"})) == {"far/3.txt": b"far"}
        assert container.left_out["a/self"] == container.left_out["a/root"] == "a link in a circle"
        assert container.left_out["a/nothing"] == "a link to nothing"


@pytest.mark.parametrize("ending", ["folder", ".zip", ".tar"])
def test_empty_folders_are_listed(tmp_path, ending):
    path = pack(tmp_path, ending, FILES.items())
    if ending == "folder":
        (path / "x" / "y").mkdir(parents=True)
    elif ending == ".zip":
        with zipfile.ZipFile(path, "a") as zipped:
            zipped.writestr("./x/y/", b"")
    else:
        with tarfile.open(path, "a") as tar:
            member = tarfile.TarInfo("./x/y")
            member.type = tarfile.DIRTYPE
            tar.addfile(member)
    with open_container(path) as container:
        assert "x/y" in container.folders
        assert set(container.members) == set(FILES)


def test_other_sources_are_told(tmp_path):
    (tmp_path / "a.rar").write_bytes(b"")
    for name, found in (("a.rar", "another file"), ("b.zip", "nothing there")):
        with (
            pytest.raises(InputError, match=f"ends in .zip, .tar, .*, found {found}"),
            open_container(tmp_path / name),
        ):
            pass


# What an archive may hold

GOOD = ("MUTAG/", "MUTAG//MUTAG_A.txt", "a/b..c/d.txt", "..hidden")
BAD = ("../a", "a/../../b", "/etc/passwd", "a\\..\\..\\b", "C:\\a", "C:a", "\\\\host\\a")


def _zip(*members) -> zipfile.ZipFile:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for member in members:
            archive.writestr(member, "")
    return zipfile.ZipFile(stream)


def _tar(*members) -> tarfile.TarFile:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for member in members:
            if isinstance(member, str):
                member = tarfile.TarInfo(member)
            archive.addfile(member)
    stream.seek(0)
    return tarfile.open(fileobj=stream)


@pytest.mark.parametrize("pack", [_zip, _tar])
def test_plain_members_pass(pack):
    check_members(pack(*GOOD))


@pytest.mark.parametrize("pack", [_zip, _tar])
@pytest.mark.parametrize("name", BAD)
def test_names_that_leave_the_folder_are_refused(pack, name):
    with pytest.raises(InputError, match="do not unpack it"):
        check_members(pack("fine", name))


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_in_tar_are_refused(kind):
    member = tarfile.TarInfo("a")
    member.type, member.linkname = kind, "b"
    with pytest.raises(InputError, match="a link or device"):
        check_members(_tar(member))


def test_links_in_zip_are_refused():
    member = zipfile.ZipInfo("a")
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(InputError, match="a link or device"):
        check_members(_zip(member))


def test_published_archives_pass(data_dir):
    with zipfile.ZipFile(data_dir / "tu" / "MUTAG.zip") as archive:
        check_members(archive)
