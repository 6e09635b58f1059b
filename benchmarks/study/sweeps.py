"""The sweeps of the study, by name: what each question asks, with which arms and seeds."""

from pathlib import Path
from typing import NamedTuple

from mmix_jax.errors import InputError
from mmix_jax.fields import unknown
from mmix_jax.plans.sweeping import Sweep, pairs_of

_TUNED, _ANSWER, _FEWER, _FEW = (
    range(100, 102), range(200, 210), range(200, 205), range(200, 203)
)  # fmt: skip
_ONE = range(100, 101)
# Cora's random splits: of tuning, split 100 and its validation nodes; of answers, splits 0 to 19.
_LEAN = "num_clusterings=0"
_CORA_TUNED = ("split=random", "split_seed=100", _LEAN, "num_classifiers=2", "eval_every=50")
# On 20 splits at once, which one split's validation nodes must not choose for: the last step, and
# that is the 100th, after which validation is best over the arms of the tuning.
_SPLITS = ("protocol=splits", "selection=last")
_CORA_SPLITS = (*_SPLITS, _LEAN)
_CORA_ANSWER = (*_CORA_SPLITS, "num_steps=100")
_DBLP_TUNED = (
    *("split=random", "split_seed=100", "protocol=standard", "selection=validation"),
    "num_classifiers=2",
)
_RATE = ("learning_rate=3e-3", "eval_every=50", _LEAN)
_OWN = ("batch_size=1000", "num_steps=150", *_RATE)
# A third of what is in Photo's columns are ones: as they are all vectors stay nearly parallel.
_PHOTO = ("data_path=graphs/amazon_photo.npz", "normalise_features=zscore")
_CS = ("data_path=graphs/coauthor_cs.npz",)
# Of tuning at the best τ both arms are best after 100 of the 150 steps.
_PHOTO_ANSWER = (
    *("batch_size=1000", "num_steps=100", *_RATE),
    *(*_SPLITS, *_PHOTO, "temperature=0.2"),
)
_OWN_TUNED = (*_OWN, "split=random", "split_seed=100", "num_classifiers=2")
_PHOTO_TUNED, _CS_TUNED = (*_OWN_TUNED, *_PHOTO), (*_OWN_TUNED, *_CS)
# In the MVGRL-style framework τ is 1 by default.
_OF_THREE, _OF_FOUR = "temperature=0.2,0.4,0.7", "temperature=0.2,0.4,0.7,1"
_OPTIONS = (
    "variant=none",
    "variant=none,debiased=0.05",
    "variant=none,debiased=0.1",
    "variant=negatives,num_mixed=1",
    "variant=negatives,num_mixed=2",
    "variant=negatives,num_mixed=4",
    "variant=negatives,num_mixed=8",
    "variant=negatives,mixing_start=0.5",
    "variant=negatives,skip_hops=1",
    "variant=negatives,skip_hops=2",
    "variant=negatives,skip_hardest=0.01",
    "variant=negatives,skip_hardest=0.05",
    "variant=negatives,debiased=0.05",
    "variant=negatives,debiased=0.1",
)
_UNLIKE = ("variant=none,mo,mp_nodiv,random,mo_op,mo_all,binary",)


class Asked(NamedTuple):
    """A sweep of the study. first: the rows whose comparison is a question's first; learnt: those
    whose comparison to their own untrained encoder is."""

    config: str
    changes: tuple[str, ...] = ()
    vary: tuple[str, ...] = ()
    arms: tuple[str, ...] = ()
    baseline: str = ""
    seeds: range = _ANSWER
    validation: bool = False
    first: tuple[str, ...] = ()
    learnt: tuple[str, ...] = ()

    @property
    def data(self) -> str:
        """The name of its file of data; empty where the config has a data set of its own."""
        paths = (change.partition("data_path=")[2] for change in self.changes)
        return next((Path(path).stem for path in paths if path), "")

    def sweep(self, folder: Path, **flags) -> Sweep:
        changes = pairs_of(f"--config.{change}" for change in self.changes)
        return Sweep(
            self.config, changes, self.vary, self.baseline, self.seeds, folder,
            validation=self.validation, arms=self.arms, **flags,
        )  # fmt: skip


def _tuning(config: str, changes: tuple[str, ...], **options) -> Asked:
    return Asked(config, changes, validation=True, seeds=options.pop("seeds", _TUNED), **options)


SWEEPS: dict[str, Asked] = {
    "a": Asked("dblp", vary=("variant=none,mo,mp_nodiv",), seeds=range(200, 215), first=("mo",)),
    "b": Asked(
        "pubmed",
        (_LEAN,),
        arms=(
            "variant=none",
            "variant=mp_nodiv",
            "variant=random",
            "variant=mp_nodiv,mixing_start=1",
        ),
        first=("mp_nodiv",),
    ),
    "b_z": Asked(
        "pubmed", (_LEAN, "embed_from=z"), vary=("variant=none,mp_nodiv,random",), seeds=_FEWER
    ),
    "c_cora_none": _tuning("cora:none", _CORA_TUNED, vary=(_OF_FOUR,)),
    "c_cora_mo": _tuning(
        "cora:mo", _CORA_TUNED, vary=(_OF_FOUR, "mixing_temperature=1,0.3,0.1")
    ),
    "c_cora": Asked("cora", _CORA_ANSWER, vary=("variant=none,mo",), first=("mo",)),
    "c_cora_long": Asked(
        "cora", _CORA_SPLITS, vary=("temperature=1,0.4", "variant=none,mo"),
        baseline="variant=none", seeds=_FEWER,
    ),
    "c_dblp_none": _tuning("dblp:none", _DBLP_TUNED, vary=(_OF_THREE,), seeds=_ONE),
    "c_dblp_mo": _tuning("dblp:mo", _DBLP_TUNED, vary=(_OF_THREE,), seeds=_ONE),
    "c_dblp_sharp": _tuning(
        "dblp:mo", (*_DBLP_TUNED, "temperature=0.7"), vary=("mixing_temperature=0.3,0.1",),
        seeds=_ONE,
    ),
    # What the config takes by itself: none and mo, of one seed, are among those above.
    "c_dblp_rules": _tuning(
        "dblp", (*_DBLP_TUNED, "temperature=0.7"), vary=("variant=mp,mp_nodiv",), seeds=_ONE
    ),
    "c_photo_none": _tuning("graph_file:none", _PHOTO_TUNED, vary=(_OF_FOUR,), seeds=_ONE),
    "c_photo_mo": _tuning("graph_file:mo", _PHOTO_TUNED, vary=(_OF_FOUR,), seeds=_ONE),
    "c_photo_sharp": _tuning(
        "graph_file:mo", (*_PHOTO_TUNED, "temperature=0.2"), vary=("mixing_temperature=0.3,0.1",),
        seeds=_ONE,
    ),
    "c_photo": Asked(
        "graph_file", _PHOTO_ANSWER, arms=("variant=none", "variant=mo,mixing_temperature=0.1"),
        seeds=_FEWER, first=("mo, mixing_temperature=0.1",),
    ),
    "c_cs_none": _tuning("graph_file:none", _CS_TUNED, vary=(_OF_THREE,), seeds=_ONE),
    "c_cs_mo": _tuning("graph_file:mo", _CS_TUNED, vary=(_OF_THREE,), seeds=_ONE),
    "c_cs_sharp": _tuning(
        "graph_file:mo", (*_CS_TUNED, "temperature=0.2"), vary=("mixing_temperature=0.3,0.1",),
        seeds=_ONE,
    ),
    "c_cs": Asked(
        "graph_file",
        ("batch_size=1000", *_RATE, *_SPLITS, *_CS),
        # Each with the temperature and the steps that are best for it by validation.
        arms=(
            "variant=none,temperature=0.7,num_steps=150",
            "variant=mo,temperature=0.2,num_steps=100",
        ),
        seeds=_FEW, first=("mo, temperature=0.2, num_steps=100",),
    ),
    "d_cora_tuned": _tuning("cora", _CORA_TUNED, arms=_OPTIONS),
    "d_cora": Asked(
        "cora", _CORA_ANSWER,
        arms=(
            "variant=none",
            "variant=none,debiased=0.05",
            "variant=negatives,num_mixed=8,skip_hardest=0.05",
            "variant=negatives,num_mixed=8,skip_hardest=0.05,debiased=0.1",
        ),
        first=("negatives, num_mixed=8, skip_hardest=0.05",),
    ),
    # At the τ that c_photo_none chose.
    "d_photo_tuned": _tuning(
        "graph_file", (*_PHOTO_TUNED, "temperature=0.2"), arms=_OPTIONS, seeds=_ONE
    ),
    "d_photo": Asked(
        "graph_file", _PHOTO_ANSWER,
        arms=(
            "variant=none",
            "variant=none,debiased=0.05",
            "variant=negatives,num_mixed=2,mixing_start=0.5,skip_hops=1,skip_hardest=0.01",
            "variant=negatives,num_mixed=2,mixing_start=0.5,skip_hops=1,skip_hardest=0.01,debiased=0.05",
        ),
        seeds=_FEWER,
        first=("negatives, num_mixed=2, mixing_start=0.5, skip_hops=1, skip_hardest=0.01",),
    ),
    "e_chameleon": Asked(
        "graph_file", (*_OWN, "data_path=graphs/chameleon_filtered.npz"), vary=_UNLIKE,
        first=("mo", "mo_all"),
    ),
    "e_actor": Asked(
        "graph_file", (*_OWN, "data_path=graphs/actor.npz"), vary=_UNLIKE, seeds=_FEWER,
        first=("mo", "mo_all"),
    ),
    "g": Asked(
        "cifar10:small", ("num_steps=390",),
        arms=(
            "variant=none",
            "variant=mo_op,threshold=0.9",
            "variant=mo_op,threshold=0.7",
            "variant=mo_all,mixing_temperature=0.1",
            "variant=negatives,num_mixed=4",
            "variant=mp",
            "variant=binary",
            "variant=i_mix",
        ),
        seeds=_FEWER, first=("mo_op, threshold=0.9",),
    ),
    "g_fashion": Asked(
        "fashion_mnist:small", ("num_steps=390",),
        arms=(
            "variant=none",
            "variant=mo_op,threshold=0.9",
            "variant=mo_all,mixing_temperature=0.1",
        ),
        seeds=_FEW, first=("mo_op, threshold=0.9",),
    ),
    "h_proteins": Asked(
        "mutag", ("dataset=PROTEINS", "features=auto", _LEAN),
        vary=("variant=none,mo,mp,mp_nodiv",), seeds=_FEWER, learnt=("none",),
    ),
    "h_nci1": Asked(
        "mutag", ("dataset=NCI1", "features=auto", _LEAN),
        vary=("variant=none,mo,mp",), seeds=_FEW, learnt=("none",),
    ),
}  # fmt: skip


def chosen(names: list[str]) -> list[str]:
    """Sweeps of the names: those of a question, or one.

    Raises:
      InputError: one is unknown.
    """
    questions = dict.fromkeys(name.partition("_")[0] for name in SWEEPS)
    for name in names:
        if name not in SWEEPS and name not in questions:
            raise InputError(unknown("question", name, {*questions, *SWEEPS}))
    return [
        name for name in SWEEPS
        if not names or name in names or name.partition("_")[0] in names
    ]  # fmt: skip
