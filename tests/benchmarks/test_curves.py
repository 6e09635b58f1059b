"""Curves of accuracy over seconds: what is reported at a time, and when an accuracy is reached."""

from benchmarks.curves import Point, at, best_so_far, first_reaching

# Untrained, then rising, falling on validation where test rises, equal, and best late.
POINTS = [
    Point(0, 1.0, valid=0.99, test=0.99),
    Point(40, 9.0, valid=0.80, test=0.70),
    Point(10, 3.0, valid=0.60, test=0.65),
    Point(20, 5.0, valid=0.55, test=0.90),
    Point(30, 7.0, valid=0.60, test=0.95),
]


def test_validation_chooses_and_the_untrained_encoder_is_left_out():
    assert best_so_far(POINTS) == [POINTS[2], POINTS[1]]
    assert best_so_far(POINTS[:1]) == []


def test_between_points_the_last_one_stands():
    curve = best_so_far(POINTS)
    assert [at(curve, seconds) for seconds in (2.9, 3.0, 8.9, 9.0, 1e9)] == [
        *(None, POINTS[2], POINTS[2], POINTS[1], POINTS[1])
    ]


def test_an_accuracy_is_reached_by_the_chosen_embedding_alone():
    curve = best_so_far(POINTS)
    assert first_reaching(curve, "valid", 0.6) == 3.0
    assert first_reaching(curve, "valid", 0.61) == 9.0
    assert first_reaching(curve, "test", 0.7) == 9.0
    assert first_reaching(curve, "test", 0.9) is None  # validation chose neither that had it
