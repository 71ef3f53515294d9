local natives = ...

-- Told by the field, not by identity, so that a copy in another VM is still a null.
natives.null = setmetatable({}, {
  __jsontype = "null",
  __tostring = function() return "null" end,
  __newindex = function() error("json.null cannot be changed", 2) end,
})

return natives
