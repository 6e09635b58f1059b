"""Synthetic negatives: what is drawn for each anchor, and the mixture of it against the loops."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import naive
import naive_beyond
from mmix_jax import mixing

pytestmark = pytest.mark.slow

NUM, DIM, TEMPERATURE = 12, 4, 0.6
MASK = np.arange(NUM) != 8
SEGMENTS = np.array([3, -7, -7, 3, -7, 40, 3, -7, -7, 3, -7, -7])  # row 5 is alone
LABELS = np.array([0, 1, 0, 1, 1, 1, -1, 0, 0, -1, 1, 0])
# Ids are any integers. 900 and −2 are nodes that are no rows, 901 has one neighbour only.
NODES = np.array([-1, 5, 12, 100, 7, 8, 9, 2**20, 41, 42, 43, 44])
EDGES = [(-1, 100), (5, 12), (12, 7), (9, 900), (900, 2**20), (42, 43), (43, 44), (44, -2)]
EDGES += [(-2, 7), (8, 901), (41, 5), (41, 42)]


def edges_of_rows():
    """Receivers, ids and mask: every edge, listed by its ends that are rows, and two of none."""
    place = {int(node): i for i, node in enumerate(NODES)}
    both_ways = EDGES + [(b, a) for a, b in EDGES]
    listed = [(place[a], b, True) for a, b in both_ways if a in place]
    listed += [(9, 12, False), (0, 2**20, False)]
    return tuple(np.array(column) for column in zip(*listed, strict=True))


def make_inputs():
    """What has a gradient: vectors of both views, and projections of them to three dimensions."""
    draws = np.random.default_rng(4)
    u = draws.normal(size=(NUM, DIM))
    v, queries, keys = u + draws.normal(size=u.shape), *draws.normal(size=(2, NUM, 3))
    return {"u": u, "v": v, "queries": queries, "keys": keys}


def scores_of(inputs, rule):
    names = ("queries", "keys") if rule == "mp" else ("u", "v")
    return naive.similarities(*(inputs[name] for name in names))


def synthetic(inputs, rule, edges=None, nodes=None, **options):
    """The library's, given what the rule reads."""
    if rule == "mp":
        options |= {name: inputs[name] for name in ("queries", "keys")}
    if edges is not None:
        receivers, ids, mask = edges
        options["neighbours"] = mixing.Neighbours(
            receivers=receivers, ids=ids, mask=mask, nodes=nodes
        )
    options = {"key": jax.random.key(3), "temperature": TEMPERATURE} | options
    return mixing.synthetic_negatives(inputs["u"], inputs["v"], rule=rule, **options)


# What is drawn

COUNTS = {"num_synthetic": 32, "num_mixed": 4}  # enough that every row of a pool is drawn
VARIANTS = {
    "all": ("mo", {}),
    "hardest": ("mo", {"num_hardest": 5}),
    "skip": ("neighbour_mean", {"num_hardest": 4, "skip_hardest": 0.25, "num_mixed": 3}),
    "threshold": ("mp", {"threshold": 0.1}),
    "one hop": ("random", {"skip_hops": 1, "num_hardest": 6}),
    "two hops": ("mo", {"skip_hops": 2}),
    "one member": ("mo", {"num_mixed": 1, "num_hardest": 2}),
    "masked": ("random", {"mask": MASK, "segments": SEGMENTS, "num_hardest": 5}),
    "every option": (
        "mp",
        {
            "mask": MASK,
            "segments": SEGMENTS,
            "skip_hops": 2,
            "skip_hardest": 0.3,
            "num_hardest": 4,
            "threshold": -0.4,
        },
    ),
}


@functools.cache
def drawn():
    """Of every variant, in one program."""

    def run(inputs, edges, nodes, labels):
        found = {}
        for name, (rule, options) in VARIANTS.items():
            graph = (edges, nodes) if "skip_hops" in options else ()
            options = COUNTS | options | {"labels": labels}
            found[name] = synthetic(inputs, rule, *graph, **options)
        return found

    return jax.jit(run)(make_inputs(), edges_of_rows(), NODES, LABELS)


def pools_of(name):
    """The rows that may be drawn for each anchor of a variant."""
    rule, options = VARIANTS[name]
    hops = options.get("skip_hops", 0)
    excluded = naive_beyond.rows_within(hops, *edges_of_rows(), NODES)
    read = ("num_hardest", "skip_hardest", "threshold", "mask", "segments")
    options = {name: options[name] for name in read if name in options}
    return naive_beyond.pools(scores_of(make_inputs(), rule), excluded=excluded, **options)


@pytest.mark.parametrize("name", VARIANTS)
def test_members_are_distinct_and_all_of_the_pool_are_drawn(x64, name):
    members = np.asarray(drawn()[name].members)
    assert members.dtype == np.int32
    num_mixed = (COUNTS | VARIANTS[name][1])["num_mixed"]
    assert members.shape == (NUM, COUNTS["num_synthetic"], num_mixed)
    for of_anchor, pool in zip(members, pools_of(name), strict=True):
        for row in of_anchor:
            present = [j for j in row if j >= 0]
            assert len(set(present)) == len(present) == min(num_mixed, len(pool))
            assert np.isin(row[row < 0], -1).all()
        assert set(of_anchor.ravel()) - {-1} == set(pool)


def test_what_the_variants_leave_out():
    """Some anchors have fewer candidates than are mixed, and some none; hops are of other rows."""
    sizes = {name: [len(pool) for pool in pools_of(name)] for name in VARIANTS}
    assert 0 < min(sizes["threshold"]) < 4 < max(sizes["threshold"])
    for name in ("masked", "every option"):
        assert sizes[name][5] == sizes[name][8] == 0
        assert len(set(sizes[name])) > 2
    one, two = (naive_beyond.rows_within(hops, *edges_of_rows(), NODES) for hops in (1, 2))
    assert one[6] == {6} and two[6] == {6, 7}  # through a node that is no row
    assert one[1] == {1, 2, 8} and two[1] == {1, 2, 4, 8, 9}


@pytest.mark.parametrize("name", VARIANTS)
def test_vectors_and_weights_match_the_loops(x64, name):
    inputs, found, (rule, _) = make_inputs(), drawn()[name], VARIANTS[name]
    members, weights = np.asarray(found.members), np.asarray(found.weights)
    if rule == "random":
        exists = (members >= 0).any(axis=-1)
        np.testing.assert_allclose(weights.sum(axis=-1), exists, atol=1e-12)
        assert ((weights > 0) == (members >= 0)).all()
        several = weights[(members >= 0).all(axis=-1)]
        assert len(np.unique(several)) == several.size > 600  # drawn anew each time
        ratios = np.log(several[:, 0] / several[:, 1])  # two standard normal draws apart
        np.testing.assert_allclose([np.mean(ratios), np.std(ratios)], [0, 2**0.5], atol=0.4)
    else:
        expected = naive_beyond.member_weights(scores_of(inputs, rule), members, rule, TEMPERATURE)
        np.testing.assert_allclose(weights, expected, atol=1e-12)
    expected = naive_beyond.mixtures(inputs["v"], members, weights)
    np.testing.assert_allclose(found.vectors, expected, atol=1e-12)


@pytest.mark.parametrize("name", ["threshold", "masked", "every option"])
def test_statistics_match_the_loops(x64, name):
    found, options = drawn()[name], {"mask": VARIANTS[name][1].get("mask"), "labels": LABELS}
    parts = (np.asarray(part) for part in (found.members, found.weights, found.vectors))
    expected = naive_beyond.statistics(make_inputs()["u"], *parts, **options)
    assert set(found.stats) == set(expected)
    for statistic, value in expected.items():
        np.testing.assert_allclose(found.stats[statistic], value, rtol=1e-10, err_msg=statistic)


def test_one_member_is_that_row_itself(x64):
    found, v = drawn()["one member"], naive.normalise(make_inputs()["v"])
    np.testing.assert_allclose(found.vectors, v[found.members[..., 0]], atol=1e-12)


def test_pairs_of_three_are_drawn_uniformly_and_anew_for_every_anchor():
    """Which of the three is left out has a third for each, whatever was left out elsewhere."""
    inputs, num_draws = jax.tree.map(np.float32, make_inputs()), 400
    options = {"num_synthetic": num_draws, "num_mixed": 2, "num_hardest": 3}
    members = jax.jit(lambda key: synthetic(inputs, "mo", key=key, **options).members)
    found, again, other = (np.asarray(members(jax.random.key(seed))) for seed in (0, 0, 1))
    np.testing.assert_array_equal(found, again)
    pools = np.array(naive_beyond.pools(scores_of(inputs, "mo"), num_hardest=3))
    left_out = [
        np.argmin((pools[:, None, :, None] == draw[:, :, None, :]).any(axis=-1), axis=-1)
        for draw in (found, other)
    ]
    for place in range(3):
        shares = np.mean(left_out[0] == place, axis=1)
        np.testing.assert_allclose(shares, 1 / 3, atol=0.12)
    first, second = left_out
    for one, another in (
        (first[1:], first[:-1]),
        (first[:, 1:], first[:, :-1]),
        (first[2:, 1:], first[:-2, :-1]),
        (first, second),
    ):
        np.testing.assert_allclose(np.mean(one == another, axis=1), 1 / 3, atol=0.12)


def test_equal_scores_count_from_the_lowest_index_and_the_threshold_is_enough():
    """Of nine equal rows and one orthogonal, at θ = 0: a third of the nine others are skipped."""
    v = np.eye(2, dtype=np.float32)[[0] * 9 + [1]]
    options = {"num_mixed": 8, "num_synthetic": 1, "num_hardest": 8, "threshold": 0.0}
    skipping = jax.jit(
        lambda v: synthetic({"u": v, "v": v}, "mo", skip_hardest=0.34, **options).members
    )
    members = np.sort(np.asarray(skipping(v))[:, 0], axis=-1)
    for i in range(10):
        others = [j for j in range(10) if j != i][3:]
        assert list(members[i]) == [-1] * (8 - len(others)) + others


# Gradients, and the same numbers in every form

FORMS = {"dense": (1, None), "streamed": (1, 5), "two": (2, None), "four streamed": (4, 2)}
CASES = {
    "mo": {},
    "mp": {},
    "random": {"stop_gradient": True},
    "mo stopped": {"stop_gradient": True},
}
IN_EVERY_FORM = ("mo", "mp", "random")
DRAWS = {"num_synthetic": 3, "num_mixed": 3, "num_hardest": 6, "skip_hardest": 0.22}
DRAWS |= {"skip_hops": 2}
COTANGENTS = tuple(
    np.random.default_rng(6).normal(size=(NUM, DRAWS["num_synthetic"], width))
    for width in (DIM, DRAWS["num_mixed"])
)
NAMES = {"mo": ("u", "v"), "mp": ("v", "queries", "keys"), "mo stopped": ("v",)}


def edges_of_devices(num_devices):
    """The same edges, those of each device with its own rows counted from zero, padded."""
    edges = zip(*edges_of_rows(), strict=True)
    per_device, parts = NUM // num_devices, [[] for _ in range(num_devices)]
    for receiver, node, real in edges:
        parts[receiver // per_device].append((receiver % per_device, node, real))
    longest = max(map(len, parts))
    padded = [part + [(0, 12, False)] * (longest - len(part)) for part in parts]
    return tuple(np.array([[edge[i] for edge in part] for part in padded]) for i in range(3))


@functools.cache
def outcome(form):
    """Of every case: the synthetic negatives, and the gradient of a sum of vectors and weights."""
    num_devices, block_size = FORMS[form]

    def run(inputs, cotangents, edges, nodes, mask, segments):
        options = DRAWS | {"mask": mask, "segments": segments, "block_size": block_size}
        options["axis_name"] = None if num_devices == 1 else "devices"

        def of_case(name):
            def value(inputs):
                rule, case = name.split()[0], CASES[name]
                found = synthetic(inputs, rule, edges, nodes, **options, **case)
                parts = found.vectors, found.weights
                total = sum(jnp.sum(p * c) for p, c in zip(parts, cotangents, strict=True))
                return total, (found.members, *parts)

            return jax.grad(value, has_aux=True)(inputs)

        return {name: of_case(name) for name in (CASES if form == "dense" else IN_EVERY_FORM)}

    def cut(x):
        return np.stack(np.split(x, num_devices))

    spoilt = {name: np.where(MASK[:, None], x, np.nan) for name, x in make_inputs().items()}
    rows = (spoilt, COTANGENTS), (NODES, MASK, SEGMENTS)
    if num_devices == 1:
        return jax.jit(run)(*rows[0], edges_of_rows(), *rows[1])
    floats, rest = jax.tree.map(cut, rows)
    found = jax.pmap(run, axis_name="devices")(*floats, edges_of_devices(num_devices), *rest)
    return jax.tree.map(np.concatenate, found)


@pytest.mark.parametrize("form", [form for form in FORMS if form != "dense"])
def test_every_form_gives_the_same(x64, form):
    """Blocks of five do not divide twelve rows, nor blocks of two the three of a device."""
    for name in IN_EVERY_FORM:
        gradient, (members, *parts) = outcome("dense")[name]
        found_gradient, (found_members, *found_parts) = outcome(form)[name]
        np.testing.assert_array_equal(found_members, members, err_msg=name)
        for found, part in zip(found_parts, parts, strict=True):
            np.testing.assert_allclose(found, part, atol=1e-12, err_msg=name)
        for of, expected in gradient.items():
            np.testing.assert_allclose(found_gradient[of], expected, atol=1e-12, err_msg=of)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_those_of_the_mixture_of_these_members(x64, name):
    """Along one direction for every input that has a part in it; what padding holds has none."""
    inputs, draws = make_inputs(), np.random.default_rng(7)
    gradient, (members, _, weights) = outcome("dense")[name]
    rule, stopped = name.split()[0], name.endswith("stopped")

    def total(inputs):
        scores = scores_of(inputs, rule)
        shares = naive_beyond.member_weights(scores, members, rule, TEMPERATURE)
        vectors = naive_beyond.mixtures(inputs["v"], members, weights if stopped else shares)
        fixed = 0.0 if stopped else np.sum(shares * COTANGENTS[1])
        return np.sum(vectors * COTANGENTS[0]) + fixed

    for of, x in inputs.items():
        np.testing.assert_array_equal(gradient[of][~MASK], 0.0, err_msg=of)
        if of in NAMES[name]:
            direction = draws.normal(size=x.shape)
            slope = naive.numerical_slope(
                lambda x, of=of: total(inputs | {of: x}), x, direction, step=1e-5
            )
            np.testing.assert_allclose(np.sum(gradient[of] * direction), slope, rtol=1e-7)
        else:
            np.testing.assert_array_equal(gradient[of], 0.0, err_msg=of)


@pytest.mark.parametrize(
    ("options", "found"),
    [
        *[({"rule": rule}, rule) for rule in ("binary", "none", "propagate", "i_mix", "mix")],
        ({"rule": "mp"}, "queries"),
        ({"skip_hardest": 1.0}, "skip_hardest"),
        ({"skip_hardest": -0.1}, "-0.1"),
        ({"skip_hops": 3}, "skip_hops"),
        ({"skip_hops": 1}, "neighbours"),
        ({"num_synthetic": 0}, "num_synthetic"),
        ({"num_mixed": 0}, "num_mixed"),
        ({"num_hardest": 0}, "num_hardest"),
        ({"mask": jnp.ones(4, bool)}, "(4,)"),
        ({"segments": jnp.ones(4, int)}, "(4,)"),
        ({"labels": jnp.ones(4, int)}, "(4,)"),
    ],
    ids=str,
)
def test_errors_name_what_was_found_in_one_line(options, found):
    with pytest.raises(ValueError) as caught:
        mixing.synthetic_negatives(
            jnp.ones((3, 2)), jnp.ones((3, 2)), key=jax.random.key(0), **options
        )
    message = str(caught.value)
    assert found in message and "\n" not in message
