"""Who did what, for programs."""

from tests.webapp.api.conftest import Join


def test_a_program_reads_what_its_person_did_newest_first(join: Join) -> None:
    alice = join("Alice")
    alice.topic("Invoices")
    [line] = alice.call("GET", "/activity?kind=person&limit=1")["items"]
    assert (line["event"], line["text"]) == ("topic_made", "Alice made the topic Invoices.")
    assert line["user_id"] == alice.id and line["at"].endswith("Z")
    assert join("Mallory").call("GET", "/activity")["items"] == []


def test_a_kind_that_is_none_is_refused_in_words(join: Join) -> None:
    answer = join("Alice").call("GET", "/activity?kind=weather", status=422)
    assert answer["code"] == "invalid" and "kind" in answer["error"]
