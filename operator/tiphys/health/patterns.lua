-- Lua patterns that cannot run away. The library's matcher is written in C: the instruction hook
-- does not see it, its time grows with a power of the subject's length and it recurses once for
-- each optional item. Patterns with little to backtrack go to the library; others to the matcher
-- below, which is plain Lua, so that the hook stops it like any other code.

local find, gsub, gmatch, match = string.find, string.gsub, string.gmatch, string.match
local sub, byte, lower = string.sub, string.byte, string.lower
local error, type, tostring, tonumber, select, unpack = error, type, tostring, tonumber, select, unpack
local concat = table.concat

local CHEAP_WORK = 2e6 -- steps of the C matcher, about 10 ms

-- How many single-character repetitions a pattern has (an upper bound of its backtracking).
local function repetitions(pattern)
    local found = 0
    for _ in gmatch(pattern, "[%*%+%-%?]") do found = found + 1 end
    if find(pattern, "%b", 1, true) then found = found + 1 end
    return found
end

local function cheap(subject, pattern)
    if #pattern > 500 then return false end
    local work = #subject + 1
    local anchored = byte(pattern, 1) == 94
    return work ^ (repetitions(pattern) + (anchored and 0 or 1)) <= CHEAP_WORK
end

-- Single characters -------------------------------------------------------------------------

local CLASSES = {
    a = "%a", c = "%c", d = "%d", l = "%l", p = "%p", s = "%s", u = "%u", w = "%w", x = "%x", z = "%z",
}

local function in_class(char, class)
    local small = lower(class)
    local known = CLASSES[small]
    if not known then return class == char end
    local hit = find(char, known) ~= nil
    if small ~= class then return not hit end
    return hit
end

-- End of the item that starts at p (exclusive).
local function item_end(pattern, p)
    local char = sub(pattern, p, p)
    if char == "%" then
        if p + 1 > #pattern then error("malformed pattern (ends with '%')", 0) end
        return p + 2
    end
    if char ~= "[" then return p + 1 end
    local at = p + 1
    if sub(pattern, at, at) == "^" then at = at + 1 end
    repeat
        if at > #pattern then error("malformed pattern (missing ']')", 0) end
        local inside = sub(pattern, at, at)
        at = at + 1
        if inside == "%" then at = at + 1 end
    until sub(pattern, at, at) == "]"
    return at + 1
end

local function in_set(char, pattern, from, to)
    local wanted, at = true, from + 1
    if sub(pattern, at, at) == "^" then wanted, at = false, at + 1 end
    while at < to do
        local item = sub(pattern, at, at)
        if item == "%" then
            at = at + 1
            if in_class(char, sub(pattern, at, at)) then return wanted end
        elseif sub(pattern, at + 1, at + 1) == "-" and at + 2 < to then
            if item <= char and char <= sub(pattern, at + 2, at + 2) then return wanted end
            at = at + 2
        elseif item == char then
            return wanted
        end
        at = at + 1
    end
    return not wanted
end

local function single(state, s, p, stop)
    if s > #state.subject then return false end
    local char, item = sub(state.subject, s, s), sub(state.pattern, p, p)
    if item == "." then return true end
    if item == "%" then return in_class(char, sub(state.pattern, p + 1, p + 1)) end
    if item == "[" then return in_set(char, state.pattern, p, stop - 1) end
    return item == char
end

-- Matching: returns the position after the match, or nil ----------------------------------------

local go

local function capture_value(state, index)
    local capture = state.captures[index]
    if not capture then error("invalid capture index", 0) end
    if capture.size == "position" then return capture.start end
    if capture.size == "open" then error("unfinished capture", 0) end
    return sub(state.subject, capture.start, capture.start + capture.size - 1)
end

local function opened(state, s, p, size)
    local captures = state.captures
    if #captures >= 32 then error("too many captures", 0) end
    captures[#captures + 1] = { start = s, size = size }
    local stop = go(state, s, p)
    if not stop then captures[#captures] = nil end
    return stop
end

local function closed(state, s, p)
    local captures = state.captures
    for index = #captures, 1, -1 do
        if captures[index].size == "open" then
            captures[index].size = s - captures[index].start
            local stop = go(state, s, p)
            if not stop then captures[index].size = "open" end
            return stop
        end
    end
    error("invalid pattern capture", 0)
end

local function balanced(state, s, p)
    local left, right = sub(state.pattern, p, p), sub(state.pattern, p + 1, p + 1)
    if right == "" then error("unbalanced pattern", 0) end
    if sub(state.subject, s, s) ~= left then return nil end
    local depth = 1
    for at = s + 1, #state.subject do
        local char = sub(state.subject, at, at)
        if char == right then
            depth = depth - 1
            if depth == 0 then return at + 1 end
        elseif char == left then
            depth = depth + 1
        end
    end
    return nil
end

local function frontier(state, s, p)
    if sub(state.pattern, p, p) ~= "[" then error("missing '[' after '%f' in pattern", 0) end
    local stop = item_end(state.pattern, p)
    local before = s == 1 and "\0" or sub(state.subject, s - 1, s - 1)
    local here = s > #state.subject and "\0" or sub(state.subject, s, s)
    if in_set(before, state.pattern, p, stop - 1) or not in_set(here, state.pattern, p, stop - 1) then return nil end
    return stop
end

local function greedy(state, s, p, stop, least)
    local count = 0
    while single(state, s + count, p, stop) do count = count + 1 end
    while count >= least do
        local reached = go(state, s + count, stop + 1)
        if reached then return reached end
        count = count - 1
    end
    return nil
end

local function lazy(state, s, p, stop)
    while true do
        local reached = go(state, s, stop + 1)
        if reached then return reached end
        if not single(state, s, p, stop) then return nil end
        s = s + 1
    end
end

function go(state, s, p)
    local pattern = state.pattern
    while true do
        if p > #pattern then return s end
        local char, following = sub(pattern, p, p), sub(pattern, p + 1, p + 1)
        if char == "(" then
            if following == ")" then return opened(state, s, p + 2, "position") end
            return opened(state, s, p + 1, "open")
        elseif char == ")" then
            return closed(state, s, p + 1)
        elseif char == "$" and p == #pattern then
            return s == #state.subject + 1 and s or nil
        elseif char == "%" and following == "b" then
            s = balanced(state, s, p + 2)
            if not s then return nil end
            p = p + 4
        elseif char == "%" and following == "f" then
            p = frontier(state, s, p + 2)
            if not p then return nil end
        elseif char == "%" and find(following, "^%d") then
            local text = capture_value(state, tonumber(following))
            if type(text) == "number" then return nil end
            if sub(state.subject, s, s + #text - 1) ~= text then return nil end
            s, p = s + #text, p + 2
        else
            local stop = item_end(pattern, p)
            local mark = sub(pattern, stop, stop)
            if mark == "?" then
                if single(state, s, p, stop) then
                    local reached = go(state, s + 1, stop + 1)
                    if reached then return reached end
                end
                p = stop + 1
            elseif mark == "*" then
                return greedy(state, s, p, stop, 0)
            elseif mark == "+" then
                return greedy(state, s, p, stop, 1)
            elseif mark == "-" then
                return lazy(state, s, p, stop)
            else
                if not single(state, s, p, stop) then return nil end
                s, p = s + 1, stop
            end
        end
    end
end

local function values_of(state)
    local values = {}
    for index = 1, #state.captures do values[index] = capture_value(state, index) end
    return values
end

-- First match at or after init: start, end, the state that holds the captures.
local function search(subject, pattern, init)
    local anchored = sub(pattern, 1, 1) == "^"
    local state = { subject = subject, pattern = anchored and sub(pattern, 2) or pattern }
    for s = init, #subject + 1 do
        state.captures = {}
        local stop = go(state, s, 1)
        if stop then return s, stop - 1, state end
        if anchored then return nil end
    end
    return nil
end

local function start_of(subject, init)
    init = tonumber(init) or 1
    if init < 0 then init = #subject + init + 1 end
    if init > #subject + 1 then init = #subject + 1 end
    return init < 1 and 1 or init
end

-- The library ----------------------------------------------------------------------------------

local lib = {}

local function checked(subject, pattern, name)
    local text, rule = type(subject), type(pattern)
    if text ~= "string" and text ~= "number" then
        error("bad argument #1 to '" .. name .. "' (string expected, got " .. text .. ")", 3)
    end
    if rule ~= "string" and rule ~= "number" then
        error("bad argument #2 to '" .. name .. "' (string expected, got " .. rule .. ")", 3)
    end
    return tostring(subject), tostring(pattern)
end

function lib.find(subject, pattern, init, plain)
    subject, pattern = checked(subject, pattern, "find")
    if plain or not find(pattern, "[%^%$%*%+%?%.%(%[%%%-]") then
        if #subject * #pattern <= 1e8 then return find(subject, pattern, init, true) end
    elseif cheap(subject, pattern) then
        return find(subject, pattern, init)
    end
    init = start_of(subject, init)
    if plain then pattern = gsub(pattern, "%W", "%%%0") end
    local from, to, state = search(subject, pattern, init)
    if not from then return nil end
    return from, to, unpack(values_of(state))
end

function lib.match(subject, pattern, init)
    subject, pattern = checked(subject, pattern, "match")
    if cheap(subject, pattern) then return match(subject, pattern, init) end
    local from, to, state = search(subject, pattern, start_of(subject, init))
    if not from then return nil end
    if #state.captures == 0 then return sub(subject, from, to) end
    return unpack(values_of(state))
end

function lib.gmatch(subject, pattern)
    subject, pattern = checked(subject, pattern, "gmatch")
    if cheap(subject, pattern) then return gmatch(subject, pattern) end
    -- As in the library, "^" has no special meaning here.
    if sub(pattern, 1, 1) == "^" then pattern = "%" .. pattern end
    local at = 1
    return function()
        if at > #subject + 1 then return nil end
        local from, to, state = search(subject, pattern, at)
        if not from then
            at = #subject + 2
            return nil
        end
        at = to < from and from + 1 or to + 1
        if #state.captures == 0 then return sub(subject, from, to) end
        return unpack(values_of(state))
    end
end
lib.gfind = lib.gmatch

local function replacement(by, whole, state)
    local kind, value, captured = type(by), nil, #state.captures
    if kind == "function" then
        if captured == 0 then value = by(whole) else value = by(unpack(values_of(state))) end
    elseif kind == "table" then
        if captured == 0 then value = by[whole] else value = by[capture_value(state, 1)] end
    else
        local parts, at = {}, 1
        by = tostring(by)
        while at <= #by do
            local char = sub(by, at, at)
            if char == "%" then
                at = at + 1
                char = sub(by, at, at)
                if char == "0" then
                    char = whole
                elseif find(char, "^%d") then
                    local index = tonumber(char)
                    if index == 1 and captured == 0 then
                        char = whole
                    else
                        char = tostring(capture_value(state, index))
                    end
                end
            end
            parts[#parts + 1] = char
            at = at + 1
        end
        return concat(parts)
    end
    if not value then return whole end
    if type(value) ~= "string" and type(value) ~= "number" then
        error("invalid replacement value (a " .. type(value) .. ")", 0)
    end
    return tostring(value)
end

function lib.gsub(subject, pattern, by, most)
    subject, pattern = checked(subject, pattern, "gsub")
    if cheap(subject, pattern) then
        if most == nil then return gsub(subject, pattern, by) end
        return gsub(subject, pattern, by, most)
    end
    local kind = type(by)
    if kind ~= "string" and kind ~= "number" and kind ~= "function" and kind ~= "table" then
        error("bad argument #3 to 'gsub' (string/function/table expected)", 2)
    end
    most = tonumber(most) or #subject + 1
    local parts, at, count = {}, 1, 0
    while count < most do
        local from, to, state = search(subject, pattern, at)
        if not from then break end
        count = count + 1
        parts[#parts + 1] = sub(subject, at, from - 1)
        parts[#parts + 1] = replacement(by, sub(subject, from, to), state)
        if to < from then
            parts[#parts + 1] = sub(subject, from, from)
            at = from + 1
        else
            at = to + 1
        end
        if at > #subject + 1 or sub(pattern, 1, 1) == "^" then break end
    end
    parts[#parts + 1] = sub(subject, at)
    return concat(parts), count
end

return lib
