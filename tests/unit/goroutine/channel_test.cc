// Channels, select, locks.
#include "tests/unit/goroutine/support.h"

namespace sloth::testing {
namespace {

TEST_CASE("a channel is first in, first out, with and without a buffer") {
  for (const char* capacity : {"0", "1", "3", "100"}) {
    INFO(capacity);
    Goroutines lua;
    CHECK(lua.text(std::string("local ch = goroutine.channel(") + capacity + R"()
      goroutine.spawn(function() for i = 1, 50 do ch:send(i) end ch:close() end)
      local sum, last, sorted = 0, 0, true
      for v in ch:iter() do sum = sum + v sorted = sorted and v == last + 1 last = v end
      return sum, sorted)") == "1275 true");
  }
}

TEST_CASE("many senders and receivers lose nothing and double nothing") {
  for (const char* capacity : {"0", "7"}) {
    Goroutines lua;
    CHECK(lua.text(std::string("local ch = goroutine.channel(") + capacity + R"()
      local seen, n, wg = {}, 0, goroutine.wait_group()
      for s = 1, 8 do wg:go(function() for i = 1, 200 do ch:send(s * 1000 + i) if i % 17 == 0 then goroutine.sleep(0) end end end) end
      for r = 1, 8 do goroutine.spawn(function() for v in ch:iter() do
        assert(not seen[v]) seen[v] = true n = n + 1 end end) end
      wg:wait()
      ch:close()
      goroutine.sleep(1)
      return n)") == "1600");
  }
}

TEST_CASE("nil can be sent, closed is told by the second value") {
  Goroutines lua;
  CHECK(lua.text("local ch = goroutine.channel(2) ch:send(nil) ch:send(false) ch:close()\n"
                 "local a, b = ch:receive() local c, d = ch:receive() local e, f = ch:receive()\n"
                 "return a, b, c, d, e, f, ch:send(1)") ==
        "null true false true null false false \"send on closed channel\"");
}

TEST_CASE("close wakes everybody who waits") {
  Goroutines lua;
  CHECK(lua.text(R"(
    local ch = goroutine.channel()
    local r = goroutine.async(function() return ch:receive() end)
    goroutine.sleep(1)
    ch:close()
    local full = goroutine.channel()
    local s = goroutine.async(function() return full:send(1) end)
    goroutine.sleep(1)
    full:close()
    local a, b, c = r:await()
    local d, e, f = s:await()
    return a, b, c, d, e, f, ch:close())") ==
        "true null false true false \"send on closed channel\" false \"channel already closed\"");
}

TEST_CASE("directions and misuse raise") {
  Goroutines lua;
  CHECK(lua.text("goroutine.channel(-1)") == "error: test.lua:1: capacity must be non-negative");
  CHECK(lua.text("goroutine.channel(0, 'up')") ==
        "error: test.lua:1: direction must be 'bidirectional', 'send', or 'receive'");
  CHECK(lua.text("goroutine.channel(1, 'receive'):send(1)") ==
        "error: test.lua:1: cannot send on receive-only channel");
  CHECK(lua.text("goroutine.channel(1, 'send'):receive()") ==
        "error: test.lua:1: cannot receive on send-only channel");
  CHECK(lua.text("goroutine.channel_send({}, 1)").find("channel expected, got table") != std::string::npos);
  CHECK(lua.text("local ch = goroutine.channel(2) return ch:try_send(1), ch:try_send(2), ch:try_send(3), "
                 "ch:len(), ch:cap(),\n"
                 "ch:try_receive()") == "true true false 2 2 1 true");
}

TEST_CASE("select takes exactly one ready case and disarms the others") {
  Goroutines lua;
  CHECK(lua.text(R"(
    local a, b = goroutine.channel(), goroutine.channel()
    local got
    goroutine.spawn(function() goroutine.sleep(1) b:send("second") end)
    local index, result = goroutine.select({
      { channel = a, receive = true, handler = function(v) got = v end },
      { channel = b, receive = true, handler = function(v, ok) got = v return ok end },
    })
    -- Nobody is left waiting on a: a try_send finds no receiver.
    return index, result, got, a:try_send(1))") == "2 true \"second\" false");
  CHECK(lua.text("local ch = goroutine.channel() return (goroutine.select({{channel = ch, receive = true}, "
                 "{default = true}}))") == "2");
  CHECK(lua.text(R"(
    local ch = goroutine.channel()
    local h = goroutine.async(function() return (goroutine.select({{ channel = ch, send = "v" }})) end)
    local v = ch:receive()
    local ok, index = h:await()
    return v, index)") == "\"v\" 1");
}

TEST_CASE("a closed channel makes its case ready") {
  Goroutines lua;
  CHECK(lua.text(
            "local ch = goroutine.channel() goroutine.spawn(function() goroutine.sleep(1) ch:close() end)\n"
            "local v, ok = 1, 1 goroutine.select({{channel = ch, receive = true, handler = function(a, b) v, "
            "ok = a, b end}})\n"
            "return v, ok") == "null false");
}

TEST_CASE("select is fair among ready cases") {
  Goroutines lua;
  CHECK(lua.text(R"(
    local a, b = goroutine.channel(1000), goroutine.channel(1000)
    for i = 1, 1000 do a:send(i) b:send(i) end
    local count = { 0, 0 }
    for i = 1, 1000 do
      local index = goroutine.select({ { channel = a, receive = true }, { channel = b, receive = true } })
      count[index] = count[index] + 1
    end
    return count[1] > 300 and count[2] > 300, count[1] + count[2] == 1000)") == "true true");
}

TEST_CASE("select_timeout has the original's shape") {
  Goroutines lua;
  CHECK(lua.text("local ch = goroutine.channel() return goroutine.select_timeout(2, {{channel = ch, receive "
                 "= true}})") == "true null");
  CHECK(lua.text("local ch = goroutine.channel(1) ch:send(1)\n"
                 "return goroutine.select_timeout(50, {{channel = ch, receive = true}})") == "false 1");
  CHECK(lua.text("return goroutine.select_timeout(2, {})") == "true null");
}

TEST_CASE("no item is lost between select, timeouts and cancels") {
  Goroutines lua;
  CHECK(lua.text(R"(
    math.randomseed(7)
    local ch, got, sent = goroutine.channel(), 0, 0
    local wg = goroutine.wait_group()
    for s = 1, 4 do wg:go(function()
      for i = 1, 100 do
        local late, index = goroutine.select_timeout(math.random(0, 2), {{ channel = ch, send = i }})
        if not late and index == 1 then sent = sent + 1 end
        goroutine.sleep(0)
      end
    end) end
    local readers = {}
    for r = 1, 4 do readers[r] = goroutine.spawn(function()
      while true do
        if math.random(2) == 1 then
          goroutine.select_timeout(1, {{ channel = ch, receive = true, handler = function(v, ok) if ok then got = got + 1 end end }})
        else
          local v, ok = ch:try_receive()
          if ok then got = got + 1 end
          goroutine.sleep(0)
        end
      end
    end) end
    wg:wait()
    for r = 1, 4 do readers[r]:cancel() end
    return got == sent, sent > 0)") == "true true");
}

TEST_CASE("mutexes are fair, released on error, and complain") {
  Goroutines lua;
  CHECK(lua.text(R"(
    local m, order = goroutine.mutex(), {}
    m:lock()
    for i = 1, 3 do goroutine.spawn(function() m:lock() order[#order + 1] = i m:unlock() end) end
    goroutine.sleep(1)
    m:unlock()
    local stolen = m:try_lock()
    goroutine.sleep(1)
    local ok = pcall(m.with, m, function() error("x") end)
    return order, stolen, ok, m:try_lock())") == "[1,2,3] false false true");
  CHECK(lua.text("goroutine.mutex():unlock()").find("unlock of unlocked mutex") != std::string::npos);
}

TEST_CASE("semaphores bound how many are inside") {
  Goroutines lua;
  CHECK(lua.text(R"(
    local s, inside, most = goroutine.semaphore(3), 0, 0
    local handles = goroutine.spawn_many(20, function()
      s:with(function() inside = inside + 1 most = math.max(most, inside) goroutine.sleep(1) inside = inside - 1 end)
    end)
    goroutine.await_all(handles)
    return most, s:available(), s:capacity())") == "3 3 3");
  CHECK(lua.text("goroutine.semaphore(0)").find("capacity must be positive") != std::string::npos);
  CHECK(lua.text("goroutine.semaphore(1):release()").find("release without acquire") != std::string::npos);
}

}  // namespace
}  // namespace sloth::testing
