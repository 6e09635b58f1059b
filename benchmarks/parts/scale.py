"""Part `scale`: `benchmarks.scripts.scale` with its own sizes, as rows of the suite."""

from benchmarks import suite
from benchmarks.scripts import scale
from benchmarks.suite import Options, Row

QUICK = ["--nodes", "500", "--degree=5", "--degrees", "--features=8", "--width=8"]
QUICK += ["--batch_size=32", "--steps=1"]


def measure(options: Options) -> list[Row]:
    """Steps at up to a million nodes, and the program at the largest size."""
    suite.say("graphs of up to a million nodes")
    arguments = QUICK if options.quick else ["--program"]
    found = scale.measure(scale.parse(arguments))
    return [{"what": row["kind"], **{k: v for k, v in row.items() if k != "kind"}} for row in found]
