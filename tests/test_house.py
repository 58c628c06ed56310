"""The house rules: who may import whom, read from the imports themselves."""

import ast
import functools
import pathlib
import re
import sys
from collections.abc import Iterator

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent

DOORS = ("webapp.pages", "webapp.api", "webapp.cable", "webapp.gateways")
# Rooms that every door may use; they know no door.
SHARED = (
    "webapp.acting",
    "webapp.advance",
    "webapp.answers",
    "webapp.asked",
    "webapp.auth",
    "webapp.avatars",
    "webapp.checks",
    "webapp.config",
    "webapp.errors",
    "webapp.fakes",
    "webapp.fragments",
    "webapp.gateway_words",
    "webapp.gateway_logs",
    "webapp.growing",
    "webapp.headers",
    "webapp.hub",
    "webapp.metrics",
    "webapp.ports",
    "webapp.prompts",
    "webapp.running",
    "webapp.streams",
    "webapp.together",
    "webapp.tools",
    "webapp.waiting",
    "webapp.words",
)
LIBRARIES = {
    "argon2": "models.passwords",
    "cryptography": "models.sealed",
    "cel": "models.routing",
    "markdown_it": "models.markup",
    "mdit_py_plugins": "models.markup",
    "nh3": "models.markup",
    "pygments": "models.highlight",
    "alembic": "models.schema",
}
FLOORS = (
    {
        "base",
        "broadcast",
        "gateway_states",
        "session_key",
        "sealed",
        "passwords",
        "routing",
        "highlight",
        "markup",
        "mentions",
        "errors",
    },
    {"database", "gateway_address", "prepared", "sentences", "task_status"},
    {"has_steps", "put_aside", "takes_turns"},
    {
        "access_token",
        "activity",
        "agent_session",
        "agent_subscription",
        "chat_pool",
        "chat_session",
        "chat_slot",
        "browser",
        "creative",
        "deciders",
        "gateway",
        "gateway_request",
        "hub_figures",
        "hub_identity",
        "idempotency_key",
        "left_open",
        "is_a_run",
        "message",
        "one_time_link",
        "permission_request",
        "proactive_message_buffer",
        "process",
        "processed_run",
        "running_answer",
        "schema",
        "settling",
        "sign_in_attempt",
        "takes_seat",
        "task",
        "task_event",
        "topic_read",
        "tray_item",
        "user",
    },
    {"behind_gateway", "gateway_checks", "gateway_figures", "holds_work", "is_lent", "local_process"},
    {"agent"},
    {"addressing", "chat_context", "gateway_changes", "has_seat", "listeners", "stuck"},
    {"gateway_agents", "gives_work"},
    {"hands_over"},
    {"hears_runs", "tells_people"},
    {"topic"},
    {"gateway_work"},
    {"exec_approvals", "twins"},
    {"chatting"},
    {"agent_removal"},
    {"arrivals", "deciding", "gateway_removal", "tray", "withdrawal"},
    {
        "access",
        "answering",
        "asking",
        "attendance",
        "figures",
        "history",
        "gateway_reading",
        "hub_status",
        "inbox",
        "exporting",
        "falls",
        "lately",
        "listing",
        "membership",
        "needs",
        "overview",
        "pool_changes",
        "plugins",
        "quota",
        "reading",
        "registration",
        "seat_use",
        "seats",
        "under_way",
        "search",
        "tracing",
    },
    {"further", "surroundings"},
)


def sources(*rooms: str) -> Iterator[tuple[str, ast.Module]]:
    """Every module of these rooms by its dotted name."""
    for room in rooms:
        path = ROOT / room.replace(".", "/")
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]:
            if "migrations" in file.parts:
                continue
            name = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            yield name, parsed(file)


@functools.cache
def parsed(file: pathlib.Path) -> ast.Module:
    """What a file says, read once for all rules."""
    return ast.parse(file.read_text())


def imports(tree: ast.Module) -> Iterator[str]:
    """Dotted names of all that is imported, `from a import b` as a.b and as a."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(name: str, *rooms: str) -> bool:
    return any(name == room or name.startswith(f"{room}.") for room in rooms)


def offences(room: str, *never: str) -> list[str]:
    return [f"{name} imports {what}" for name, tree in sources(room) for what in imports(tree) if within(what, *never)]


def test_models_import_none_of_us_and_no_server() -> None:
    assert offences("models", "webapp", "jobs", "wsgi", "flask", "gevent", "socket.socket", "websocket", "click") == []


def test_jobs_import_models_only() -> None:
    assert offences("jobs", "webapp", "wsgi", "flask") == []


@pytest.mark.parametrize("door", [door for door in DOORS if (ROOT / door.replace(".", "/")).exists()])
def test_a_door_imports_no_other_door(door: str) -> None:
    others = tuple(other for other in DOORS if other != door)
    assert offences(door, *others, "jobs", "wsgi", "webapp.app", "webapp.cli", "webapp.embedded") == []


@pytest.mark.parametrize("room", SHARED)
def test_what_the_doors_share_knows_no_door(room: str) -> None:
    assert offences(room, *DOORS, "jobs", "wsgi", "webapp.app", "webapp.cli") == []


def test_the_playground_imports_nothing_of_ours() -> None:
    found = [
        f"{name} imports {what}"
        for name, tree in sources("webapp.playground")
        for what in imports(tree)
        if within(what, "models", "jobs", "webapp") and not within(what, "webapp.playground")
    ]
    assert found == []


def test_the_relay_runs_without_us_and_without_packages() -> None:
    [(_, tree)] = sources("webapp.gateways.relay")
    assert {what.split(".")[0] for what in imports(tree)} <= sys.stdlib_module_names


def test_the_command_line_patches_nothing() -> None:
    assert offences("webapp.cli", "gevent", "webapp.app", "wsgi") == []


def test_the_front_door_imports_nothing_deeper() -> None:
    [(_, tree)] = sources("wsgi")
    rooms = ("app", "collector", "config", "embedded", "hub", "logs", "parent", "server")
    allowed = tuple(f"webapp.{room}" for room in rooms)
    ours = [what for what in imports(tree) if within(what, "webapp", *DOORS)]
    assert [what for what in ours if not within(what, *allowed) and what != "webapp"] == []


def test_each_library_of_the_foundation_has_one_room() -> None:
    found = [
        f"{name} imports {what}"
        for name, tree in sources("models")
        for what in imports(tree)
        for library, room in LIBRARIES.items()
        if within(what, library) and name != room
    ]
    assert found == []


def test_the_floors_of_the_foundation_run_downward() -> None:
    floor = {name: number for number, names in enumerate(FLOORS) for name in names}
    modules = [(name, tree) for name, tree in sources("models") if name != "models"]
    assert {name.removeprefix("models.") for name, _ in modules} <= set(floor), "give the new file a floor"
    found = [
        f"{name} imports {what}"
        for name, tree in modules
        for what in imports(tree)
        if (target := what.removeprefix("models.")) in floor and what.startswith("models.")
        if floor[target] > floor[name.removeprefix("models.")]
    ]
    assert found == []


def test_migrations_are_one_line_each_named_by_its_number() -> None:
    files = sorted((ROOT / "models/migrations/versions").glob("*.py"))
    told = [dict(re.findall(r'^(revision|down_revision) = (?:"(\w+)"|None)', file.read_text(), re.M)) for file in files]
    numbers = [file.name[:4] for file in files]
    assert numbers == [f"{number:04}" for number in range(1, len(files) + 1)]
    assert [one["revision"] for one in told] == numbers
    assert [one["down_revision"] for one in told] == ["", *numbers[:-1]]


def test_no_import_hides_in_a_function() -> None:
    found = [
        f"{name}:{node.lineno}"
        for name, tree in [*sources("models", "webapp", "jobs"), *sources("wsgi")]
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert found == []


def test_models_flush_and_never_commit() -> None:
    found = [
        f"{name}:{node.lineno}"
        for name, tree in sources("models")
        if name != "models.database"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in ("commit", "rollback")
    ]
    assert found == []


def test_no_model_opens_a_transaction() -> None:
    found = [
        f"{name}:{node.lineno}"
        for name, tree in sources("models")
        if name != "models.database"
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and node.id == "transaction"
    ]
    assert found == []


def test_no_test_sleeps() -> None:
    found = []
    for file in sorted((ROOT / "tests").rglob("*.py")):
        for node in ast.walk(parsed(file)):
            called = node.func if isinstance(node, ast.Call) else None
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if name == "sleep" and "conditions" not in file.name and "bench" not in file.parts:
                found.append(f"{file.relative_to(ROOT)}:{node.lineno}")
    assert found == []


def test_every_source_file_says_what_it_is_for() -> None:
    bare = [name for name, tree in sources("models", "webapp", "jobs", "wsgi") if not ast.get_docstring(tree)]
    assert bare == []


def test_no_source_file_outgrows_its_subject() -> None:
    long = []
    for room in ("models", "webapp", "jobs"):
        for file in (ROOT / room).rglob("*.py"):
            if "migrations" not in file.parts and len(file.read_text().splitlines()) > 300:
                long.append(str(file.relative_to(ROOT)))
    assert long == []
