"""Users' scripts: contract, sandbox and limits (health-and-resources.md 3.2, 3.3)."""

import re
import string
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lupa import lua51

from tiphys.health import Health
from tiphys.health.lua import LuaHost, _source

OBJ = {
    "apiVersion": "x.io/v1",
    "kind": "X",
    "metadata": {"name": "a", "annotations": {"k": "v"}},
    "status": {
        "n": 3,
        "f": 1.5,
        "big": 2**53,
        "yes": True,
        "none": None,
        "list": ["a", None, {"b": "c"}],
        "u": "ä€😀",
    },
}


@pytest.fixture(scope="module")
def host() -> LuaHost:
    return LuaHost()


def message(expression: str) -> str:
    return f'return {{status="Healthy", message={expression}}}'


INPUT = [
    ("obj.kind", "X"),
    ("tostring(obj.status.n)", "3"),
    ("tostring(obj.status.f)", "1.5"),
    ("tostring(obj.status.yes)", "true"),
    ("tostring(obj.status.none)", "nil"),
    ("tostring(#obj.status.list)", "2"),
    ("obj.status.list[2].b", "c"),
    ("obj.status.u", "ä€😀"),
    ("type(actionParams)", "table"),
    ("tostring(next(actionParams))", "nil"),
    ("tostring(6.0)", "6"),
    ('tostring(tonumber("1e5"))', "nil"),
    ('tostring(tonumber("1.0e2"))', "100"),
    ('tostring(tonumber("0x1f"))', "31"),
    ("tostring(table.getn({1,2}))", "2"),
    ('tostring("B" < "a")', "true"),
    ('table.concat({"a","b"}, "-")', "a-b"),
    ("type(require('os').time())", "number"),
    ("type(loadstring('return 1'))", "function"),
    ("tostring(loadstring('return obj.kind')())", "X"),
    ("tostring(pcall(error, 'x'))", "false"),
]


@pytest.mark.parametrize(("expression", "text"), INPUT, ids=[i[0] for i in INPUT])
def test_what_scripts_see(host: LuaHost, expression: str, text: str) -> None:
    assert host.health(message(expression), OBJ) == Health("Healthy", text)


UNKNOWN = "Lua returned an invalid health status"
OUTPUT = [
    ('return {status="Degraded", message="m", other=1}', Health("Degraded", "m")),
    ("return nil", Health()),
    ("return", Health()),
    ("", Health()),
    ("return {}", Health()),
    ('return {"Healthy"}', Health()),
    ("return {status=3}", Health()),
    ('return {status="Healthy", message=3}', Health()),
    ('return {message="m"}', Health("Unknown", UNKNOWN)),
    ('return {status="healthy"}', Health("Unknown", UNKNOWN)),
    ('return {status=""}', Health("Unknown", UNKNOWN)),
    ('return {other="x"}', Health("Unknown", UNKNOWN)),
    ('return 1, {status="Healthy"}', Health("Healthy")),
    (
        'local hs = {} hs.status = "Progressing" hs.message = "a\\"b\\n\\0" return hs',
        Health("Progressing", 'a"b\n\0'),
    ),
]


@pytest.mark.parametrize(("script", "health"), OUTPUT, ids=[o[0] or "empty" for o in OUTPUT])
def test_what_scripts_return(host: LuaHost, script: str, health: Health) -> None:
    assert host.health(script, OBJ) == health


ERRORS = [
    ("return 5", "expect table output from Lua script, not number"),
    ('return "x"', "expect table output from Lua script, not string"),
    ("return true", "expect table output from Lua script, not boolean"),
    ("return function() end", "expect table output from Lua script, not function"),
    ('error("x", 0)', "x"),
    ('error("x")', "<string>:1: x"),
    ('error({status="Healthy"})', "the script raised a table"),
    ("return {status=print}", "cannot encode function to JSON"),
    ("return {1, nil, 3}", "cannot encode sparse array"),
    ("return {1, a=2}", "cannot encode mixed or invalid key types"),
    ("return {[true]=1}", "cannot encode mixed or invalid key types"),
    ("local t = {1} return {a=t, b=t}", "cannot encode recursively nested tables to JSON"),
    ("local t = {} t.t = t return t", "cannot encode recursively nested tables to JSON"),
    ("return {", "<string>:1: unexpected symbol near '<eof>'"),
    ("x = nil\nreturn x.y", "<string>:2: attempt to index global 'x' (a nil value)"),
    ("\x1bLua", "compiled code is not available in scripts"),
]


@pytest.mark.parametrize(("script", "text"), ERRORS, ids=[repr(e[0]) for e in ERRORS])
def test_failures_are_unknown_with_the_text(host: LuaHost, script: str, text: str) -> None:
    assert host.health(script, OBJ) == Health("Unknown", text, error=text)


ABSENT = [
    "string",
    "math",
    "io",
    "debug",
    "coroutine",
    "os",
    "python",
    "newproxy",
    "getfenv",
    "setfenv",
    "jit",
]


@pytest.mark.parametrize("name", ABSENT)
def test_the_default_sandbox_lacks(host: LuaHost, name: str) -> None:
    assert host.health(message(f"type({name})"), OBJ) == Health("Healthy", "nil")


def test_the_default_sandbox_has_no_string_methods(host: LuaHost) -> None:
    assert host.health(message('("x"):upper()'), OBJ).status == "Unknown"
    assert host.health(message('("x"):upper()'), OBJ, open_libs=True) == Health("Healthy", "X")
    assert host.health(message('("x"):upper()'), OBJ).status == "Unknown", "also after a run with libraries"


OPEN = [
    ('string.format("%d %s", 3, "a")', "3 a"),
    ("tostring(math.floor(2.7))", "2"),
    ('tostring(string.find("a.b", ".", 1, true))', "2"),
    ('("k=v"):match("(%w+)=(%w+)")', "k"),
    ("type(os.time())", "number"),
    ("type(coroutine.wrap(function() coroutine.yield(1) end)())", "number"),
    ("type(io)", "nil"),
    ("type(os.execute)", "nil"),
    ("tostring(os.getenv('HOME'))", "nil"),
    ("type(debug)", "nil"),
    ("type(python)", "nil"),
    ("type(string.dump)", "nil"),
    ("tostring(pcall(dofile, '/etc/passwd'))", "false"),
    ("tostring(pcall(loadfile, '/etc/passwd'))", "false"),
    ("tostring(pcall(require, 'io'))", "false"),
]


@pytest.mark.parametrize(("expression", "text"), OPEN, ids=[o[0] for o in OPEN])
def test_open_libraries(host: LuaHost, expression: str, text: str) -> None:
    assert host.health(message(expression), OBJ, open_libs=True) == Health("Healthy", text)


DATES = [
    ('os.date("%Y-%m-%d", 0)', "1970-01-01"),
    ('os.date("%q %E", 0)', "%q %E"),
    ('os.date("%X", 3661)', "01:01:01"),
    ('os.date("%c", 0)', "01 Jan 70 00:00 UTC"),
    ('tostring(os.date("*t", 0).yday)', "0"),
    ("tostring(os.time({year=1970, month=1, day=2, hour=0}))", "86400"),
]


@pytest.mark.parametrize(("expression", "text"), DATES, ids=[d[0] for d in DATES])
def test_the_clock(host: LuaHost, monkeypatch: pytest.MonkeyPatch, expression: str, text: str) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    script = f"local os = require('os') {message(expression)}"
    assert host.health(script, OBJ) == Health("Healthy", text)


def test_scripts_do_not_meet(host: LuaHost) -> None:
    spoil = "x = 1 table.concat = nil string.upper = nil getmetatable('').__index = nil tostring = nil"
    host.health(spoil, OBJ, open_libs=True)
    check = message('tostring(x) .. type(table.concat) .. type(string.upper) .. ("a"):upper()')
    assert host.health(check, OBJ, open_libs=True) == Health("Healthy", "nilfunctionfunctionA")


def test_scripts_do_not_change_the_object(host: LuaHost) -> None:
    host.health('obj.kind = "Y" obj.status = nil', OBJ)
    assert OBJ["kind"] == "X"
    assert OBJ["status"]


DEEP = """
local function dig(n)
  local t = setmetatable({}, {__index = function() return dig(n + 1) end})
  if n > 150 then while true do pcall(function() while true do end end) end end
  return t.x
end
while true do pcall(dig, 1) end
"""
COROUTINES = """
while true do
  local co = coroutine.create(function() while true do end end)
  coroutine.resume(co)
end
"""
ENDLESS = [
    ("loop", "while true do end", False),
    ("swallowed", "while true do pcall(function() while true do end end) end", False),
    ("recursion through pcall", "local function f() while true do pcall(f) end end f()", False),
    ("coroutine", "coroutine.wrap(function() while true do end end)()", True),
    ("coroutines", COROUTINES, True),
    ("pattern", 'return {message=("a"):rep(5000):find(("a*"):rep(20) .. "b")}', True),
    ("replacement", '("a"):rep(5000):gsub(".-.-.-.-.-b", "")', True),
    ("metamethod recursion under pcall", DEEP, False),
    ("xpcall", "local function f() while true do xpcall(f, f) end end f()", False),
    (
        "nested coroutines",
        "local function f() while true do coroutine.resume(coroutine.create(f)) end end f()",
        True,
    ),
    (
        "metamethod",
        "local t = setmetatable({}, {__index=function(t, k) while true do end end}) return t.x",
        False,
    ),
    ("sort", "table.sort({3,2,1}, function() while true do end end)", False),
]


@pytest.mark.parametrize(("script", "open_libs"), [e[1:] for e in ENDLESS], ids=[e[0] for e in ENDLESS])
def test_an_endless_script_costs_only_itself(script: str, open_libs: bool) -> None:
    host = LuaHost(instructions=2_000_000)
    health = host.health(script, OBJ, open_libs=open_libs)
    assert health.status == "Unknown"
    assert "context deadline exceeded" in health.message
    assert host.health(message("obj.kind"), OBJ, open_libs=open_libs) == Health("Healthy", "X")


GREEDY = [
    ("table", 'local t = {} for i = 1, 1e9 do t[i] = "x" .. i end', False),
    ("text", 'local s = "x" while true do s = s .. s end', False),
    ("rep", 'local s = string.rep("x", 1e9)', True),
    (
        "swallowed",
        'while true do pcall(function() local t = {} for i = 1, 1e9 do t[i] = "x" .. i end end) end',
        False,
    ),
]


@pytest.mark.parametrize(("script", "open_libs"), [g[1:] for g in GREEDY], ids=[g[0] for g in GREEDY])
def test_a_greedy_script_costs_only_itself(script: str, open_libs: bool) -> None:
    host = LuaHost(instructions=3_000_000, memory=8 * 1024 * 1024)
    health = host.health(script, OBJ, open_libs=open_libs)
    assert health.status == "Unknown"
    assert re.search("not enough memory|context deadline exceeded", health.message)
    assert host.health(message("obj.kind"), OBJ, open_libs=open_libs) == Health("Healthy", "X")


SURVIVORS = """
import sys
from tiphys.health.lua import LuaHost

FULL = 'local t = {} pcall(function() for i = 1, 1e9 do t[i] = "x" .. i end end) return {status="Healthy"}'
ASKS = 'return {status="Healthy", message=obj.kind}'
big = {"kind": "Big", "data": {f"key-{number}": "value " * 5 for number in range(20_000)}}
for step in range(40):
    host = LuaHost(instructions=3_000_000, memory=2 * 1024 * 1024 + step * 1021)
    for manifest in ({"kind": "Small"}, big):
        host.health(FULL, manifest)
        if host.health(ASKS, manifest).message != manifest["kind"]:
            sys.exit(f"step {step} {host.health(ASKS, manifest)}")
"""


def test_the_process_survives_scripts_that_survive_a_lack_of_memory() -> None:
    # in a process of its own: Lua's panic ends it without a word to Python
    ended = subprocess.run([sys.executable, "-c", SURVIVORS], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


HARMLESS = [
    ("table.insert({}, -2^31, 1)", False, "position out of bounds"),
    ('return {status="Healthy", message=string.rep("", 2^31)}', True, ""),
    ("local function f() return 1 + f() end f()", False, "stack overflow"),
    ('return {status="Healthy", message=("x"):rep(10):match((".?"):rep(400000))}', True, ""),
    ("return unpack({}, 1, 1e8)", False, "too many results to unpack"),
]


@pytest.mark.parametrize(("script", "open_libs", "text"), HARMLESS, ids=[h[0][:40] for h in HARMLESS])
def test_c_functions_cannot_run_away(script: str, open_libs: bool, text: str) -> None:
    started = time.process_time()
    health = LuaHost().health(script, OBJ, open_libs=open_libs)
    assert text in health.message
    assert time.process_time() - started < 3.0


PIECES = [
    "a",
    "b",
    ".",
    "%a",
    "%d",
    "%s",
    "%S",
    "[ab]",
    "[^a]",
    "[%d-]",
    "[a-c]",
    "%b()",
    "%f[%a]",
    "%%",
    "-",
    "(",
    ")",
    "()",
    "%1",
    "$",
    "^",
    "x",
]
PATTERNS = st.lists(
    st.tuples(st.sampled_from(PIECES), st.sampled_from(["", "", "", "*", "+", "-", "?"])), max_size=6
)
SUBJECTS = st.text(alphabet="ab1 x(-)%.$", max_size=12)


@pytest.fixture(scope="module")
def matchers():  # type: ignore[no-untyped-def]
    """The library's matcher beside ours with nothing deemed cheap."""
    runtime = lua51.LuaRuntime(unpack_returned_tuples=True)
    ours = runtime.execute(_source("patterns.lua").replace("CHEAP_WORK = 2e6", "CHEAP_WORK = 0"))
    outcome = runtime.execute("""
        return function(f, ...)
            local r = {pcall(f, ...)}
            if not r[1] then return "error" end
            local out = {}
            for i = 1, table.maxn(r) do out[i] = tostring(r[i]) end
            return table.concat(out, "|")
        end""")
    gmatch = runtime.execute("""
        return function(gmatch) return function(s, p)
            local out = {}
            for a, b in gmatch(s, p) do out[#out + 1] = tostring(a) .. ":" .. tostring(b) end
            return table.concat(out, ",")
        end end""")
    library = runtime.eval("string")
    return outcome, gmatch, library, ours


@settings(max_examples=500, deadline=None)
@given(subject=SUBJECTS, pieces=PATTERNS, init=st.integers(-3, 5))
def test_our_matcher_agrees_with_the_library(matchers, subject: str, pieces: list, init: int) -> None:  # type: ignore[no-untyped-def, type-arg]
    outcome, gmatch, library, ours = matchers
    pattern = "".join(piece + repeat for piece, repeat in pieces)
    for name in ("find", "match"):
        expected = outcome(library[name], subject, pattern, init)
        assert outcome(ours[name], subject, pattern, init) == expected, (name, pattern)
    for replacement in ("<%0>", "%%"):
        expected = outcome(library["gsub"], subject, pattern, replacement)
        assert outcome(ours["gsub"], subject, pattern, replacement) == expected, pattern
    expected = outcome(gmatch(library["gmatch"]), subject, pattern)
    assert outcome(gmatch(ours["gmatch"]), subject, pattern) == expected, pattern


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(st.text(string.ascii_letters, min_size=1, max_size=5), st.text(max_size=20), max_size=5)
)
def test_objects_arrive_unchanged(fields: dict[str, str]) -> None:
    assert LUA.evaluate("return obj", {"spec": fields, "kind": "X"}) == {"spec": fields or [], "kind": "X"}


LUA = LuaHost()
