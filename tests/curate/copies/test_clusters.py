import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from medmix.curate.copies.clusters import components, greedy_clusters


def test_the_best_stands_for_its_copies():
    assert greedy_clusters(np.array([[0, 1], [1, 2], [0, 2]]), np.array([2, 1, 0, 3])).tolist() == [2, 2, 2, 3]


def test_a_chain_is_not_one_group():
    assert greedy_clusters(np.array([[0, 1], [1, 2]]), np.array([0, 1, 2])).tolist() == [0, 0, 2]
    assert greedy_clusters(np.array([[0, 1], [1, 2]]), np.array([1, 0, 2])).tolist() == [1, 1, 1]
    assert greedy_clusters(np.array([[0, 1], [1, 2], [2, 3]]), np.array([0, 3, 1, 2])).tolist() == [0, 0, 3, 3]


def test_without_pairs_all_survive():
    assert greedy_clusters(np.zeros((0, 2), np.int64), np.arange(3)).tolist() == [0, 1, 2]


@given(data=st.data(), count=st.integers(1, 12))
def test_every_copy_hangs_on_a_survivor_that_it_was_confirmed_against(data, count):
    place = st.integers(0, count - 1)
    pairs = data.draw(st.lists(st.tuples(place, place).filter(lambda pair: pair[0] != pair[1])))
    order = np.array(data.draw(st.permutations(range(count))))
    centre = greedy_clusters(np.array(pairs, np.int64).reshape(-1, 2), order)
    rank = np.argsort(order)
    for image, survivor in enumerate(centre.tolist()):
        assert centre[survivor] == survivor
        if image != survivor:
            assert (image, survivor) in pairs or (survivor, image) in pairs
            assert rank[survivor] < rank[image]
    for one, other in pairs:  # no two survivors are copies of one another
        assert centre[one] != one or centre[other] != other


def test_components_are_led_by_their_lowest_member():
    assert components(np.array([[7, 2], [5, 7], [9, 8]])).tolist() == [[5, 2], [7, 2], [9, 8]]
    assert components(np.zeros((0, 2), np.int64)).tolist() == []
