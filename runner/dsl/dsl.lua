-- The task language's surface: builders that only record. What they recorded is checked in C++ (check_task.cc,
-- check_workflow.cc) after the file ran, so that every problem is reported at once and nothing is lost silently.
--
-- A record is one task or workflow:
--   { number, kind, name, place, form = "builder" or "table", inner, definition, built, entries }
-- An entry is one thing said about it: { key, place, n, ..., issue, members }, the arguments in 1..n.
-- A member is one element of a workflow's `tasks`: { key, record = number } or { key, value }.
local natives = ...
local place, raise, known, most_tasks = natives.place, natives.raise, natives.known, natives.most_tasks
local type, next, select, tostring = type, next, select, tostring
local setmetatable, getmetatable = setmetatable, getmetatable

local records = {}
local record_of = {} -- object -> record; objects themselves stay empty, so that nothing can be slipped into them
local open = true
local last -- whose method was looked up last: who a call with a dot instead of a colon was meant for

-- An argument as it is now: a table that the file changes later must not change what was said. What C++ refuses
-- anyway (metatables, endless depth) is kept as it is.
local function copy(value, depth, seen)
  if type(value) ~= "table" or record_of[value] or getmetatable(value) ~= nil or depth > 110 then return value end
  if seen[value] then return seen[value] end
  local result = {}
  seen[value] = result
  for key, item in next, value do result[key] = copy(item, depth + 1, seen) end
  return result
end

-- delegate_to may be a function of the file's own: it is asked while the file loads, so that an unknown agent is a load
-- error like any other.
local function answer(key, issue, n, ...)
  if key == "delegate_to" and issue == nil and n == 1 and type((...)) == "function" then
    local function count(...) return select("#", ...), ... end
    return count((...)())
  end
  return n, ...
end

local function record_entry(record, key, issue, n, ...)
  local entry = { key = key, place = place(), issue = issue, n = n, ... }
  for i = 1, n do
    if type(entry[i]) == "table" then entry[i] = copy(entry[i], 1, {}) end
  end
  record.entries[#record.entries + 1] = entry
end

local function note(record, key, issue, n, ...)
  return record_entry(record, key, issue, answer(key, issue, n, ...))
end

local function declare(kind, name)
  if not open then raise("a " .. kind .. " can be declared only while the file loads") end
  if #records >= most_tasks then raise("more than " .. most_tasks .. " tasks in one file") end
  local record = { number = #records + 1, kind = kind, name = name, place = place(), form = "builder", entries = {} }
  records[record.number] = record
  return record
end

-- The keys of a table form as entries. C++ refuses a body that is no plain table.
local function fill(record, body)
  record.form = "table"
  record.built = true
  if type(body) ~= "table" or record_of[body] then
    note(record, "", "no table", 1, body)
    return
  end
  if getmetatable(body) ~= nil then note(record, "", "metatable", 0) end
  for key, value in next, body do
    if key ~= "name" then note(record, key, nil, 1, value) end
  end
end

-- Plain tables among the elements of `tasks` become records of their own.
local function take_members(record)
  for _, entry in next, record.entries do
    local list = entry[1]
    if entry.key == "tasks" and not entry.members and type(list) == "table" and not record_of[list] then
      entry.members = {}
      for key, value in next, list do
        local member = { key = key }
        if record_of[value] then
          member.record = record_of[value].number
        elseif type(value) == "table" then
          local inner = declare("task", value.name)
          inner.inner = true
          fill(inner, value)
          member.record = inner.number
        else
          member.value = value
        end
        entry.members[#entry.members + 1] = member
      end
    end
  end
end

local function build(record, n)
  if record.built or n > 0 then note(record, "build", record.built and "twice" or "arguments", 0) end
  record.built = true
end

-- What the lookup of an unknown name gives, so that the chain goes on to the next problem.
local function skip(self) return record_of[self] and self or last end

local function metatable_of(kind)
  local methods = {}
  for key in next, known[kind] do
    methods[key] = function(self, ...)
      local record = record_of[self]
      if record == nil then
        note(record_of[last], key, "dot", 0)
        return last
      end
      if kind == "task" and key == "build" then
        build(record, select("#", ...))
      else
        note(record, key, kind == "task" and record.built and "late" or nil, select("#", ...), ...)
        if key == "tasks" then take_members(record) end
      end
      return self
    end
  end
  return {
    __index = function(object, key)
      local record = record_of[object]
      if key == "name" then return record.name end
      last = object
      if methods[key] then return methods[key] end
      note(record, key, kind == "task" and record.built and "no field" or "unknown", 0)
      return skip
    end,
    __newindex = function(object, key) note(record_of[object], key, "assigned", 0) end,
    __tostring = function(object) return kind .. ' "' .. tostring(record_of[object].name) .. '"' end,
    __metatable = kind,
    -- How an object travels when a task's function captures it.
    __portable = function(object) return record_of[object].name end,
  }
end

local metatables = { task = metatable_of("task"), workflow = metatable_of("workflow") }

local function object_of(record)
  local object = setmetatable({}, metatables[record.kind])
  record_of[object] = record
  return object
end

-- task("name"), or a table form `kind({...})`.
local function declare_by_argument(kind, n, argument)
  local record = declare(kind, argument)
  if type(argument) == "table" and not record_of[argument] then
    record.name = argument.name
    fill(record, argument)
    take_members(record)
  elseif kind == "workflow" then
    note(record, kind, "call", 0)
  end
  if n > 1 then note(record, kind, "extra", 0) end
  return object_of(record)
end

local function define(...)
  local name, body = ...
  local record = declare("workflow", name)
  if select("#", ...) > 1 then
    fill(record, body)
    take_members(record)
  end
  if select("#", ...) > 2 then note(record, "workflow.define", "extra", 0) end
  return object_of(record)
end

function task(...) return declare_by_argument("task", select("#", ...), (...)) end

workflow = setmetatable({ define = define }, {
  __call = function(_, ...) return declare_by_argument("workflow", select("#", ...), (...)) end,
  __index = function(_, key)
    return function(name)
      local record = declare("workflow", name)
      note(record, key, "no function", 0)
      return object_of(record)
    end
  end,
  __metatable = "workflow",
})

return {
  records = records,
  record_of = record_of,
  close = function() open = false end,
  -- The older form, TaskDefinitions = { group = { description =, tasks = {...} }, ... }: read after the file ran.
  add_definitions = function(definitions)
    for key, body in next, definitions do
      local record = declare("workflow", key)
      record.definition = true
      fill(record, body)
      take_members(record)
    end
  end,
}
