"""What cannot be told is neither true nor false, and nobody takes it for either by mistake."""

from itertools import product
from typing import Final

import pytest

from bailiwick_engine.truth import TOO_COSTLY, UNKNOWN, Truth, any_of

TRUTHS: Final[tuple[Truth, ...]] = (True, False, UNKNOWN, TOO_COSTLY)


@pytest.mark.parametrize("truth", [UNKNOWN, TOO_COSTLY])
def test_what_cannot_be_told_has_no_truth_of_its_own(truth: Truth) -> None:
    for use in (bool, lambda found: not found, lambda found: found or False, lambda found: any([found])):
        with pytest.raises(TypeError, match="neither true nor false"):
            use(truth)
    assert truth not in {True, False}


@pytest.mark.parametrize("truths", [*product(TRUTHS, repeat=2), *product(TRUTHS, repeat=3), ()])
def test_one_that_holds_is_enough_and_one_that_cannot_be_told_leaves_it_open(truths: tuple[Truth, ...]) -> None:
    if True in truths:
        assert any_of(truths) is True
    elif UNKNOWN in truths or TOO_COSTLY in truths:
        assert any_of(truths) is UNKNOWN
    else:
        assert any_of(truths) is False
