-- What a result can do beside its fields: stand for its stdout, as scripts written for the string form expect.
local natives = ...
local getmetatable, type, string = getmetatable, type, string

local Result = {}

local function text(value)
  if getmetatable(value) == Result then return value.stdout end
  return value
end

function Result.__tostring(self) return self.stdout end
function Result.__concat(a, b) return text(a) .. text(b) end
function Result.__eq(a, b) return a.stdout == b.stdout end
function Result.__lt(a, b) return text(a) < text(b) end
function Result.__le(a, b) return text(a) <= text(b) end

-- result:match("...") is result.stdout:match("..."), for every function of `string`, a user's own included.
local methods = setmetatable({}, { __mode = "k" })

function Result.__index(_, name)
  local fn = string[name]
  if type(fn) ~= "function" then return nil end
  local method = methods[fn]
  if not method then
    method = function(self, ...) return fn(text(self), ...) end
    methods[fn] = method
  end
  return method
end

natives.result_metatable(Result)

return { run = natives.run, command = natives.command, sh = natives.sh }
