"""Following streams: what is heard, in which order, and what happens when a follower or the database fails."""

from webapp.streams import conninfo


def test_a_space_in_the_sockets_path_stays_a_space() -> None:
    found = conninfo("postgresql+psycopg://hub:secret@/switchyard?host=/tmp/a%20folder&port=5432")
    assert "host='/tmp/a folder'" in found and "dbname=switchyard" in found
