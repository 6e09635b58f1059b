"""Time and memory at 100,000, 300,000 and 1,000,000 nodes, and that edges elsewhere cost nothing.

    python -m benchmarks.scripts.scale [--nodes 100000 300000 1000000] [--degree 20] [--program]

Every size is a process of its own: it draws `configs/synthetic_graph.py`, propagates both views,
and takes training steps, with mixing along edges (mp) and without (none). `--program` also runs
the ordinary program, train and embed, at the largest size. Prints a line of JSON for every row as
it is measured, then a table.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

# Nothing heavy is imported up here: it would count as the memory of a measurement.
from benchmarks.scripts import memory

WARM_UP = 2  # the second step may compile again, for a state that a step has placed
MIXINGS = ("mp", "none")
_CONFIG = Path(__file__).parents[2] / "configs" / "synthetic_graph.py"


def resident_mb(field: str) -> float:
    """This process's `VmHWM` (largest) or `VmRSS` (present) resident set, MB; without /proc the
    largest one either way. Unlike `getrusage`'s, what a parent needed does not count."""
    status = Path("/proc/self/status")
    if not status.exists():
        return memory.peak_mb()
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(lines[field].split()[0]) * 1024 / 1e6


def measure_steps(case: dict) -> dict:
    """One size: seconds of every stage, and the largest resident set up to its end."""
    import jax.numpy as jnp

    from benchmarks import nodes
    from mmix_jax.data.nodes.synthetic_graph import SyntheticGraph, load_synthetic_graph
    from mmix_jax.experiments.nodes import inputs as node_inputs
    from mmix_jax.frameworks.mvgrl_nodes import NodeTables

    found = {"floor_mb": resident_mb("VmHWM")}
    config = _config(case)

    def timed(name: str, function, *args):
        begin = time.perf_counter()
        value = function(*args)
        found[f"{name}_seconds"] = time.perf_counter() - begin
        found[f"{name}_mb"] = resident_mb("VmHWM")
        return value

    shape = SyntheticGraph(case["nodes"], case["degree"], case["features"])
    graph = timed("generate", load_synthetic_graph, shape).graph
    x_a = timed("adjacency", node_inputs.adjacent_features, graph)
    x_b = timed("diffusion", node_inputs.diffused_features, config, graph)
    tables = NodeTables(jnp.asarray(x_a), jnp.asarray(x_b))
    del x_a, x_b
    for mixing in MIXINGS:
        config.mixing = mixing
        step = nodes.LibraryStep(config, graph, tables)
        found[f"step_{mixing}_seconds"] = _median_of_steps(step, case["steps"])
        if mixing != "none":  # whose batches have no edges
            found["batch_seconds"] = _median_of_batches(step.sampler, case["steps"])
            found["batch_edges"] = int(step.sampler.batch(0).edge_mask.sum())
        del step
    return {
        **case,
        "edges": graph.num_edges // 2,
        **found,
        "training_mb": resident_mb("VmRSS"),
        "peak_mb": resident_mb("VmHWM"),
    }


def measure_program(case: dict) -> dict:
    """The ordinary program in this process, in `case["workdir"]`: seconds and peak memory."""
    from mmix_jax.main import main as program

    begin = time.perf_counter()
    flags = {name: case[name] for name in ("width", "batch_size")}
    flags |= {"num_nodes": case["nodes"], "mean_degree": case["degree"]}
    flags |= {"num_features": case["features"], "num_steps": case["steps"], "num_devices": 1}
    argv = [
        "scale",
        f"--config={_CONFIG}",
        f"--workdir={case['workdir']}",
        f"--mode={case['kind']}",
    ]
    status = program(argv + [f"--config.{name}={value}" for name, value in flags.items()])
    if status:
        raise SystemExit(status)
    seconds = time.perf_counter() - begin
    return {**case, "seconds": seconds, "peak_mb": resident_mb("VmHWM")}


def _config(case: dict):
    import runpy

    config = runpy.run_path(str(_CONFIG))["get_config"]()
    config.width, config.batch_size = case["width"], case["batch_size"]
    return config


def _median_of_steps(step, number: int) -> float:
    import statistics

    seconds = []
    for _ in range(WARM_UP + number):
        begin = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds[WARM_UP:])


def _median_of_batches(sampler, number: int) -> float:
    import statistics

    seconds = []
    for place in range(number):
        begin = time.perf_counter()
        sampler.batch(place)
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)


def _apart(case: dict) -> dict:
    """The measurement of a case in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.scripts.scale", "--case", json.dumps(case)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"measurement {case} ended with status {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


def cases(options: argparse.Namespace) -> list[dict]:
    """Every size at one degree, then the smallest size at the other degrees."""
    common = {name: getattr(options, name) for name in ("features", "width", "batch_size", "steps")}
    sizes = [(number, options.degree) for number in options.nodes]
    smallest = min(options.nodes)
    sizes += [(smallest, degree) for degree in options.degrees if degree != options.degree]
    return [{"kind": "steps", "nodes": n, "degree": degree, **common} for n, degree in sizes]


def measured(options: argparse.Namespace) -> Iterator[dict]:
    """A row for every case as it is done, JSON values alone; those of the program come last."""
    import tempfile

    wanted = cases(options)
    yield from map(_apart, wanted)
    if options.program:
        largest = max(wanted, key=lambda case: case["nodes"])
        with tempfile.TemporaryDirectory() as workdir:
            for kind in ("train", "embed"):
                row = _apart({**largest, "kind": kind, "workdir": workdir})
                del row["workdir"]
                yield row


def measure(options: argparse.Namespace) -> list[dict]:
    """All rows of `measured`."""
    return list(measured(options))


def table(rows: list[dict]) -> str:
    """The rows as text."""
    steps = [row for row in rows if row["kind"] == "steps"]
    lines = [
        "    nodes degree      edges   draw s  adjacency s  diffusion s   step mp s  step none s"
        "   batch s  batch edges   peak MB  training MB"
    ]
    for row in steps:
        lines.append(
            f"{row['nodes']:>9}{row['degree']:>7g}{row['edges']:>11}{row['generate_seconds']:>9.1f}"
            f"{row['adjacency_seconds']:>13.2f}{row['diffusion_seconds']:>13.1f}"
            f"{row['step_mp_seconds']:>12.4f}{row['step_none_seconds']:>13.4f}"
            f"{row['batch_seconds']:>10.4f}{row['batch_edges']:>13}{row['peak_mb']:>10.0f}"
            f"{row['training_mb']:>13.0f}"
        )
    for row in rows:
        if row["kind"] != "steps":
            lines.append(
                f"the program, {row['kind']}, {row['nodes']} nodes of degree {row['degree']:g}: "
                f"{row['seconds']:.0f} s, peak {row['peak_mb']:.0f} MB (n=1)"
            )
    if steps:
        first = steps[0]
        lines.append(
            f"steps: {first['batch_size']} anchors, {first['features']} features, width "
            f"{first['width']}, batch included; medians of n={first['steps']}; other times n=1"
        )
    return "\n".join(lines)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The options of `measure`."""
    parser = argparse.ArgumentParser(description="Time and memory at up to a million nodes.")
    parser.add_argument("--nodes", type=int, nargs="+", default=[100_000, 300_000, 1_000_000])
    parser.add_argument("--degree", type=float, default=20.0, help="mean number of neighbours")
    parser.add_argument(
        "--degrees", type=float, nargs="*", default=[5.0, 40.0], help="others, at the smallest size"
    )
    parser.add_argument("--features", type=int, default=128)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--batch_size", type=int, default=2048)
    parser.add_argument("--steps", type=int, default=20, help="timed training steps")
    parser.add_argument("--program", action="store_true", help="train and embed, at the largest")
    parser.add_argument("--case", type=json.loads, help="one measurement, here: a line of JSON")
    return parser.parse_args(arguments)


def main() -> None:
    options = parse()
    if options.case:
        found = measure_steps if options.case["kind"] == "steps" else measure_program
        print(json.dumps(found(options.case)))
        return
    print(_header(), flush=True)
    rows = []
    for row in measured(options):
        rows.append(row)
        print(json.dumps(row), flush=True)
    print(table(rows))


def _header() -> str:
    """`timing.header` from a process of its own, as it starts JAX."""
    command = [sys.executable, "-c", "from benchmarks import timing; print(timing.header())"]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    main()
