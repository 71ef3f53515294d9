---@meta http

---HTTP and HTTPS. A call parks only its goroutine: thousands may run at once.
---
---`get`, `post` and the others return a response for **any** status and **raise** when there is none: a name
---that does not resolve, a refused connection, a bad certificate, a timeout. So "did not raise" means that the server
---answered. Each has a sister `try_get`, `try_post`, ... that returns `nil, message` instead of raising.
---
---```lua
---local response = http.get("http://localhost:8080/json")
---assert(response.success and response.status == 200)
---print(response.headers["content-type"], response:json().hello)
---
---local answer, message = http.try_get("http://127.0.0.1:1/")
---assert(answer == nil)
---log.info(message)   -- http.try_get http://127.0.0.1:1/: could not connect to 127.0.0.1:1: connection refused
---```
---@class http
http = {}

---A response. `status` and `status_code` are the same number; `success` is true for 200 to 299. Header names are in
---lower case; a header that comes several times is joined with ", " (`set-cookie` with line breaks).
---@class http.Response
---@field status integer
---@field status_code integer
---@field status_text string "Not Found"; "" under HTTP/2
---@field success boolean
---@field headers table<string, string>
---@field body string decompressed
---@field url string where the last redirect led
---@field elapsed_ms number with retries and redirects
---@field path? string of a download that was written
---@field bytes? integer its size
http.Response = {}

---The body as JSON.
---
---```lua
---local data, message = http.get("http://localhost:8080/status/404"):json()
---assert(data == nil and message:find("not JSON"))
---```
---@return any value nil when the body is not JSON
---@return string? message
function http.Response:json() end

---What every call accepts; anything else is an error with the nearest name.
---
---Only one of `body`, `json` and `form` may be given; the last two set the content type unless `headers` does.
---Proxies come from `http_proxy`, `https_proxy` and `no_proxy` in the task's environment unless `proxy` is given (`""`: none).
---Retries come after transport failures, 429, 502, 503 and 504, after 0.25 s, 0.5 s, 1 s, ... up to 10 s or what
---the server asks for in `Retry-After` (60 s at most); with them a POST may arrive twice.
---
---```lua
---local response = http.post("http://localhost:8080/echo", {
---  json = { name = "api", replicas = 3 },
---  headers = { ["X-Request-Id"] = "42" },
---  query = { dry_run = true, tag = { "a", "b" } },
---  timeout = "5s",
---  retries = 2,
---})
---assert(response:json().method == "POST")
---```
---@class http.Options
---@field headers? table<string, string|number|string[]>
---@field query? table<string, string|number|boolean|table> added to the URL
---@field body? string
---@field json? any written as JSON
---@field form? table<string, string|number|boolean|table> written as application/x-www-form-urlencoded
---@field timeout? number|string seconds or "1m30s", for one attempt and its redirects; default 30 s (download: none)
---@field connect_timeout? number|string default 30 s
---@field retries? integer further attempts, default 0
---@field follow_redirects? boolean|integer how many, default 10; false: the redirect itself is the response
---@field verify? boolean false accepts any certificate; default true
---@field ca_file? string certificates to trust (PEM); default SSL_CERT_FILE or the machine's
---@field proxy? string
---@field http2? boolean false: HTTP/1.1 only; default true (https only)
---@field user? string basic authentication
---@field password? string
---@field max_body? integer largest body in bytes that is taken into memory, default 64 MiB

---@param url string
---@param options? http.Options
---@return http.Response
function http.get(url, options) end

---@param url string
---@param options? http.Options
---@return http.Response
function http.post(url, options) end

---@param url string
---@param options? http.Options
---@return http.Response
function http.put(url, options) end

---@param url string
---@param options? http.Options
---@return http.Response
function http.patch(url, options) end

---@param url string
---@param options? http.Options
---@return http.Response
function http.delete(url, options) end

---@param url string
---@param options? http.Options
---@return http.Response
function http.head(url, options) end

---Any method.
---
---```lua
---local response = http.request("OPTIONS", "http://localhost:8080/echo")
---assert(response:json().method == "OPTIONS")
---```
---@param method string
---@param url string
---@param options? http.Options
---@return http.Response
function http.request(method, url, options) end

---Writes the body of a 2xx response to a file, streamed and of any size. The file appears under its name only when it
---is whole and replaces one that is there. Any other status writes nothing and gives the body in the response, so
---look at `success`. A relative path starts at the task's directory. There is no timeout unless given, but a minute
---without a byte ends the transfer.
---
---```lua
---local response = http.download("http://localhost:8080/bytes/100000", "data.bin")
---assert(response.success and response.bytes == 100000)
---```
---@param url string
---@param path string
---@param options? http.Options
---@return http.Response
function http.download(url, path, options) end

---@param url string
---@param options? http.Options
---@return http.Response? response
---@return string? message
function http.try_get(url, options) end

---@param url string
---@param options? http.Options
---@return http.Response? response
---@return string? message
function http.try_post(url, options) end

---@param url string
---@param options? http.Options
---@return http.Response? response
---@return string? message
function http.try_put(url, options) end

---@param url string
---@param options? http.Options
---@return http.Response? response
---@return string? message
function http.try_patch(url, options) end

---@param url string
---@param options? http.Options
---@return http.Response? response
---@return string? message
function http.try_delete(url, options) end

---@param url string
---@param options? http.Options
---@return http.Response? response
---@return string? message
function http.try_head(url, options) end

---@param method string
---@param url string
---@param options? http.Options
---@return http.Response? response
---@return string? message
function http.try_request(method, url, options) end

---@param url string
---@param path string
---@param options? http.Options
---@return http.Response? response
---@return string? message
function http.try_download(url, path, options) end
