from medmix.curate.describe.text_counter import TextCounter


def test_counts_of_several_batches_add_up_and_come_sorted():
    with TextCounter() as counter:
        counter.add({"b": 1, "ä": 1, "a": 2})
        counter.add({"b": 1})
        assert list(counter) == [("a", 2), ("b", 2), ("ä", 1)]
        assert len(counter) == 3


def test_the_most_common_come_first_and_rare_ones_not_at_all():
    with TextCounter() as counter:
        counter.add({"c": 2, "a": 2, "b": 3, "once": 1})
        assert counter.most_common(2) == [("b", 3), ("a", 2)]
        assert counter.most_common(9, at_least=2) == [("b", 3), ("a", 2), ("c", 2)]
