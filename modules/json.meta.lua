---@meta json

---JSON text to Lua values and back.
---
---A table with keys 1..n and no others is a list, every other one an object; `{}` is an object unless
---`json.array` marks it. Lists that `decode` made are marked, so `[]` stays `[]`. A `null` becomes `nil`: the key is
---absent, and a list with nulls has a field `n` with its length. Numbers are doubles: integers beyond 2^53 lose
---digits. Keys are written in sorted order.
---
---```lua
---local text = json.encode({ name = "api", ports = { 80, 443 } })
---assert(text == '{"name":"api","ports":[80,443]}')
---
---local config = assert(json.decode('{"replicas": 3, "tags": []}'))
---assert(config.replicas == 3 and #config.tags == 0)
---assert(json.encode(config) == '{"replicas":3,"tags":[]}')
---```
---@class json
---@field null table Written as `null`; `decode` gives nil instead.
json = {}

---Text of a value. Functions, cycles, `nan` and infinities raise, with the path of the culprit. Bytes that are no
---UTF-8 are written as U+FFFD.
---
---```lua
---print(json.encode({ a = 1 }, { indent = 4 }))
---assert(json.encode({ cleared = json.null }) == '{"cleared":null}')
---assert(not pcall(json.encode, { callback = print }))
---```
---@param value any
---@param options? {indent?: integer, pretty?: boolean} `indent`: spaces per level; `pretty`: the same as `indent = 2`
---@return string
function json.encode(value, options) end

---The value of a text.
---
---```lua
---local value, message = json.decode('{"a": }')
---assert(value == nil and message:find("line 1"))
---```
---@param text string
---@return any value nil when the text is not JSON (or is `null`)
---@return string? message what is wrong, with line and column
function json.decode(text) end

---Marks a table as a list, and returns it: `{}` is then written as `[]`.
---
---```lua
---assert(json.encode({ items = json.array() }) == '{"items":[]}')
---```
---@param list? table a new one when absent
---@return table
function json.array(list) end
