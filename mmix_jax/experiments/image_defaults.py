"""Fields of an image config and their defaults: the paper's, unless a comment says otherwise."""

from mmix_jax.experiments.defaults import Config


def image_config(dataset: str) -> Config:
    """Settings of an image task; a config file changes what its data set wants, and locks them."""
    from ml_collections import ConfigDict

    c = ConfigDict()
    # What is done: this file serves "image" tasks.
    c.task = "image"
    # --- data ---
    # Name in data.catalog: cifar10, cifar100, digits, image_folder, generated.
    c.dataset = dataset
    # Folder with the original files; empty: $MMIX_DATA_DIR, then the download cache.
    c.data_dir = ""
    # Your own images (dataset "image_folder"): a folder or an archive.
    c.data_path = ""
    # Height and width that your own images are resized to.
    c.image_size = 32
    # Training and test images to use, evenly over the classes; 0: all.
    c.num_train = 0
    c.num_test = 0
    # Share of labelled images kept for tests where the data has no test part, evenly over classes.
    c.test_share = 0.1

    # --- augmentation (SimCLR's for CIFAR) ---
    # Smallest share of the area that a crop covers; 1: no crop.
    c.crop_min = 0.08
    # Probabilities of a horizontal flip, of colour jitter, of grayscale; 0 switches off.
    c.flip = 0.5
    c.jitter = 0.8
    c.grayscale = 0.2
    # Strengths of the jitter: factors 1 ± s, and ± s of the circle of hues.
    c.brightness = 0.4
    c.contrast = 0.4
    c.saturation = 0.4
    c.hue = 0.1

    # --- model ---
    c.framework = "simclr"
    c.encoder = "resnet18"
    # Blocks of each stage; ResNet-18 has (2, 2, 2, 2).
    c.stages = (2, 2, 2, 2)
    # Channels of stem and first stage; the features are width · 2^(stages − 1).
    c.width = 64
    # Outputs of the projection head.
    c.head_width = 128
    # Convolutions in "float32", "bfloat16", or "auto": bfloat16 except on a CPU.
    c.precision = "auto"

    # --- mixing (eq. 2-7) ---
    # mo, mp, random, binary, none, neighbour_mean, i_mix.
    c.mixing = "mo"
    # op (score at least `threshold`), all.
    c.candidates = "op"
    # tau_mix; 1 is the paper's.
    c.mixing_temperature = 1.0
    # C of mo-mix; negative: self is an ordinary candidate (the authors' image code).
    c.self_weight = 0.2
    # theta of candidates "op": 0.9 for mo; mp wants 0.
    c.threshold = 0.9
    # Mix unit vectors instead of raw outputs of the head.
    c.mix_normalised = True
    # No gradient through the weights (the authors' code).
    c.stop_gradient = True
    # Mixtures become unit vectors again before NT-Xent; False is the authors' code.
    c.renormalise = True
    # Mix view b too, not view a alone.
    c.symmetric = False

    # --- objective (NT-Xent) ---
    c.objective = "nt_xent"
    # "full" (NT-Xent), or "cross" (no negatives within a view).
    c.negatives = "full"
    # tau.
    c.temperature = 0.4
    # Weight of L_div (eq. 8), mp only; the paper has 1.
    c.diversity_weight = 1.0
    # L_div stops pushing at this q.k: -1 is the paper's, 0 stops at orthogonality.
    c.diversity_margin = -1.0
    # Rows per block of streamed loss and mixing; 0: dense up to 4,096 images a step, else 2,048.
    c.block_size = 0
    # Between devices: "gather" (each holds all vectors), or "ring" (blocks passed round).
    c.exchange = "gather"

    # --- training ---
    # Images per step, over all devices.
    c.batch_size = 256
    # The paper's 500 epochs of CIFAR's 50,000 images.
    c.num_steps = 97_500
    # Steps per dispatch at most; 0: an epoch, or 1 on a CPU, where loops of convolutions are slow.
    c.chunk_steps = 0
    # "adam", or "sgd" with Nesterov's momentum.
    c.optimizer = "adam"
    c.momentum = 0.9
    c.learning_rate = 1e-3
    # "constant", or "cosine": to 0 at num_steps.
    c.schedule = "constant"
    # Steps in which the rate rises linearly from 0.
    c.warmup_steps = 0
    # L2 added to the gradient.
    c.weight_decay = 1e-6
    # First seed; trainings use seed, seed + 1, ...
    c.seed = 0
    # Trainings in one run; scores are mean and deviation over them.
    c.num_seeds = 1
    # Devices to use; 0: all. They share each step's images.
    c.num_devices = 0

    # --- evaluation and model choice ---
    c.representation = "single"
    # "standard" (METHOD section 5): kNN and a linear probe on frozen features.
    c.protocol = "standard"
    # Which step is evaluated: the "last", or the best by training "loss".
    c.selection = "last"
    # Neighbours of kNN, and the temperature of their votes.
    c.num_neighbours = 200
    c.knn_temperature = 0.4
    # Epochs and batch of the linear probe, and training images held out to choose its L2;
    # 0: 5,000, or a tenth of fewer than 50,000.
    c.probe_epochs = 100
    c.probe_batch_size = 512
    c.probe_held_out = 0
    # Randomly cropped and flipped copies of each training image for the probe; 0: clean images.
    c.probe_copies = 0
    # Images per pass of the encoder when features are computed.
    c.eval_batch_size = 500
    # With --mode=eval: PNG files of mixtures, features and curves in the workdir.
    c.figures = False
    # Steps between logged metrics, and between checkpoints.
    c.eval_every = 195
    c.checkpoint_every = 1950
    # Evaluations without improvement before training stops (selection "loss" only); 0: never.
    c.patience = 0
    return c


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
    },
    # A small network on some of the images: a CPU takes a quarter of an hour.
    "small": {
        "stages": (1, 1, 1),
        "width": 16,
        "batch_size": 128,
        "num_train": 10_000,
        "num_test": 2_000,
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
        "num_neighbours": 20,
        "probe_epochs": 5,
        "eval_every": 2,
        "checkpoint_every": 2,
    },
}
