-- `--set tasks=N` empty Lua tasks that share one captured table of 2,000 entries.
local shared = {}
for i = 1, 2000 do shared["name" .. i] = "value " .. i end

for i = 1, values.tasks do
    task("empty" .. i):command(function() return shared ~= nil end):build()
end
