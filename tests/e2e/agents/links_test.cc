// Delegated tasks over links that are silent, cut, slow or half gone, and processes that stand still: the F
// rows of docs/reliability.md that the network and the system's limits are to blame for.
#include <catch2/catch.hpp>

#include <dirent.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <random>
#include <sstream>
#include <string>
#include <thread>

#include "tests/support/delegation.h"
#include "tests/support/fault_proxy.h"

namespace sloth {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Waits for what another process does.
void await(const char* what, const std::function<bool()>& happened,
           std::chrono::seconds patience = std::chrono::seconds(40)) {
  const auto deadline = steady_clock::now() + patience;
  while (!happened()) {
    INFO("never happened: " << what);
    REQUIRE(steady_clock::now() < deadline);
    std::this_thread::sleep_for(milliseconds(5));
  }
}

// Programs on the other side of a bad network: they have a state of their own, where the proxy is their
// master.
class FarSide {
 public:
  FarSide(Agency& agency, const std::string& name)
      : agency_(agency),
        state_(agency.home().directory() + "/" + name),
        proxy_(state_ + "/sloth/master/socket", agency.home().directory() + "/.state/sloth/master/socket") {}
  ~FarSide() {
    proxy_.resume();
    for (Sloth* program : programs_) program->stop();
  }
  FarSide(const FarSide&) = delete;
  FarSide& operator=(const FarSide&) = delete;

  Sloth& program() {
    programs_.push_back(&agency_.another().env("XDG_STATE_HOME", state_));
    return *programs_.back();
  }
  Sloth& agent(const std::string& name) {
    const std::string policy =
        ::geteuid() == 0 ? " --policy " + agency_.home().directory() + "/policy.json" : "";
    return program().start("agent start --name " + name + policy).wait_for_error("connected to the master");
  }
  FaultProxy* operator->() { return &proxy_; }
  [[nodiscard]] const std::string& state() const { return state_; }

 private:
  Agency& agency_;
  const std::string state_;
  FaultProxy proxy_;
  std::vector<Sloth*> programs_;
};

// Says `lines` lines, one each 20 ms, and leaves in the file "said" how many there were.
std::string counter(const Agency& agency, int lines, const std::string& more = "") {
  const std::string said = const_cast<Agency&>(agency).home().directory() + "/said";
  return R"(task("count"):delegate_to("a"))" + more + R"(:command(function()
    for i = 1, )" +
         std::to_string(lines) + R"( do
      print("line " .. i)
      goroutine.sleep(20)
      local file = io.open(")" +
         said + R"(", "w")
      file:write(tostring(i))
      file:close()
    end
  end):build())";
}

std::string all_lines(int count) {
  std::string text;
  for (int i = 1; i <= count; ++i) text += "line " + std::to_string(i) + "\n";
  return text;
}

void await_said(Agency& agency, int lines) {
  await("the task went on", [&] { return std::atoi(agency.home().content("said").c_str()) >= lines; });
}

// Numbered lines of about a kilobyte, so that a repeat or a gap shows.
std::string bulk_task(const std::string& name, const std::string& agent, int lines) {
  return "task(\"" + name + "\"):delegate_to(\"" + agent + R"("):command(function()
    local rest = string.rep("0123456789abcdef", 63)
    for i = 1, )" +
         std::to_string(lines) + R"( do print(i .. " " .. rest) end
  end):build()
)";
}

std::string bulk(int lines) {
  std::string rest;
  for (int i = 0; i < 63; ++i) rest += "0123456789abcdef";
  std::string text;
  for (int i = 1; i <= lines; ++i) text += std::to_string(i) + " " + rest + "\n";
  return text;
}

// Says where two long texts part, instead of both.
void check_same(const std::string& got, const std::string& wanted) {
  const auto apart = std::mismatch(got.begin(), got.end(), wanted.begin(), wanted.end());
  INFO("got " << got.size() << " bytes, wanted " << wanted.size() << "; they part at byte "
              << apart.first - got.begin());
  CHECK((got == wanted));
}

[[maybe_unused]] std::string status_field(int pid, const std::string& name) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(name + ":")) return line.substr(name.size() + 1);
  }
  return "0";
}

// Sanitizers and debug builds need more; there only the rest of a test counts.
void check_memory([[maybe_unused]] const char* who, [[maybe_unused]] const Sloth& process) {
#ifdef NDEBUG
  const int kilobytes = std::stoi(status_field(process.pid(), "VmHWM"));
  INFO(who << " took " << kilobytes / 1024 << " MiB");
  CHECK(kilobytes < 64 * 1024);
#endif
}

TEST_CASE("F12: a silence shorter than the lease changes nothing, the output catches up") {
  Agency agency;
  agency.master();
  FarSide far(agency, "far");
  far.agent("a");
  agency.file("tasks.lua", counter(agency, 120));
  Sloth& home = agency.home();
  home.start("run --output stream").wait_for("line 10\n");
  far->stall();
  await_said(agency, 110);
  far->resume();
  home.finish().code(0).stdout_is(all_lines(120)).stderr_lacks("offline").stderr_lacks("unknown");
  CHECK(far->connections() == 1);
}

TEST_CASE("F13: a silence longer than the lease is told, the work goes on, and all of it comes") {
  Agency agency;
  agency.master("--lease 500ms");
  FarSide far(agency, "far");
  far.agent("a");
  agency.file("tasks.lua", counter(agency, 120));
  Sloth& home = agency.home();
  home.start("run --output stream").wait_for("line 10\n");
  far->stall();
  home.wait_for_error("agent a is offline");
  await_said(agency, 90);
  far->resume();
  home.finish().code(0).stdout_is(all_lines(120));
}

TEST_CASE("F13: a silence longer than lost_after is a loss, a late result does not change it") {
  Agency agency;
  agency.master("--lease 300ms --reconcile 300ms");
  FarSide far(agency, "far");
  Sloth& agent = far.agent("a");
  agency.file("tasks.lua", counter(agency, 60, R"(:lost_after("300ms"))"));
  Sloth& home = agency.home();
  home.start("run --output stream").wait_for("line 10\n");
  far->stall();
  home.finish().code(3).stderr_has("agent a has not been heard of for");
  await_said(agency, 60);
  far->resume();
  agent.wait_for_error("no connection to the master");
  await("the agent is back", [&] { return home.run("agent list").out().find("ready") != std::string::npos; });
  agent.signal(SIGTERM).finish().code(0);  // after its result was taken
  home.run("runs list").code(0);
  const std::string id = home.out().substr(0, home.out().find(' '));
  home.run("runs attach " + id).code(3).stdout_has("not been heard of");
}

TEST_CASE("F15: a link that is cut at any byte costs no byte of output and repeats none", "[.by-hand]") {
  Agency agency;
  agency.master();
  FarSide far(agency, "far");
  FarSide here(agency, "here");
  far.agent("a");
  constexpr int kLines = 800;
  agency.file("tasks.lua", bulk_task("bulk", "a", kLines));
  const std::string wanted = bulk(kLines);
  std::minstd_rand random(15);
  const auto any = [&](std::uint64_t most) { return random() % most; };
  Sloth& run = here.program();
  for (int round = 0; round < 20; ++round) {
    const std::uint64_t places[] = {any(900'000), any(2'000), any(4'000), any(900'000)};
    INFO("round " << round << ": cut after " << places[0] << ", " << places[1] << ", " << places[2] << ", "
                  << places[3]);
    far->cut_after(Way::kUp, places[0]);
    far->cut_after(Way::kDown, places[1]);
    here->cut_after(Way::kUp, places[2]);
    here->cut_after(Way::kDown, places[3]);
    run.run("run --output stream").code(0);
    check_same(run.out(), wanted);
  }
  CHECK(far->connections() > 20);
}

TEST_CASE("links that bring one byte at a time bring all of them") {
  Agency agency;
  agency.master();
  FarSide far(agency, "far");
  for (const Way way : {Way::kUp, Way::kDown}) far->slice(way, 1);
  far.agent("a");
  agency.file("tasks.lua", bulk_task("bulk", "a", 30));
  Sloth& run = far.program();
  run.run("run --output stream").code(0);
  check_same(run.out(), bulk(30));
}

TEST_CASE("F16: an agent and a run whose peer has vanished without a word find out and come back") {
  Agency agency;
  agency.master("--lease 2s");
  FarSide far(agency, "far");
  FarSide here(agency, "here");
  far.agent("a");
  agency.file("tasks.lua", counter(agency, 60));
  Sloth& run = here.program();
  run.start("run --output stream").wait_for("line 10\n");
  far->forsake();
  here->forsake();
  run.finish().code(0).stdout_is(all_lines(60));
  CHECK(far->connections() == 2);
  CHECK(run.seconds() < 45);
}

TEST_CASE("F17: a slow reader costs neither memory nor the time of others, and gets all of 64 MiB", "[.by-hand]") {
  Agency agency;
  Sloth& master = agency.master();
  Sloth& agent = agency.agent("a");
  FarSide slow(agency, "slow");
  constexpr int kLines = 64 * 1024;
  agency.file("tasks.lua", bulk_task("bulk", "a", kLines) + R"(
    task("small"):delegate_to("a"):command(function() print("quick") end):build())");
  slow->limit(Way::kDown, 100'000);
  Sloth& run = slow.program();
  run.start("run bulk --output stream").wait_for("20 ");
  Sloth& home = agency.home();
  home.run("run small").code(0).stdout_has("quick");
  CHECK(home.seconds() < 10);
  slow->limit(Way::kDown, 0);
  run.finish().code(0);
  check_same(run.out(), bulk(kLines));
  check_memory("the agent", agent);
  check_memory("the master", master);
}

TEST_CASE("a line of 1 MiB arrives as it was written") {
  Agency agency;
  agency.agent("a");
  agency.file("tasks.lua", R"(
    task("x"):delegate_to("a"):command("head -c 1048576 /dev/zero | tr '\\0' x; echo"):build())");
  agency.home().run("run --output stream").code(0);
  check_same(agency.home().out(), std::string(1 << 20, 'x') + "\n");
}

TEST_CASE("F27: an agent that stood still for longer than its lease goes on where it was") {
  Agency agency;
  agency.master("--lease 500ms");
  Sloth& agent = agency.agent("a");
  agency.file("tasks.lua", counter(agency, 60));
  Sloth& home = agency.home();
  home.start("run --output stream").wait_for("line 10\n");
  agent.signal(SIGSTOP);
  home.wait_for_error("agent a is offline");
  await_said(agency, 60);
  agent.signal(SIGCONT);
  home.finish().code(0).stdout_is(all_lines(60));
}

std::ptrdiff_t descriptors_of(int pid) {
  const fs::directory_iterator all("/proc/" + std::to_string(pid) + "/fd");
  return std::distance(fs::begin(all), fs::end(all));
}

double cpu_seconds(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text((std::istreambuf_iterator<char>(file)), {});
  std::istringstream fields(text.substr(text.rfind(") ") + 2));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  double user = 0;
  double system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

int connect_to(const std::string& path) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  REQUIRE(path.size() < sizeof address.sun_path);
  std::copy(path.begin(), path.end(), address.sun_path);
  REQUIRE(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  return fd;
}

TEST_CASE(
    "F36: a master without a descriptor left rests instead of spinning, and lets in who waits when it has "
    "one") {
  Agency agency;
  Sloth& master = agency.master();
  agency.agent("a");
  agency.file("tasks.lua",
              R"(task("x"):delegate_to("a"):command(function() print("it", "RAN") end):build())");
  Sloth& home = agency.home();
  home.run("run").code(0);
  rlimit limit{};
  limit.rlim_cur = limit.rlim_max = static_cast<rlim_t>(descriptors_of(master.pid())) + 3;
  REQUIRE(::prlimit(master.pid(), RLIMIT_NOFILE, &limit, nullptr) == 0);
  std::vector<int> idle;
  for (int i = 0; i < 20; ++i) idle.push_back(connect_to(home.directory() + "/.state/sloth/master/socket"));
  await("the master has no descriptor left",
        [&] { return descriptors_of(master.pid()) >= static_cast<std::ptrdiff_t>(limit.rlim_max); });
  home.start("run");
  const double before = cpu_seconds(master.pid());
  std::this_thread::sleep_for(milliseconds(700));
  CHECK(cpu_seconds(master.pid()) - before < 0.35);
  for (const int fd : idle) ::close(fd);
  home.finish().code(0).stdout_has("it\tRAN");
}

TEST_CASE("F31: a task that fills the disk of its agent ends, the gap in its output is told, and the agent refuses work until there is room", "[.by-hand]") {
  Agency agency;
  const std::string small = agency.home().directory() + "/small";
  fs::create_directories(small);
  if (::geteuid() != 0 || ::mount("tmpfs", small.c_str(), "tmpfs", 0, "size=24m") != 0) {
    WARN("skipped: only root can mount a small file system");
    return;
  }
  struct Unmount {
    const std::string& path;
    ~Unmount() { ::umount2(path.c_str(), MNT_DETACH); }
  } unmount{small};
  FarSide far(agency, "small");
  agency.master();
  far.agent("a");
  agency.file("tasks.lua", R"(
    task("fill"):delegate_to("a"):command("dd if=/dev/zero of=big bs=1M count=40"):build()
    task("next"):delegate_to("a"):command(function() print("it", "WORKS") end):build())");
  Sloth& home = agency.home();
  home.run("run fill").code(1).stdout_has("exit code 1").stdout_has("the disk was full").stdout_has("workspace is kept: ");
  home.run("run next --agent-wait 300ms").code(4).stdout_has("no space on").stdout_lacks("it\tWORKS");
  for (const auto& kept : fs::directory_iterator(small + "/sloth/agents/a/work")) fs::remove_all(kept.path());
  home.run("run next").code(0).stdout_has("it\tWORKS");
}

TEST_CASE("a hundred tasks on each of five agents at once, with dependencies, run once each") {
  Agency agency;
  agency.master();
  for (int i = 0; i < 5; ++i) agency.agent("a" + std::to_string(i));
  agency.file("tasks.lua", R"(
    for i = 0, 499 do
      local one = task("t" .. i):delegate_to("a" .. i % 5):command(function(this)
        local file = io.open(")" +
                               agency.home().directory() + R"(/ran", "a")
        file:write(this.name .. "@" .. this.agent .. "\n")
        file:close()
        return true, "ok", { n = i }
      end)
      if i >= 50 then one = one:depends_on("t" .. i - 50) end
      one:build()
    end)");
  agency.home().run("run -j 32").code(0);
  std::istringstream ran(agency.home().content("ran"));
  std::vector<std::string> lines;
  for (std::string line; std::getline(ran, line);) lines.push_back(line);
  CHECK(lines.size() == 500);
  std::sort(lines.begin(), lines.end());
  CHECK(std::adjacent_find(lines.begin(), lines.end()) == lines.end());
}

}  // namespace
}  // namespace sloth
