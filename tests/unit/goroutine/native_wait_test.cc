// Waits that other threads end: suspend, offload, wakers that come late.
#include <thread>

#include "modules/goroutine.h"
#include "runner/lua/stack.h"
#include "tests/support/lua_fixture.h"

namespace sloth::testing {
namespace {

// A native that waits until the test wakes it.
struct Door {
  Mutex mutex;
  std::vector<Waker> waiting GUARDED_BY(mutex);
  int cancelled = 0;

  std::size_t count() {
    MutexLock lock(mutex);
    return waiting.size();
  }
  Waker take() {
    MutexLock lock(mutex);
    Waker waker = waiting.back();
    waiting.pop_back();
    return waker;
  }
};

int wait(lua_State* L) {
  Door& door = context_of<Door>(L);
  return Scheduler::of(L).suspend(
      L, "door.wait",
      [&](Waker waker) {
        MutexLock lock(door.mutex);
        door.waiting.push_back(waker);
      },
      [&door] {
        ++door.cancelled;
        door.take().resolve(Value::List{"too late"});
      });
}

int compute(lua_State* L) {
  const double n = lua_tonumber(L, 1);
  return Scheduler::of(L).offload(L, "door.compute", [n]() -> Push {
    return [n](lua_State* to) {
      lua_pushnumber(to, n * 2);
      return 1;
    };
  });
}

class WithDoor {
 public:
  Door door;
  LuaFixture lua{[this](Executor&) {
    return std::vector<Module>{goroutine_module(),
                               {.name = "door",
                                .natives = {{"wait", native<wait>, true}, {"compute", native<compute>, true}},
                                .context = &door}};
  }};

  void when_waiting(std::size_t count, const std::function<void()>& act) {
    while (door.count() < count) std::this_thread::yield();
    act();
  }
};

TEST_CASE("a waker's values are what the waiting call returns") {
  WithDoor with;
  std::thread other([&] {
    with.when_waiting(1, [&] { with.door.take().resolve(Value::List{1, "two", Value()}); });
  });
  CHECK(with.lua.run("return door.wait()").text() == "1 \"two\" null");
  other.join();
}

TEST_CASE("only the first call of a waker counts, refuse and fail have their shapes") {
  WithDoor with;
  std::thread other([&] {
    with.when_waiting(1, [&] {
      const Waker waker = with.door.take();
      waker.refuse("no such thing");
      waker.fail("ignored");
    });
    with.when_waiting(1, [&] { with.door.take().fail("broken"); });
  });
  CHECK(with.lua.run("local a, b = door.wait() return a, b, pcall(door.wait)").text() ==
        "null \"no such thing\" false \"test.lua:1: broken\"");
  other.join();
}

TEST_CASE("a failed wait has the caller's position") {
  WithDoor with;
  std::thread other([&] { with.when_waiting(1, [&] { with.door.take().fail("broken"); }); });
  CHECK(with.lua.run("local x = 1\ndoor.wait()").text() == "error: test.lua:2: broken");
  other.join();
}

TEST_CASE("a timeout ends the native wait before it returns") {
  WithDoor with;
  CHECK(with.lua.run("return goroutine.timeout(10, door.wait)").text() == "false \"timeout exceeded\"");
  CHECK(with.door.cancelled == 1);
  CHECK(with.door.count() == 0);
}

TEST_CASE("offloaded work runs elsewhere and comes back") {
  WithDoor with;
  CHECK(
      with.lua
          .run("local hs = {} for i = 1, 200 do hs[i] = goroutine.async(door.compute, i) end\n"
               "local s = 0 for _, r in ipairs(goroutine.await_all(hs)) do s = s + r.values[1] end return s")
          .text() == "40200");
}

TEST_CASE("a wait under way is no deadlock") {
  WithDoor with;
  std::thread other([&] { with.when_waiting(1, [&] { with.door.take().resolve(Value::List{}); }); });
  CHECK(with.lua.run("local wg = goroutine.wait_group() wg:go(door.wait) return wg:wait()").text() == "true");
  other.join();
}

TEST_CASE("a waker that comes after its scheduler is gone does nothing") {
  Waker late;
  {
    auto with = std::make_unique<WithDoor>();
    std::thread other([&] {
      with->when_waiting(1, [&] {
        late = with->door.take();
        late.resolve(Value::List{});
      });
    });
    with->lua.run("door.wait()");
    other.join();
  }
  late.resolve(Value::List{1});
}

}  // namespace
}  // namespace sloth::testing
