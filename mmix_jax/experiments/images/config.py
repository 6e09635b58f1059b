"""The settings of image tasks, and the variants of their configs."""

from mmix_jax.data.catalog import IMAGE_DATASETS
from mmix_jax.errors import InputError
from mmix_jax.experiments.flat import task_config
from mmix_jax.experiments.schema import (
    DEBIASED,
    NEGATIVES,
    Run,
    in_augmentation,
    in_data,
    in_evaluation,
    in_mixing,
    in_model,
    in_training,
)
from mmix_jax.fields import NOT_NEGATIVE, POSITIVE, between

_SHARE = between(0.0, 1.0)


@task_config("image")
class ImageConfig(Run):
    """Settings of an image task."""

    dataset: str = in_data("", "Name of the data set.", choices=IMAGE_DATASETS)
    image_size: int = in_data(
        32, "Height and width that your own images are resized to.", within=POSITIVE
    )
    num_train: int = in_data(
        0, "Training images to use, evenly over the classes; 0: all.", within=NOT_NEGATIVE
    )
    num_test: int = in_data(0, "… test images.", within=NOT_NEGATIVE, evaluation=True)
    test_share: float = in_data(
        0.1,
        "Share of labelled images kept for tests where the data has no test part.",
        within=between(0.001, 0.9),
    )

    crop_min: float = in_augmentation(
        0.08,
        "Smallest share of the area that a crop covers; 1: no crop.",
        within=between(0.001, 1.0),
    )
    flip: float = in_augmentation(0.5, "Probability of a horizontal flip.", within=_SHARE)
    jitter: float = in_augmentation(0.8, "… of colour jitter.", within=_SHARE)
    grayscale: float = in_augmentation(0.2, "… of grayscale.", within=_SHARE)
    brightness: float = in_augmentation(
        0.4, "Strength s of the jitter: factors 1 ± s.", within=_SHARE
    )
    contrast_jitter: float = in_augmentation(0.4, "… of contrast.", within=_SHARE, name="contrast")
    saturation: float = in_augmentation(0.4, "… of saturation.", within=_SHARE)
    hue: float = in_augmentation(0.1, "… ± s of the circle of hues.", within=between(0.0, 0.5))

    stages: tuple[int, ...] = in_model((2, 2, 2, 2), "Blocks of each stage; these are ResNet-18's.")
    precision: str = in_model(
        "auto",
        "Of convolutions; auto: bfloat16 except on a CPU.",
        choices=("auto", "float32", "bfloat16"),
    )
    head_hidden_width: int = in_model(
        0, "Width of the head's hidden layer; 0: the encoder's.", within=NOT_NEGATIVE
    )
    renormalise: bool = in_mixing(
        True, "Mixtures become unit vectors again before NT-Xent; False is the authors' code."
    )
    chunk_steps: int = in_training(
        0, "Steps per dispatch at most; 0: an epoch, or 1 on a CPU.", within=NOT_NEGATIVE
    )
    optimizer: str = in_training(
        "adam",
        "sgd has Nesterov's momentum; lars is for batches of 1,024 and more.",
        choices=("adam", "sgd", "lars"),
    )
    momentum: float = in_training(0.9, "Of sgd and lars.")
    schedule: str = in_training(
        "constant",
        "Of the learning rate; cosine: to 0 at num_steps.",
        choices=("constant", "cosine"),
    )
    warmup_steps: int = in_training(
        0, "Steps in which the rate rises linearly from 0.", within=NOT_NEGATIVE
    )
    warmup_epochs: int = in_training(
        0, "… in epochs, in place of warmup_steps.", within=NOT_NEGATIVE
    )
    num_monitored: int = in_evaluation(
        1000,
        "Training images whose classes kNN tells from four times as many others, at every "
        "evaluation; a fifth of them all at most, 0: none.",
        within=NOT_NEGATIVE,
    )

    num_neighbours: int = in_evaluation(200, "Neighbours of kNN.", within=POSITIVE)
    knn_temperature: float = in_evaluation(0.4, "Temperature of their votes.", within=POSITIVE)
    probe_epochs: int = in_evaluation(100, "Epochs of the linear probe.", within=POSITIVE)
    probe_batch_size: int = in_evaluation(512, "… its batch.", within=POSITIVE)
    probe_held_out: int = in_evaluation(
        0,
        "Training images held out to choose its L2; 0: 5,000, or a tenth of fewer than 50,000.",
        within=NOT_NEGATIVE,
    )
    probe_copies: int = in_evaluation(
        0,
        "Cropped and flipped copies of each training image for the probe; 0: clean images.",
        within=NOT_NEGATIVE,
    )
    eval_batch_size: int = in_evaluation(
        500, "Images per pass of the encoder when features are computed.", within=POSITIVE
    )

    def check(self) -> None:
        super().check()
        stages = self.stages if isinstance(self.stages, tuple) else ()
        if not stages or any(type(blocks) is not int or blocks < 1 for blocks in stages):
            raise InputError(
                f"stages must be numbers of blocks, one or more each, found {self.stages}; "
                "ResNet-18 has (2, 2, 2, 2)"
            )
        if self.batch_size < 2:
            raise InputError(
                f"batch_size must be 2 or more on images, found {self.batch_size}: one sample "
                "alone has no negatives and no variance; raise it"
            )
        if not 0.0 <= self.momentum < 1.0:
            raise InputError(
                f"momentum must lie in [0, 1), found {self.momentum}: at 1 no step is forgotten; "
                "0.9 is usual"
            )
        if self.warmup_steps and self.warmup_epochs:
            raise InputError(
                f"warmup is told in steps or in epochs, found warmup_steps {self.warmup_steps} and "
                f"warmup_epochs {self.warmup_epochs}; set one to 0"
            )
        if self.warmup_steps >= self.num_steps:
            raise InputError(
                f"warmup_steps must be fewer than num_steps, found {self.warmup_steps} of "
                f"{self.num_steps}; lower them"
            )


# What images of one's own want: epochs; num_steps, which fit CIFAR, are the most.
OWN_IMAGES = {"num_epochs": 200}

# SGD, its rate falling along a cosine, weaker crops, a wider head.
_STRONG = {
    "num_epochs": 1000,
    "num_steps": 1_000_000,
    "batch_size": 512,
    "optimizer": "sgd",
    "learning_rate": 0.06,
    "schedule": "cosine",
    "weight_decay": 5e-4,
    "crop_min": 0.2,
    "grayscale": 0.1,
    "temperature": 0.5,
    "head_hidden_width": 1024,
}

# What the variants change; `configs/cifar10.py:none` is get_config("none").
IMAGE_VARIANTS = {
    "none": {"mixing": "none"},
    "mo": {"mixing": "mo", "candidates": "op"},
    "mo_op": {"mixing": "mo", "candidates": "op"},
    "mo_all": {"mixing": "mo", "candidates": "all"},
    "mp": {"mixing": "mp", "candidates": "op", "threshold": 0.0},
    "mp_all": {"mixing": "mp", "candidates": "all"},
    "mp_nodiv": {"mixing": "mp", "candidates": "op", "threshold": 0.0, "diversity_weight": 0.0},
    "random": {"mixing": "random", "candidates": "all"},
    "binary": {"mixing": "binary", "candidates": "all"},
    "i_mix": {"mixing": "i_mix"},
    "negatives": NEGATIVES,
    "debiased": DEBIASED,
    # What the authors' code computes: self is an ordinary candidate, mixtures keep their length.
    "authors": {"mixing": "mo", "candidates": "op", "self_weight": -1.0, "renormalise": False},
    # The paper's own settings.
    "paper": {
        "mixing": "mo",
        "candidates": "op",
        "threshold": 0.9,
        "temperature": 0.4,
        "batch_size": 256,
        "optimizer": "adam",
        "learning_rate": 1e-3,
        "schedule": "constant",
        "weight_decay": 1e-6,
        "num_epochs": 0,
        "num_steps": 97_500,
        "warmup_steps": 0,
        "warmup_epochs": 0,
        "crop_min": 0.08,
        "grayscale": 0.2,
        "head_hidden_width": 0,
    },
    # What open single-file SimCLRs reach their scores with (METHOD.md section 10).
    "strong": _STRONG,
    "strong100": _STRONG | {"num_epochs": 100},
    "strong_lars": _STRONG
    | {
        "optimizer": "lars",
        "batch_size": 1024,
        "learning_rate": 1.2,
        "weight_decay": 1e-6,
        "warmup_epochs": 10,
    },
    # A small network on some of the images: a CPU takes a quarter of an hour.
    "small": {
        "stages": (1, 1, 1),
        "width": 16,
        "batch_size": 128,
        "num_train": 10_000,
        "num_test": 2_000,
        "num_monitored": 500,
        "num_steps": 15 * 78,
        "eval_every": 78,
        "checkpoint_every": 390,
    },
    # Finishes on a CPU in seconds, on generated images.
    "smoke": {
        "dataset": "generated",
        "stages": (1, 1),
        "width": 8,
        "head_width": 16,
        "precision": "float32",
        "threshold": 0.5,
        "batch_size": 32,
        "num_steps": 4,
        "chunk_steps": 2,
        "warmup_steps": 0,
        "warmup_epochs": 0,
        "num_neighbours": 20,
        "probe_epochs": 5,
        "eval_every": 2,
        "checkpoint_every": 2,
    },
}
