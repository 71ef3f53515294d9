---@meta time

---Clocks, sleeping, and times and durations as text. A time is a number of seconds since 1970-01-01 UTC with a
---fraction; a duration is a number of seconds.
---
---```lua
---local start = time.monotonic()
---time.sleep(0.01)
---assert(time.monotonic() - start >= 0.01)
---```
---@class time
time = {}

---The wall clock, in seconds (to the millisecond).
---@return number
function time.now() end

---The wall clock, in whole milliseconds.
---@return number
function time.now_ms() end

---Seconds on a clock that never jumps; only differences mean something. Measure with this one.
---@return number
function time.monotonic() end

---Waits; only this goroutine stands still. (`goroutine.sleep` is the same in milliseconds.)
---
---```lua
---time.sleep(0.005)
---time.sleep("5ms")
---```
---@param duration number|string seconds, or a text like "1m30s"; at most a year
function time.sleep(duration) end

---A time by a layout of strftime(3): `%Y %m %d %H %M %S %z %a %b %j` and so on.
---
---```lua
---assert(time.format(0, "%Y-%m-%d %H:%M", "utc") == "1970-01-01 00:00")
---print(time.format())          -- now, here: 2026-03-01 12:00:00
---```
---@param seconds? number default now
---@param layout? string default "%Y-%m-%d %H:%M:%S"
---@param zone? "local"|"utc" default "local": the machine's zone
---@return string
function time.format(seconds, layout, zone) end

---A text as a time, by a layout of strptime(3); without one, by RFC 3339. The whole text must fit.
---
---```lua
---assert(time.parse("1970-01-02T00:00:00Z") == 86400)
---assert(time.parse("01/03/2026", "%d/%m/%Y", "utc") == 1772323200)
---local seconds, message = time.parse("tomorrow")
---assert(seconds == nil and message:find("RFC 3339"))
---```
---@param text string
---@param layout? string
---@param zone? "local"|"utc" default "local"; a layout with `%z` decides by itself
---@return number? seconds
---@return string? message
function time.parse(text, layout, zone) end

---A time as RFC 3339 in UTC, with milliseconds when there are any.
---
---```lua
---assert(time.rfc3339(1.5) == "1970-01-01T00:00:01.500Z")
---```
---@param seconds? number default now
---@return string
function time.rfc3339(seconds) end

---A text like "300ms", "30s" or "1h30m" in seconds: what options named `timeout` accept.
---
---```lua
---assert(time.duration("1h30m") == 5400)
---local seconds, message = time.duration("soon")
---assert(seconds == nil and message:find("not a duration"))
---```
---@param text string
---@return number? seconds
---@return string? message
function time.duration(text) end

---Seconds in a short form for people.
---
---```lua
---assert(time.format_duration(125) == "2m05s")
---```
---@param seconds number
---@return string
function time.format_duration(seconds) end
