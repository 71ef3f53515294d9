---@meta log

---Lines with a severity, shown with the task's output and kept in the run's events.
---
---The first argument may be anything: what is no string is shown as `tostring` shows it. The optional second one
---is a table of fields, shown after the message as `key=value` and kept as data in `--output json`. Fields hold
---plain values (no functions); a field that cannot be kept is an error. Nothing is returned.
---
---```lua
---log.info("uploading", { file = "app.tar.gz", bytes = 1024 })
---log.warn("disk is filling up", { used = "91%" })
---log.success("deployed")
---log.info({ 1, 2 })          -- table: 0x...
---```
---@class log
log = {}

---Shown with `--verbose` only.
---@param message any
---@param fields? table
function log.debug(message, fields) end

---@param message any
---@param fields? table
function log.info(message, fields) end

---Like `info`, marked as good news.
---@param message any
---@param fields? table
function log.success(message, fields) end

---@param message any
---@param fields? table
function log.warn(message, fields) end

---The same as `log.warn`.
---@param message any
---@param fields? table
function log.warning(message, fields) end

---An error line. It does not end the task: use `error` or `return false, message` for that.
---
---```lua
---log.error("cannot reach the database", { host = "db1", attempt = 3 })
---```
---@param message any
---@param fields? table
function log.error(message, fields) end
