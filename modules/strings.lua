-- Separators and replacements are plain text everywhere: no patterns, so no pattern bombs and no escaping.
local type, error, select, tostring = type, error, select, tostring
local find, sub, rep, gsub, byte = string.find, string.sub, string.rep, string.gsub, string.byte
local to_upper, to_lower, format, concat = string.upper, string.lower, string.format, table.concat
local floor, huge = math.floor, math.huge

local strings = {}

-- Level 4: the caller of the function whose check found the argument wrong.
local function bad(position, name, expected, value)
  error(format("bad argument #%d to '%s' (%s expected, got %s)", position, name, expected,
    type(value) == "number" and tostring(value) or type(value)), 4)
end

local function want_string(value, position, name)
  if type(value) ~= "string" then bad(position, name, "string", value) end
end

local function want_count(value, position, name, lowest)
  if type(value) ~= "number" or not (value >= lowest and value < huge) or floor(value) ~= value then
    bad(position, name, "whole number from " .. lowest .. " up", value)
  end
end

local function want_separator(value, position, name)
  if type(value) ~= "string" or value == "" then bad(position, name, "non-empty string", value) end
end

local function want_list(value, position, name)
  if type(value) ~= "table" then bad(position, name, "table", value) end
end

local function is_space(code)
  return code == 32 or (code ~= nil and code >= 9 and code <= 13)
end

local function first_of_text(text)
  local first = 1
  while is_space(byte(text, first)) do first = first + 1 end
  return first
end

local function last_of_text(text, first)
  local last = #text
  while last >= first and is_space(byte(text, last)) do last = last - 1 end
  return last
end

function strings.split(text, separator, limit)
  want_string(text, 1, "split")
  if separator == nil then separator = "," end
  want_separator(separator, 2, "split")
  if limit ~= nil then want_count(limit, 3, "split", 1) end
  local parts, count, start = {}, 0, 1
  while count + 1 ~= limit do
    local first, last = find(text, separator, start, true)
    if not first then break end
    count = count + 1
    parts[count] = sub(text, start, first - 1)
    start = last + 1
  end
  parts[count + 1] = sub(text, start)
  return parts
end

function strings.words(text)
  want_string(text, 1, "words")
  local words, count, start = {}, 0, 1
  local size = #text
  while true do
    while start <= size and is_space(byte(text, start)) do start = start + 1 end
    if start > size then return words end
    local stop = start
    while stop <= size and not is_space(byte(text, stop)) do stop = stop + 1 end
    count = count + 1
    words[count] = sub(text, start, stop - 1)
    start = stop
  end
end

function strings.lines(text)
  want_string(text, 1, "lines")
  local lines, count, start = {}, 0, 1
  while start <= #text do
    local stop = find(text, "\n", start, true) or #text + 1
    count = count + 1
    lines[count] = sub(text, start, byte(text, stop - 1) == 13 and stop > start and stop - 2 or stop - 1)
    start = stop + 1
  end
  return lines
end

function strings.trim(text)
  want_string(text, 1, "trim")
  local first = first_of_text(text)
  return sub(text, first, last_of_text(text, first))
end

function strings.trim_start(text)
  want_string(text, 1, "trim_start")
  return sub(text, first_of_text(text))
end

function strings.trim_end(text)
  want_string(text, 1, "trim_end")
  return sub(text, 1, last_of_text(text, 1))
end

function strings.starts_with(text, prefix)
  want_string(text, 1, "starts_with")
  want_string(prefix, 2, "starts_with")
  return sub(text, 1, #prefix) == prefix
end

function strings.ends_with(text, suffix)
  want_string(text, 1, "ends_with")
  want_string(suffix, 2, "ends_with")
  return suffix == "" or sub(text, -#suffix) == suffix
end

function strings.contains(text, part)
  want_string(text, 1, "contains")
  want_string(part, 2, "contains")
  return find(text, part, 1, true) ~= nil
end

function strings.join(list, separator)
  want_list(list, 1, "join")
  if separator == nil then separator = "" end
  want_string(separator, 2, "join")
  local parts = {}
  for i = 1, #list do
    local item = list[i]
    if item == nil or type(item) == "table" then
      error(format("bad argument #1 to 'join' (item %d is a %s value)", i, type(item)), 2)
    end
    parts[i] = tostring(item)
  end
  return concat(parts, separator)
end

function strings.replace(text, old, new, limit)
  want_string(text, 1, "replace")
  want_separator(old, 2, "replace")
  want_string(new, 3, "replace")
  if limit ~= nil then want_count(limit, 4, "replace", 0) end
  local parts, count, start = {}, 0, 1
  while count ~= limit do
    local first, last = find(text, old, start, true)
    if not first then break end
    count = count + 1
    parts[count] = sub(text, start, first - 1) .. new
    start = last + 1
  end
  parts[count + 1] = sub(text, start)
  return concat(parts), count
end

-- Code points: every byte that is no UTF-8 continuation.
local function width_of(text)
  local width = 0
  for i = 1, #text do
    local code = byte(text, i)
    if code < 0x80 or code >= 0xC0 then width = width + 1 end
  end
  return width
end

local function padding(text, width, fill, name)
  if type(text) ~= "string" then bad(1, name, "string", text) end
  if type(width) ~= "number" or not (width >= 0 and width <= 1e6) then
    bad(2, name, "number from 0 to 1000000", width)
  end
  if fill == nil then fill = " " end
  if type(fill) ~= "string" or width_of(fill) ~= 1 then bad(3, name, "one character", fill) end
  return rep(fill, floor(width) - width_of(text))
end

function strings.pad_left(text, width, fill)
  local pad = padding(text, width, fill, "pad_left")
  return pad .. text
end

function strings.pad_right(text, width, fill)
  local pad = padding(text, width, fill, "pad_right")
  return text .. pad
end

function strings.upper(text)
  want_string(text, 1, "upper")
  return (to_upper(text))
end

function strings.lower(text)
  want_string(text, 1, "lower")
  return (to_lower(text))
end

function strings.title(text)
  want_string(text, 1, "title")
  return (gsub(text, "(%a)([%w_'\128-\255]*)", function(first, rest) return to_upper(first) .. to_lower(rest) end))
end

function strings.is_empty(text)
  if text == nil then return true end
  want_string(text, 1, "is_empty")
  return first_of_text(text) > #text
end

return strings
