-- Runs users' scripts inside limits. Loaded once per Lua state by lua.py, which gets back the
-- functions in the table at the end. A script never sees this file's locals, the real globals or
-- the debug library: each run gets a fresh environment with copies of what it may use, so that
-- one script cannot change what another one sees.
--
-- Limits: a hook counts VM instructions and, past the budget, raises at every further
-- instruction, so that no pcall can swallow it. C functions that could loop or recurse for long
-- without running an instruction are wrapped (patterns: see patterns.lua). The hook needs a C call
-- to run, so near the limit of nested C calls it fails instead of counting: whoever catches that
-- failure (pcall, resume) pays a whole step of the budget for it.

local match_safely, budget_step, most_seconds = ...

local debug_sethook, debug_setmetatable = debug.sethook, debug.setmetatable
local co_create, co_resume, co_status, co_yield = coroutine.create, coroutine.resume, coroutine.status, coroutine.yield
local co_running = coroutine.running
local error, type, pairs, next, select, unpack = error, type, pairs, next, select, unpack
local tostring, tonumber, pcall, setfenv, loadstring = tostring, tonumber, pcall, setfenv, loadstring
local setmetatable, getmetatable, rawget, rawset = setmetatable, getmetatable, rawget, rawset
local insert, concat, maxn, getn = table.insert, table.concat, table.maxn, table.getn
local format, gsub, find, byte, sub, rep = string.format, string.gsub, string.find, string.byte, string.sub, string.rep
local floor, huge = math.floor, math.huge
local os_time, os_date, os_clock, os_difftime = os.time, os.date, os.clock, os.difftime
local real_string, real_table, real_math = string, table, math

local DEADLINE = "context deadline exceeded"

local remaining, started = 0, 0
local function expired() error(DEADLINE, 0) end

-- Watches one coroutine; coroutines that a script makes share the budget of the run.
local watched
local function count()
    remaining = remaining - budget_step
    if remaining <= 0 or os_clock() - started > most_seconds then
        remaining = 0
        debug_sethook(expired, "", 1)
        error(DEADLINE, 0)
    end
end
function watched(fn)
    local co = co_create(fn)
    debug_sethook(co, remaining > 0 and count or expired, "", remaining > 0 and budget_step or 1)
    return co
end

local MOST_NESTED = 16 -- coroutines inside coroutines; each may nest 200 C calls on one C stack
local nested = 0

-- Charges for a caught "C stack overflow", which may hide a step that was not counted.
local function caught(ok, why, ...)
    if not ok and type(why) == "string" and find(why, "stack overflow", 1, true) then
        remaining = remaining - budget_step
        if remaining <= 0 then
            debug_sethook(expired, "", 1)
            error(DEADLINE, 0)
        end
    end
    return ok, why, ...
end

local function safe_pcall(fn, ...) return caught(pcall(fn, ...)) end

-- Not the real xpcall: its handler would run inside the hook that raised, where no hook works.
local function handled(handler, ok, why, ...)
    if ok then return ok, why, ... end
    local _, answer = safe_pcall(handler, why)
    return false, answer
end
local function safe_xpcall(fn, handler) return handled(handler, safe_pcall(fn)) end

local function left(...)
    nested = nested - 1
    return ...
end
local function resume(co, ...)
    if nested >= MOST_NESTED then return false, "too many nested coroutines" end
    nested = nested + 1
    return caught(left(co_resume(co, ...)))
end

local function copy(source, names)
    local target = {}
    for name in names:gmatch("%S+") do target[name] = source[name] end
    return target
end

-- os: only the clock. A leading "!" asks for UTC unless a time is given; unknown flags are echoed.
local DATE_FLAGS = {}
for flag in ("a A b B c d F H I m M p P S x X y Y z Z w"):gmatch("%S") do DATE_FLAGS[flag] = "%" .. flag end
DATE_FLAGS.c = "%d %b %y %H:%M %Z"
DATE_FLAGS.X = "%H:%M:%S"

local function date(layout, at)
    layout = layout == nil and "%c" or layout
    if type(layout) ~= "string" then layout = tostring(layout) end
    if #layout > 4096 then error("format too long", 2) end
    local utc = ""
    if sub(layout, 1, 1) == "!" then
        layout = sub(layout, 2)
        if at == nil then utc = "!" end
    end
    if layout == "*t" then
        local parts = os_date(utc .. "*t", at)
        parts.yday, parts.isdst = 0, false
        return parts
    end
    return (gsub(layout, "%%(.)", function(flag)
        local known = DATE_FLAGS[flag]
        if not known then return "%" .. flag end
        if utc == "!" then known = gsub(known, "%%Z", "UTC") end
        return os_date(utc .. known, at)
    end))
end

local function safe_os() return { time = os_time, date = date } end

-- The base library. tonumber follows the reference's engine: an exponent needs a dot.
local function number_of(value, base)
    if type(value) == "string" and (base == nil or base == 10) and find(value, "^%s*[+-]?%d+[eE]") then
        return nil
    end
    return tonumber(value, base)
end

local function refused(name)
    return function() error(name .. " is not available in scripts", 2) end
end

local function compile_in(env, text, name)
    if type(text) ~= "string" then error("bad argument #1 to 'loadstring' (string expected)", 3) end
    if byte(text, 1) == 27 then return nil, "compiled code is not available in scripts" end
    local fn, why = loadstring(text, name or "=<string>")
    if not fn then return nil, why end
    return setfenv(fn, env)
end

local function safe_insert(list, ...)
    if select("#", ...) == 2 and type(list) == "table" then
        local at = ...
        at = tonumber(at)
        if at and (at < 1 or at > getn(list) + 1) then
            error("bad argument #2 to 'insert' (position out of bounds)", 2)
        end
    end
    return insert(list, ...)
end

local function base(env, modules)
    env._G = env
    env._VERSION = _VERSION
    for name in ("assert error ipairs next pairs rawequal rawget rawset select setmetatable " ..
        "getmetatable tostring type unpack"):gmatch("%S+") do
        env[name] = _G[name]
    end
    env.tonumber, env.pcall, env.xpcall = number_of, safe_pcall, safe_xpcall
    env.print = function() end
    env.collectgarbage = function() return 0 end
    env.dofile, env.loadfile = refused("dofile"), refused("loadfile")
    env.loadstring = function(text, name) return compile_in(env, text, name) end
    env.load = function(reader, name)
        local parts = {}
        while true do
            local part = reader()
            if part == nil or part == "" then break end
            parts[#parts + 1] = part
        end
        return compile_in(env, concat(parts), name)
    end
    local loaded = { os = safe_os() }
    env.package = { loaded = loaded, path = "", cpath = "" }
    env.require = function(name)
        local module = loaded[name] or modules[name]
        if module == nil then error("module " .. tostring(name) .. " not found", 2) end
        return module
    end
    env.table = copy(real_table, "concat foreach foreachi getn maxn remove sort")
    env.table.insert = safe_insert
end

local function strings()
    local lib = copy(real_string, "byte char format len lower reverse sub upper")
    lib.rep = function(text, times)
        text = tostring(text)
        times = tonumber(times) or 0
        if text == "" or times < 1 then return "" end
        return rep(text, times)
    end
    for name, fn in pairs(match_safely) do lib[name] = fn end
    return lib
end

local function coroutines()
    local lib = { resume = resume, status = co_status, yield = co_yield, running = co_running }
    lib.create = function(fn) return watched(fn) end
    lib.wrap = function(fn)
        local co = watched(fn)
        local function deliver(ok, ...)
            if ok then return ... end
            error((...), 0)
        end
        return function(...) return deliver(resume(co, ...)) end
    end
    return lib
end

local function environment(open, obj, params)
    local env, modules = {}, {}
    base(env, modules)
    env.obj, env.actionParams = obj, params
    if open then
        env.string, env.math, env.coroutine = strings(), copy(real_math,
            "abs acos asin atan atan2 ceil cos cosh deg exp floor fmod frexp huge ldexp log log10 max " ..
            "min mod modf pi pow rad random randomseed sin sinh sqrt tan tanh"), coroutines()
        env.os = { time = os_time, date = date, clock = os_clock, difftime = os_difftime, getenv = function() return nil end }
        for name in ("string math coroutine table"):gmatch("%S+") do modules[name] = env[name] end
        debug_setmetatable("", { __index = env.string })
    else
        debug_setmetatable("", nil)
    end
    return env
end

-- JSON of a result, under the rules and with the messages of the reference's encoder.
local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }
local function quoted(text)
    return '"' .. gsub(text, '[%z\1-\31"\\]', function(c) return ESCAPES[c] or format("\\u%04x", byte(c)) end) .. '"'
end

local function encode(value, seen)
    local kind = type(value)
    if kind == "nil" then return "null" end
    if kind == "boolean" then return tostring(value) end
    if kind == "string" then return quoted(value) end
    if kind == "number" then
        if value ~= value or value == huge or value == -huge then error("cannot encode number to JSON", 0) end
        if value == floor(value) and value > -1e15 and value < 1e15 then return format("%d", value) end
        return format("%.17g", value)
    end
    if kind ~= "table" then error("cannot encode " .. kind .. " to JSON", 0) end
    if seen[value] then error("cannot encode recursively nested tables to JSON", 0) end
    seen[value] = true
    local first = next(value)
    local parts = {}
    if first == nil then return "[]" end
    if type(first) == "number" then
        local largest, size = 0, 0
        for key in next, value do
            if type(key) ~= "number" then error("cannot encode mixed or invalid key types", 0) end
            if key ~= floor(key) or key < 1 then error("cannot encode sparse array", 0) end
            largest, size = key > largest and key or largest, size + 1
        end
        if largest ~= size then error("cannot encode sparse array", 0) end
        for index = 1, size do parts[index] = encode(value[index], seen) end
        return "[" .. concat(parts, ",") .. "]"
    end
    if type(first) ~= "string" then error("cannot encode mixed or invalid key types", 0) end
    for key, item in next, value do
        if type(key) ~= "string" then error("cannot encode mixed or invalid key types", 0) end
        parts[#parts + 1] = quoted(key) .. ":" .. encode(item, seen)
    end
    return "{" .. concat(parts, ",") .. "}"
end

local function compile(text)
    if byte(text, 1) == 27 then return nil, "compiled code is not available in scripts" end
    return loadstring(text, "=<string>")
end

-- Runs a compiled script; returns "ok", JSON or "nil", "[]" for nothing or "type", typename of its last value, or "error", text.
local function run(chunk, open, obj, params, budget)
    remaining, started, nested = budget, os_clock(), 0
    setfenv(chunk, environment(open, obj, params))
    local kind, answer
    local co = watched(function()
        local function last(...)
            local size = select("#", ...)
            if size == 0 then return nil end
            return (select(size, ...))
        end
        local value = last(chunk())
        if value == nil then
            kind, answer = "nil", "[]"
        elseif type(value) ~= "table" then
            kind, answer = "type", type(value)
        else
            kind, answer = "ok", encode(value, {})
        end
    end)
    local ok, why = co_resume(co)
    debug_setmetatable("", { __index = real_string })
    if not ok then
        if type(why) == "table" then why = "the script raised a table" end
        return "error", tostring(why)
    end
    if kind == nil then return "error", "attempt to yield outside of a coroutine" end
    return kind, answer
end

return compile, run
