---@meta strings

---What scripts miss in Lua's `string` library. Separators and replacements are plain text, never patterns; lengths
---are bytes except for padding, which counts characters. Numbers are not taken for strings.
---
---```lua
---local host, port = unpack(strings.split("db1:5432", ":"))
---assert(host == "db1" and port == "5432")
---```
---@class strings
strings = {}

---The parts between separators; always at least one.
---
---```lua
---assert(#strings.split("a,b,,c") == 4)
---local pair = strings.split("key=a=b", "=", 2)
---assert(pair[1] == "key" and pair[2] == "a=b")
---```
---@param text string
---@param separator? string not empty; default ","
---@param limit? integer at most this many parts, the last one holding the rest
---@return string[]
function strings.split(text, separator, limit) end

---The parts between runs of white space.
---
---```lua
---assert(strings.join(strings.words("  a  b\n c "), "+") == "a+b+c")
---```
---@param text string
---@return string[]
function strings.words(text) end

---The lines without their ends (`\n` or `\r\n`); an end of line at the end of the text adds no empty line.
---
---```lua
---assert(#strings.lines("one\ntwo\r\n") == 2)
---```
---@param text string
---@return string[]
function strings.lines(text) end

---Without white space at both ends.
---
---```lua
---assert(strings.trim("  x y\n") == "x y")
---```
---@param text string
---@return string
function strings.trim(text) end

---@param text string
---@return string
function strings.trim_start(text) end

---@param text string
---@return string
function strings.trim_end(text) end

---```lua
---assert(strings.starts_with("v1.2", "v") and strings.ends_with("a.lua", ".lua") and strings.contains("a+b", "+"))
---```
---@param text string
---@param prefix string
---@return boolean
function strings.starts_with(text, prefix) end

---@param text string
---@param suffix string
---@return boolean
function strings.ends_with(text, suffix) end

---@param text string
---@param part string
---@return boolean
function strings.contains(text, part) end

---The items as text with a separator between them. Unlike `table.concat` it takes booleans too.
---
---```lua
---assert(strings.join({ "a", 1, true }, ", ") == "a, 1, true")
---```
---@param list any[]
---@param separator? string default ""
---@return string
function strings.join(list, separator) end

---Every occurrence replaced, from the left.
---
---```lua
---local text, count = strings.replace("1.2.3", ".", "-")
---assert(text == "1-2-3" and count == 2)
---assert(strings.replace("a a a", "a", "b", 1) == "b a a")
---```
---@param text string
---@param old string not empty
---@param new string
---@param limit? integer at most this many
---@return string text
---@return integer count
function strings.replace(text, old, new, limit) end

---Filled at the left up to a width in characters; a longer text stays as it is.
---
---```lua
---assert(strings.pad_left("7", 3, "0") == "007" and strings.pad_right("é", 3) == "é  ")
---```
---@param text string
---@param width integer
---@param fill? string one character; default a space
---@return string
function strings.pad_left(text, width, fill) end

---@param text string
---@param width integer
---@param fill? string
---@return string
function strings.pad_right(text, width, fill) end

---ASCII letters only, like `lower` and `title`.
---@param text string
---@return string
function strings.upper(text) end

---@param text string
---@return string
function strings.lower(text) end

---The first letter of each word in upper case, the others in lower case.
---
---```lua
---assert(strings.title("hello WORLD") == "Hello World")
---```
---@param text string
---@return string
function strings.title(text) end

---True for nil, "" and white space only.
---
---```lua
---assert(strings.is_empty(" \n") and strings.is_empty(nil) and not strings.is_empty("x"))
---```
---@param text? string
---@return boolean
function strings.is_empty(text) end
