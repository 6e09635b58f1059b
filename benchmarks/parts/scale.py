"""Part `scale`: time and memory at 100,000, 300,000 and 1,000,000 nodes, and at other degrees.

Every size is a process of its own: it draws `configs/synthetic_graph.py`, propagates both views,
and takes training steps, with mixing along edges (mp) and without (none).
"""

import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from benchmarks import suite, timing
from benchmarks.suite import Options, Row

MIXINGS = ("mp", "none")
CONFIG = "configs/synthetic_graph.py"


class Sizes(NamedTuple):
    """Graphs and steps to measure.

    degree: mean number of neighbours. degrees: others, at the smallest size. steps: timed training
    steps. program: the ordinary program too, train and embed, at the largest size.
    """

    nodes: Sequence[int] = (100_000, 300_000, 1_000_000)
    degree: float = 20.0
    degrees: Sequence[float] = (5.0, 40.0)
    features: int = 128
    width: int = 256
    batch_size: int = 2048
    steps: int = 20
    program: bool = False


QUICK = Sizes((500,), 5.0, (), features=8, width=8, batch_size=32, steps=1)


def row_of_steps(case: dict) -> Row:
    """One size: seconds of every stage, and the largest resident set up to its end."""
    import jax.numpy as jnp

    from benchmarks import tasks
    from mmix_jax.data.nodes.synthetic_graph import SyntheticGraph, load_synthetic_graph
    from mmix_jax.experiments import read
    from mmix_jax.experiments.nodes.inputs import settings_of
    from mmix_jax.frameworks.mvgrl_nodes import NodeTables, adjacent_features, diffused_features

    row: Row = {"floor_mb": timing.resident_mb()}
    config = tasks.config_of(CONFIG)
    config.update(width=case["width"], batch_size=case["batch_size"])

    def timed(name: str, function, *args):
        begin = time.perf_counter()
        value = function(*args)
        row[f"{name}_seconds"] = time.perf_counter() - begin
        row[f"{name}_mb"] = timing.resident_mb()
        return value

    shape = SyntheticGraph(case["nodes"], case["degree"], case["features"])
    dataset = timed("generate", load_synthetic_graph, shape)
    settings = settings_of(read(config), dataset.graph.num_nodes)
    x_a = timed("adjacency", adjacent_features, dataset.graph)
    x_b = timed("diffusion", diffused_features, settings, dataset.graph)
    tables = NodeTables(jnp.asarray(x_a), jnp.asarray(x_b))
    del x_a, x_b
    for mixing in MIXINGS:
        config.mixing = mixing
        step = tasks.NodeStep(config, dataset, tables)
        seconds = timing.seconds_of_calls(step, tasks.WARM_UP + case["steps"])
        row[f"step_{mixing}_seconds"] = statistics.median(seconds[tasks.WARM_UP :])
        if mixing != "none":  # whose batches have no edges
            places = iter(range(case["steps"]))
            seconds = timing.seconds_of_calls(
                lambda step=step, places=places: step.sampler.batch(next(places)), case["steps"]
            )
            row["batch_seconds"] = statistics.median(seconds)
            row["batch_edges"] = int(step.sampler.batch(0).edge_mask.sum())
        del step
    return {
        **case,
        "edges": dataset.graph.num_edges // 2,
        **row,
        "training_mb": timing.resident_mb("VmRSS"),
        "peak_mb": timing.resident_mb(),
    }


def row_of_program(case: dict, workdir: str) -> Row:
    """The ordinary program in this process: seconds and peak memory."""
    from mmix_jax.main import main as program

    begin = time.perf_counter()
    flags = {name: case[name] for name in ("width", "batch_size")}
    flags |= {"num_nodes": case["nodes"], "mean_degree": case["degree"]}
    flags |= {"num_features": case["features"], "num_steps": case["steps"], "num_devices": 1}
    argv = ["scale", f"--config={CONFIG}", f"--workdir={workdir}", f"--mode={case['kind']}"]
    status = program(argv + [f"--config.{name}={value}" for name, value in flags.items()])
    if status:
        raise SystemExit(status)
    seconds = time.perf_counter() - begin
    return {**case, "seconds": seconds, "peak_mb": timing.resident_mb()}


def cases(sizes: Sizes) -> list[dict]:
    """Every size at one degree, then the smallest size at the other degrees."""
    names = ("features", "width", "batch_size", "steps")
    shared = {name: getattr(sizes, name) for name in names}
    graphs = [(number, sizes.degree) for number in sizes.nodes]
    smallest = min(sizes.nodes)
    graphs += [(smallest, degree) for degree in sizes.degrees if degree != sizes.degree]
    return [{"kind": "steps", "nodes": n, "degree": degree, **shared} for n, degree in graphs]


def rows_of(sizes: Sizes) -> Iterator[Row]:
    """A row for every case as it is done; those of the program come last."""
    for case in cases(sizes):
        yield timing.apart(row_of_steps, case)
    if sizes.program:
        largest = max(cases(sizes), key=lambda case: case["nodes"])
        with tempfile.TemporaryDirectory() as workdir:
            for kind in ("train", "embed"):
                yield timing.apart(row_of_program, {**largest, "kind": kind}, workdir)


def measure(options: Options) -> list[Row]:
    """Steps at up to a million nodes, and the program at the largest size."""
    suite.say("graphs of up to a million nodes")
    rows = rows_of(QUICK if options.quick else Sizes(program=True))
    return [{"what": row["kind"], **{k: v for k, v in row.items() if k != "kind"}} for row in rows]
