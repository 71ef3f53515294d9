-- What task code gets beside its function: `this`, and the running of shell commands. Uses the modules exec and fs.
-- They are asked for when used: most tasks need neither.
local error, getmetatable, ipairs, require, setmetatable = error, getmetatable, ipairs, require, setmetatable

-- `this.name` is the task's name and `this.name()` too, since scripts use both. So these very strings may be
-- called; any other one is a mistake as ever.
local callable = {}
getmetatable("").__call = function(text)
  if callable[text] then return text end
  error("attempt to call a string value", 2)
end

local function this(name, agent, attempt, run_id, directory, fresh)
  callable[name], callable[directory] = true, true
  local workdir = { path = directory }
  function workdir.get() return directory end
  function workdir.exists() return require("fs").is_dir(directory) end
  function workdir.ensure() return require("fs").mkdir(directory) end
  -- Only what is in a directory that was made for the attempt is ever removed, never what is the user's own. The
  -- directory itself stays as long as the attempt, whose commands start in it.
  function workdir.cleanup()
    if not fresh then return false, directory .. " was not made for this task; it is left alone" end
    local fs = require("fs")
    local names, message = fs.ls(directory)
    if not names then return false, message end
    for _, name in ipairs(names) do
      local removed, why = fs.rm_r(fs.join(directory, name))
      if not removed then return false, why end
    end
    return true
  end
  setmetatable(workdir, { __tostring = function() return directory end })
  return { name = name, agent = agent, attempt = attempt, run_id = run_id, workdir = workdir }
end

-- Answers as a task function does.
local function shell(command, workdir, env)
  local result = require("exec").run(command, { max_output = 0, workdir = workdir, env = env })
  if result.success then return true end
  if result.signal then return false, "killed by " .. result.signal end
  return false, "command failed with exit code " .. result.exit_code, { exit_code = result.exit_code }
end

return { this = this, shell = shell }
