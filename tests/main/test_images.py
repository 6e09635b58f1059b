"""Images from the command line: a run in every mode, and bad input in one line each."""

import pathlib
import re
import shutil
import socket
import time

import jax
import numpy as np
import pytest

from mmix_jax import convert
from mmix_jax.encoders.resnet import ResNet18
from mmix_jax.interop.torch_resnet import entry_table, from_state_dict
from mmix_jax.interop.torch_weights import read_state_dict
from tests.data.images import cifar_files
from tests.experiments.images import small_images
from tests.interop.torch_files import save_state
from tests.main.program import CONFIGS, contents, numbers, refused, run, steps_of

pytestmark = pytest.mark.slow

NUM_IMAGES = small_images.NUM_TRAIN + small_images.NUM_TEST
QUICK = [f"--config.{name}={value}" for name, value in small_images.QUICK.items()]
OWN = [
    f"--config={CONFIGS}/image_folder.py:smoke",
    f"--config.image_size={small_images.SIZE}",
    *QUICK,
]


@pytest.fixture(scope="module", autouse=True)
def nobodys_data(tmp_path_factory):
    """Neither a cache nor data of this machine, and no way to the source."""
    with pytest.MonkeyPatch.context() as patch, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        patch.setenv("MMIX_CIFAR_URL", f"http://127.0.0.1:{closed.getsockname()[1]}/")
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("NO_PROXY", "127.0.0.1")
        patch.setenv("no_proxy", "127.0.0.1")
        patch.delenv("MMIX_DATA_DIR", raising=False)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> pathlib.Path:
    return small_images.save(tmp_path_factory.mktemp("data") / "set", small_images.files())


@pytest.fixture(scope="module")
def flags(folder) -> list[str]:
    """A training on images of one's own that takes seconds."""
    return [*OWN, f"--config.data_path={folder}"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory, flags):
    """The workdir of a finished run, to be looked at only, and what it printed."""
    workdir = tmp_path_factory.mktemp("finished") / "run"
    return workdir, run(*flags, f"--workdir={workdir}")


@pytest.fixture
def trained(finished, tmp_path) -> pathlib.Path:
    """A copy of a finished run's workdir, to be spoilt."""
    return shutil.copytree(finished[0], tmp_path / "trained")


def embedded(workdir: pathlib.Path) -> dict[str, np.ndarray]:
    with np.load(workdir / "embeddings.npz") as arrays:
        return dict(arrays)


# Every mode


def test_a_run_leaves_files_and_a_table(finished):
    workdir, ran = finished
    assert (ran.status, ran.told) == (0, [])
    names = {path.name for path in workdir.iterdir()}
    assert names == {"config.json", "metrics.jsonl", "tensorboard", "checkpoints", "results.jsonl"}
    *rows, sentence = ran.out.rstrip().split("\n")[-5:]
    assert re.match(
        r"trained less untrained: \S+ knn top1 %, \S+ linear top1 % \(n = 1\)", sentence
    )
    for row, result in zip(rows, numbers(workdir), strict=True):
        assert result.protocol in row
        assert ("random" in row) == (not result.trained)


def test_starting_again_only_reports(trained, flags):
    before, kept = numbers(trained), contents(trained / "checkpoints")
    ran = run(*flags, f"--workdir={trained}")
    assert (ran.status, ran.told) == (0, [])
    assert numbers(trained) == before
    assert contents(trained / "checkpoints") == kept


def test_a_training_goes_on_where_it_was_left(finished, trained, flags):
    """The last step's checkpoint is gone: its steps are taken again, from the one before."""
    before = steps_of(trained)
    assert before[-1] == 6 and len(before) > 1
    shutil.rmtree(trained / "checkpoints" / "seed_0" / "6")
    assert steps_of(trained)[-1] == before[-2] < 6
    (trained / "results.jsonl").unlink()
    ran = run(*flags, f"--workdir={trained}")
    assert (ran.status, ran.told) == (0, [])
    assert numbers(trained) == numbers(finished[0])


def test_evaluating_gives_the_same_numbers(trained, flags):
    before = numbers(trained)
    (trained / "results.jsonl").unlink()
    ran = run(*flags, f"--workdir={trained}", "--mode=eval")
    assert (ran.status, ran.told) == (0, [])
    assert numbers(trained) == before


def test_a_checkpoint_may_be_evaluated_otherwise(trained, flags):
    changed = ["--config.num_neighbours=7", "--config.num_test=6", "--config.probe_copies=1"]
    ran = run(*flags, f"--workdir={trained}", "--mode=eval", *changed)
    assert (ran.status, ran.told) == (0, [])
    assert {row.protocol for row in numbers(trained)} == {"knn k=7", "linear, 1 crops"}


def test_a_checkpoint_is_evaluated_on_an_archive_of_the_same_images(finished, tmp_path):
    archive = small_images.save(tmp_path / "set.zip", small_images.files())
    flags = [*OWN, f"--config.data_path={archive}", f"--workdir={tmp_path}/new"]
    ran = run(*flags, "--mode=eval", f"--checkpoint={finished[0]}/checkpoints/seed_0")
    assert (ran.status, ran.told) == (0, [])
    assert numbers(tmp_path / "new") == numbers(finished[0])


def test_embedding_writes_vectors_and_labels(trained, flags):
    before = set(contents(trained))
    ran = run(*flags, f"--workdir={trained}", "--mode=embed")
    assert (ran.status, ran.told) == (0, [])
    assert set(contents(trained)) - before == {"embeddings.npz"}
    arrays = embedded(trained)
    assert set(arrays) == {"z", "labels", "ids"}
    assert len(set(arrays["ids"])) == NUM_IMAGES
    assert arrays["ids"][0].startswith("train/class 0/")
    assert arrays["z"].shape == (NUM_IMAGES, 4)
    assert np.isfinite(arrays["z"]).all()
    parts = (small_images.NUM_TRAIN, small_images.NUM_TEST)
    expected = [np.repeat([0, 1], count // 2) for count in parts]  # training images first
    np.testing.assert_array_equal(arrays["labels"], np.concatenate(expected))


def test_images_without_labels_are_trained_and_embedded_but_not_scored(
    finished, trained, flags, tmp_path
):
    bare = small_images.save(tmp_path / "bare", small_images.files(0, tested=False))
    own = [*OWN, f"--config.data_path={bare}", f"--workdir={tmp_path}/run"]
    ran = run(*own, "--config.num_steps=1")
    assert (ran.status, ran.told) == (0, [])
    assert "no labels" in ran.out
    logged = (tmp_path / "run" / "metrics.jsonl").read_text()
    assert "mixing/partners" in logged and "agreement" not in logged
    assert not (tmp_path / "run" / "results.jsonl").exists()
    refused(run(*own, "--config.num_steps=1", "--mode=eval"), "needs labels", "--mode=embed")
    checkpoint = f"--checkpoint={finished[0]}/checkpoints/seed_0"
    assert run(*own[:-1], f"--workdir={tmp_path}/new", "--mode=embed", checkpoint).status == 0
    assert run(*flags, f"--workdir={trained}", "--mode=embed").status == 0
    found, labelled = embedded(tmp_path / "new"), embedded(trained)["z"]
    assert set(found) == {"z", "ids"}
    both = [labelled[: small_images.NUM_TRAIN // 2], labelled[small_images.NUM_TRAIN // 2 :]]
    expected = np.stack([both[0], both[1][: small_images.NUM_TRAIN // 2]], axis=1).reshape(-1, 4)
    np.testing.assert_allclose(found["z"], expected, rtol=1e-5, atol=1e-6)


def test_without_a_test_part_some_images_are_kept_for_it(tmp_path):
    whole = small_images.save(tmp_path / "set", small_images.files(tested=False))
    flags = [*OWN, f"--config.data_path={whole}", f"--workdir={tmp_path}/run"]
    flags += ["--config.num_steps=1", "--config.test_share=0.25"]
    ran = run(*flags)
    assert (ran.status, ran.told) == (0, [])
    for row in numbers(tmp_path / "run"):
        assert row.mean * 10 == pytest.approx(round(row.mean * 10))  # of ten images
    assert run(*flags, "--mode=embed").status == 0
    assert embedded(tmp_path / "run")["z"].shape == (small_images.NUM_TRAIN, 4)


def test_weights_of_torch_are_evaluated(folder, tmp_path):
    small = {"stages": (1,), "width": 4}
    draw = np.random.default_rng(0)
    table = entry_table("torchvision", **small)
    state = {name: draw.uniform(0.1, 0.2, entry.shape) for name, entry in table.items()}
    path = save_state(tmp_path / "model.pth", state)
    converted = from_state_dict(read_state_dict(path), **small)
    convert.write_checkpoint(converted, tmp_path / "run")
    flags = [*OWN, f"--config.data_path={folder}", f"--workdir={tmp_path}/run"]
    refused(run(*flags, "--mode=eval"), "must be of this model")  # another head
    flags.append("--config.head_width=128")
    ran = run(*flags, "--mode=eval")
    assert (ran.status, len(ran.told)) == (0, 1)
    assert "does not tell mean and deviation of its training images" in ran.told[0]
    assert {(row.trained, row.steps) for row in numbers(tmp_path / "run")} == {
        (True, 0),
        (False, 0),
    }
    assert run(*flags, "--mode=embed").status == 0
    variables = {"params": converted.params["encoder"]}
    variables["batch_stats"] = converted.batch_stats["encoder"]
    data = small_images.dataset()
    x = (data.train[:1] / 255 - data.mean) / data.std
    expected = ResNet18(**small).apply(variables, jax.numpy.asarray(x, jax.numpy.float32))
    z = embedded(tmp_path / "run")["z"]
    np.testing.assert_allclose(z[:1], expected, rtol=1e-4)


# Bad images


def altered(changes: dict[str, bytes | None]) -> dict[str, bytes]:
    """The files of the set with some changed; a change to None leaves out all that begin so."""
    files = small_images.files()
    for name, content in changes.items():
        if content is None:
            files = {path: kept for path, kept in files.items() if not path.startswith(name)}
        else:
            files[name] = content
    return files


IMAGE = small_images.png(small_images.pixels(1)[0])
BAD_FOLDERS = {
    "no_image": ({"train/class 1/bad.png": b"no image"}, ["train/class 1/bad.png", "PNG, JPEG"]),
    "cut_image": ({"test/class 0/bad.png": IMAGE[:100]}, ["test/class 0/bad.png", "leave it out"]),
    "empty_image": ({"train/class 0/bad.jpg": b""}, ["train/class 0/bad.jpg"]),
    "one_class": ({"train/class 1": None, "test/class 1": None}, ["two classes", "'class 0'"]),
    "class_not_tested": ({"test/class 1": None}, ["no image of 'class 1' in test"]),
    "test_only": ({"train": None}, ["found test/ only"]),
    "too_deep": ({"train/class 0/more/x.png": IMAGE}, ["one folder per class"]),
    "empty_class": ({"train/class 2/a.heic": b"x"}, ["train/class 2/ must hold images", "1 .heic"]),
    "loose": ({"a.png": IMAGE}, ["one folder per class", "a.png"]),
    "beside_parts": ({"more/class 0/a.png": IMAGE}, ["must not stand beside", "more/"]),
    "two_trains": ({"Train/class 0/a.png": IMAGE}, ["one train part", "Train/, train/"]),
    "nothing": ({"train": None, "test": None, "a.txt": b""}, ["must hold images", "found none"]),
}


@pytest.mark.parametrize("name", BAD_FOLDERS)
@pytest.mark.parametrize("form", ["set", "set.zip"])
def test_bad_images_are_told_with_their_path(name, form, tmp_path):
    changes, words = BAD_FOLDERS[name]
    (tmp_path / "bad").mkdir()
    path = small_images.save(tmp_path / "bad" / form, altered(changes))
    before = contents(tmp_path)
    flags = [*OWN, f"--config.data_path={path}", f"--workdir={tmp_path}/run"]
    for mode in ("train", "embed"):
        refused(run(*flags, f"--mode={mode}"), form, *words)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.99])
def test_cut_archives_are_told(kept, tmp_path):
    path = small_images.save(tmp_path / "set.zip", small_images.files())
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    flags = [*OWN, f"--config.data_path={path}", f"--workdir={tmp_path}/run"]
    refused(run(*flags), "set.zip", "not a readable archive")
    assert set(contents(tmp_path)) == {"set.zip"}


def test_paths_that_lead_nowhere_are_told(flags, tmp_path):
    workdir = f"--workdir={tmp_path}/run"
    missing = f"--config.data_path={tmp_path}/missing"
    refused(run(*OWN, missing, workdir), f"{tmp_path}/missing", "nothing there", "check the path")
    nowhere = run(*OWN, "--config.dataset=image_folder", workdir)
    refused(nowhere, "image_folder must be given the path", "pass --config.data_path")
    refused(run(*flags, "--config.dataset=digits", workdir), "image_folder alone", "leave --config")
    (tmp_path / "set.rar").write_bytes(b"")
    refused(run(*OWN, f"--config.data_path={tmp_path}/set.rar", workdir), "set.rar", ".tar.gz")
    assert not (tmp_path / "run").exists()


def test_after_bad_images_the_corrected_command_runs_in_the_same_workdir(finished, tmp_path):
    files = small_images.files()
    bad = small_images.save(tmp_path / "set", files | {"train/class 1/bad.png": b"no image"})
    flags = [*OWN, f"--config.data_path={bad}", f"--workdir={tmp_path}/run"]
    refused(run(*flags), "train/class 1/bad.png")
    (bad / "train/class 1/bad.png").unlink()
    assert run(*flags).status == 0
    assert numbers(tmp_path / "run") == numbers(finished[0])


def test_a_few_images_train_without_a_setting(tmp_path):
    """Fewer than a batch, than the neighbours and than a tenth of what the variant is made for."""
    pixels = small_images.pixels(20)
    files = {f"class {n % 2}/{n}.bmp": small_images.png(image) for n, image in enumerate(pixels)}
    path = small_images.save(tmp_path / "set", files)
    flags = [f"--config={CONFIGS}/image_folder.py:smoke", "--config.num_devices=1"]
    flags += [f"--config.data_path={path}", f"--workdir={tmp_path}/run"]
    assert run(*flags).status == 0
    assert {row.steps for row in numbers(tmp_path / "run") if row.trained} == {4}
    assert {row.protocol for row in numbers(tmp_path / "run")} == {"knn k=9", "linear"}
    assert run(*flags).status == run(*flags, "--mode=eval").status == 0  # its own record fits
    refused(run(*flags, "--config.batch_size=16"), "batch_size (32 there, 16 asked)")
    own = ["--config.batch_size=19", f"--workdir={tmp_path}/other"]
    refused(run(*flags[:-1], *own), "batch_size must be at most the 18 training images")


# CIFAR


def cifar_flags(data_dir: pathlib.Path, workdir: pathlib.Path, name: str = "cifar10") -> list[str]:
    config = [f"--config={CONFIGS}/{name}.py:smoke", f"--config.dataset={name}", *QUICK]
    return [*config, f"--config.data_dir={data_dir}", f"--workdir={workdir}"]


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_cifar_without_data_or_network_is_told_at_once(name, mode, tmp_path):
    (tmp_path / "data").mkdir()
    begin = time.monotonic()
    ran = run(*cifar_flags(tmp_path / "data", tmp_path / "run", name), f"--mode={mode}")
    assert time.monotonic() - begin < 12
    archive = cifar_files.ARCHIVES[name, "binary"]
    told = f"put them into {tmp_path}/data/images, or name the folder that has them by --config."
    refused(ran, archive, "refused", told)
    assert not (tmp_path / "run").exists()
    refused(run(*cifar_flags(tmp_path / "no", tmp_path / "run", name)), "data_dir must be a folder")


@pytest.mark.parametrize("form", ["binary", "python"])
def test_an_archive_of_another_sum_is_told(form, tmp_path):
    path = cifar_files.write_archive(tmp_path / "images", "cifar10", form)
    ran = run(*cifar_flags(tmp_path, tmp_path / "run"))
    refused(ran, str(path), "must have SHA-256", "swapped or damaged", "get it again")
    assert not (tmp_path / "run").exists()


def test_another_set_in_cifars_folder_is_told(tmp_path):
    folder = cifar_files.write_folder(tmp_path, "cifar10", "binary")
    flags = cifar_flags(tmp_path, tmp_path / "run")
    refused(run(*flags), "num_train 50000", "found 20")
    path = folder / "data_batch_3.bin"
    path.write_bytes(path.read_bytes()[:-1])
    refused(run(*flags), "data_batch_3.bin", "rows of 3073 bytes")


# Values and workdirs that do not fit


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["num_devices=0", "batch_size=10"], ["multiple of the 4 devices", "found 10", "is 8"]),
        (["num_devices=0", "batch_size=15"], ["multiple of the 4 devices", "found 15", "is 16"]),
        (["num_devices=9"], ["num_devices asks for 9, found 4"]),
        (["num_neighbours=41"], ["num_neighbours", "at most the 40 training images", "found 41"]),
        (["batch_size=41"], ["batch_size", "at most the 40 training images", "found 41"]),
        (["num_train=41"], ["num_train must be at most 40, found 41"]),
        (["num_test=13"], ["num_test must be at most 12, found 13"]),
        (["batch_size=1"], ["batch_size must be 2 or more on images, found 1"]),
        (["probe_held_out=40"], ["probe_held_out must be 2 to 39, found 40"]),
        (["image_size=0"], ["image_size must be positive, found 0"]),
        (["mixing=propagate"], ["unknown mixing 'propagate'"]),
        (["candidates=wp"], ["unknown candidates 'wp'", "all, op"]),
        (["crop_min=0"], ["crop_min must lie in"]),
        (["hue=0.6"], ["hue must lie in", "found 0.6"]),
        (["precision=float16"], ["unknown precision 'float16'", "bfloat16"]),
        (["momentum=1.0"], ["momentum must lie in [0, 1), found 1.0"]),
        (["warmup_steps=6"], ["warmup_steps must be fewer than num_steps", "6 of 6"]),
        (["task=node"], ["every field"]),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else None,
)
def test_values_that_do_not_fit_are_told_before_training(flags, tmp_path, changes, words):
    changed = [f"--config.{change}" for change in changes]
    refused(run(*flags, *changed, f"--workdir={tmp_path}/run"), *words)
    assert contents(tmp_path) == {}


def test_a_workdir_of_other_settings_is_told_by_their_names(finished, flags):
    workdir, _ = finished
    before = contents(workdir)
    changed = ["--config.width=8", "--config.mixing=mp", "--config.crop_min=0.5"]
    for mode in ("train", "eval", "embed"):
        ran = run(*flags, *changed, f"--mode={mode}", f"--workdir={workdir}")
        refused(ran, "width (4 there, 8 asked)", "mixing ('mo' there", "crop_min (0.08 there")
    for mode in ("eval", "train"):
        changed = ["--config.num_train=20", f"--mode={mode}"]
        refused(run(*flags, *changed, f"--workdir={workdir}"), "num_train (0 there, 20 asked)")
    refused(run(*flags, "--config.num_neighbours=7", f"--workdir={workdir}"), "num_neighbours (5")
    assert contents(workdir) == before


@pytest.mark.parametrize("change", ["width=8", "head_width=16", "stages=(1,1)", "mixing=mp"])
def test_another_models_checkpoint_is_told(finished, flags, tmp_path, change):
    checkpoint = f"--checkpoint={finished[0]}/checkpoints/seed_0"
    given = [*flags, f"--config.{change}", f"--workdir={tmp_path}/new", checkpoint]
    for mode in ("eval", "embed"):
        name = change.partition("=")[0]
        refused(run(*given, f"--mode={mode}"), "is of one set of settings", f"{name} (")
    assert not (tmp_path / "new").exists()


def test_divergence_is_told_and_leaves_no_results(flags, tmp_path):
    ran = run(*flags, "--config.learning_rate=1e38", f"--workdir={tmp_path}/run")
    refused(ran, "finite", "learning_rate")
    assert not (tmp_path / "run" / "results.jsonl").exists()
