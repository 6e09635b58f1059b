"""Own images: an array of uint8 becomes features, for scikit-learn. 40 seconds on two cores.

    python examples/own_images.py

The images are scikit-learn's digits, 8 × 8 pixels; 20 of each digit have a label. A folder of
files goes the same way: `ImageEmbedder(image_size=32).fit("my_photos/")`.
"""

import os

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import mmix_jax as mm

digits = load_digits()
images, labels = (255 / 16 * digits.images).astype(np.uint8), digits.target
few = np.concatenate([np.flatnonzero(labels == digit)[:20] for digit in range(10)])
rest = np.setdiff1d(np.arange(len(labels)), few)

# A small network, and an augmentation that suits digits: not mirrored, without colours.
model = mm.ImageEmbedder.variant(
    "mo_op",
    stages=(1, 1, 1),
    width=24,
    head_width=64,
    batch_size=128,
    learning_rate=3e-3,
    crop_min=0.1,
    flip=0.0,
    saturation=0.0,
    hue=0.0,
    grayscale=0.0,
    num_epochs=0,
    num_steps=int(os.environ.get("MMIX_EXAMPLE_STEPS", "200")),
    verbose=True,
)
model.fit(images)  # no label is seen
scores = {}
for name, embedder in (("untrained", model.untrained()), ("trained", model)):
    features = embedder.transform(images)
    for kind, classifier in (
        ("kNN", KNeighborsClassifier(5)),
        ("linear", make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))),
    ):
        classifier.fit(features[few], labels[few])
        scores[name, kind] = 100 * classifier.score(features[rest], labels[rest])
for kind in ("kNN", "linear"):
    before, after = scores["untrained", kind], scores["trained", kind]
    print(f"{kind}: {before:.1f} % untrained, {after:.1f} % trained ({after - before:+.1f})")
print("mixed:", {name: round(value, 2) for name, value in model.mixing_.items()})
