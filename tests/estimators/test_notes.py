"""What an estimator hears of the package's logging, alone and beside others."""

import logging
import threading

from mmix_jax.estimators.notes import heard

LOG = logging.getLogger("mmix_jax.of_tests")
PACKAGE = logging.getLogger("mmix_jax")


def test_each_thread_hears_itself_and_logging_is_as_before():
    before = PACKAGE.level, PACKAGE.propagate, list(PACKAGE.handlers)
    both, first_is_out, notes = threading.Barrier(2), threading.Event(), {}

    def work(name):
        with heard(False) as notes[name]:
            both.wait(10)
            LOG.info("by %s", name)
            both.wait(10)
            if name == "second":  # it came in while the first listened, and outlasts it
                first_is_out.wait(10)
                LOG.info("later")
        first_is_out.set()

    threads = [threading.Thread(target=work, args=(name,)) for name in ("first", "second")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert notes == {"first": ["by first"], "second": ["by second", "later"]}
    assert (PACKAGE.level, PACKAGE.propagate, PACKAGE.handlers) == before


def test_one_within_another_is_heard_by_both_and_a_warning_is_passed_on_once(caplog):
    with heard(False) as outer, heard(False) as inner:
        LOG.info("a line")
        LOG.warning("warning: another")
    assert outer == inner == ["a line"]
    assert caplog.messages == ["warning: another"]
