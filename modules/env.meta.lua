---@meta env
---The environment variables of this task: those of the machine it runs on and the task's own `env`. Read only.
---
---```lua
---assert(env.get("SURELY_NOT_SET") == nil)
---assert(env.get("SURELY_NOT_SET", "fallback") == "fallback")
---assert(env.expand("${SURELY_NOT_SET:-/opt}/bin costs $$5") == "/opt/bin costs $5")
---```
---@class env
env = {}

---@param name string
---@param default any?
---@return any value the text, or `default`
function env.get(name, default) end

---@param name string
---@return boolean
function env.has(name) end

---The value; raises when the variable is not set, with the nearest name.
---@param name string
---@return string
function env.require(name) end

---All variables, as a fresh table.
---@return table<string, string>
function env.all() end

---Replaces `${NAME}` and `${NAME:-default}`; `$$` is a dollar. Raises for a variable that is neither set nor has a
---default.
---@param text string
---@return string
function env.expand(text) end
