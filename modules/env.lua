local natives = ...
local refuse = natives.refuse
natives.refuse = nil
return setmetatable(natives, { __newindex = refuse, __metatable = false })
