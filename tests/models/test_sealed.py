"""Sealed columns: what lies in the database, which keys open it, and what is said when none does."""

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, create_engine, insert, select, text

from models import sealed

things = Table("things", MetaData(), Column("id", Integer, primary_key=True), Column("token", sealed.Sealed))


@pytest.fixture(autouse=True)
def other_keys_stay_in_use(monkeypatch):
    """These tests set keys of their own; the suite's keys are back afterwards."""
    monkeypatch.setattr(sealed, "_ring", None)


@pytest.fixture
def connection():
    engine = create_engine("sqlite://")  # the type itself is tried here; Postgres stores the same text
    things.metadata.create_all(engine)
    with engine.connect() as opened:
        yield opened


def stored(connection) -> str:
    return connection.execute(text("SELECT token FROM things")).scalar_one()


def test_a_value_comes_back_and_lies_in_the_row_unreadable(connection):
    sealed.use_keys(["the first key"])
    connection.execute(insert(things).values(token="tok-123"))
    assert connection.execute(select(things.c.token)).scalar_one() == "tok-123"
    assert "tok-123" not in stored(connection)
    assert stored(connection).startswith(sealed.key_id("the first key") + ":")


def test_nothing_stays_nothing(connection):
    sealed.use_keys(["the first key"])
    connection.execute(insert(things).values(token=None))
    assert stored(connection) is None
    assert connection.execute(select(things.c.token)).scalar_one() is None


def test_an_old_key_opens_and_the_first_key_seals(connection):
    sealed.use_keys(["the old key"])
    connection.execute(insert(things).values(token="tok-123"))
    sealed.use_keys(["the new key", "the old key"])
    assert connection.execute(select(things.c.token)).scalar_one() == "tok-123"
    connection.execute(things.update().values(token="tok-124"))
    assert stored(connection).startswith(sealed.key_id("the new key") + ":")


def test_a_missing_key_is_named_by_its_id():
    value = sealed.KeyRing(["the old key"]).seal("tok-123")
    with pytest.raises(sealed.KeyMissing) as refused:
        sealed.KeyRing(["the new key"]).open(value)
    assert sealed.key_id("the old key") in str(refused.value)
    assert "SWITCHYARD_SECRET_KEY" in str(refused.value)
    assert "the old key" not in str(refused.value)


@pytest.mark.parametrize("change", [lambda v: v[:-6], lambda v: v[:-1] + "é", lambda v: v[:9] + "A" * 40])
def test_a_changed_value_is_told_from_a_missing_key(change):
    ring = sealed.KeyRing(["the first key"])
    with pytest.raises(sealed.Damaged):
        ring.open(change(ring.seal("tok-123")))


def test_an_opened_value_does_not_show_itself(connection):
    sealed.use_keys(["the first key"])
    connection.execute(insert(things).values(token="tok-123"))
    row = connection.execute(select(things)).one()
    assert "tok-123" not in repr(row)
    assert f"{row.token}" == "tok-123"


def test_each_purpose_and_each_key_gives_other_bytes():
    made = {sealed.derive(key, purpose) for key in ("one", "two") for purpose in ("sealing", "cookies", "id")}
    assert len(made) == 6
    assert {len(key) for key in made} == {32}


def test_derived_keys_never_change_between_versions():
    assert sealed.key_id("correct horse battery staple") == "c7019eed"


def test_sealing_without_keys_says_what_to_do(connection):
    sealed.use_keys([])
    with pytest.raises(Exception, match=r"hand the keys to models\.database\.connect"):
        connection.execute(insert(things).values(token="tok-123"))


def test_any_text_that_json_can_carry_comes_back():
    ring = sealed.KeyRing(["the first key"])
    assert ring.open(ring.seal("\ud800 \x00 é")) == "\ud800 \x00 é"
