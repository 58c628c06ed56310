"""Whoever advances topics does it for all who come meanwhile, and comes to an end."""

from webapp.advance import MOST_LOOKS, Turn


def test_one_is_at_it_and_looks_once_more_for_who_came_meanwhile() -> None:
    turn = Turn()
    assert turn.take() and not turn.take() and not turn.take()
    assert turn.over(1) is False, "somebody came"
    assert turn.over(2) is True
    assert turn.take() and turn.over(1)


def test_who_is_at_it_does_not_do_so_for_ever() -> None:
    turn = Turn()
    turn.take()
    for looks in range(1, MOST_LOOKS):
        assert not turn.take() and turn.over(looks) is False
    assert not turn.take() and turn.over(MOST_LOOKS) is True
    assert turn.take()


def test_a_failure_gives_the_turn_back() -> None:
    turn = Turn()
    turn.take()
    turn.drop()
    assert turn.take()
