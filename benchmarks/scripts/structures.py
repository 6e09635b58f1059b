"""Structural features in the place of a published graph's own: which embed its nodes best.

    python -m benchmarks.scripts.structures --datasets cora dblp --data_dir DIR

Of every data set the features are left away; accuracy is that of logistic regressions (protocol
standard) on the structural features themselves, on an untrained encoder's vectors and on trained
ones. One training each, seed 0. Prints a line of JSON each.
"""

import argparse
import json
import time

import jax
import numpy as np

import mmix_jax as mm
from mmix_jax.graphs import STRUCTURES
from mmix_jax.graphs.structure import structural


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datasets", nargs="+", default=["cora", "dblp"])
    parser.add_argument("--data_dir", default=None)
    parser.add_argument("--num_steps", type=int, default=100)
    arguments = parser.parse_args()
    for name in arguments.datasets:
        given = mm.load_nodes(name, data_dir=arguments.data_dir)
        for structure in STRUCTURES:
            begin = time.monotonic()
            x = structural(given.graph, structure)
            bare = given._replace(
                graph=given.graph._replace(x=x), bag_of_words=False, own=True, feature_names=None
            )
            model = mm.NodeEmbedder(mixing="mo", width=128, num_steps=arguments.num_steps)
            model.fit(bare._replace(split=None))

            def accuracy(z: np.ndarray, given=given) -> float:
                key = jax.random.key(0)
                judged = mm.evaluation.logistic(z, given.labels, given.split, key=key, num_runs=10)
                return round(100 * judged.test.mean, 1)

            print(
                json.dumps(
                    {
                        "dataset": name,
                        "structure": structure,
                        "features": accuracy(x),
                        "untrained": accuracy(model.untrained().transform(bare)),
                        "trained": accuracy(model.transform()),
                        "num_steps": arguments.num_steps,
                        "seconds": round(time.monotonic() - begin, 1),
                    }
                ),
                flush=True,
            )


if __name__ == "__main__":
    main()
