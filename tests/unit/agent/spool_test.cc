#include "agent/spool.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "agent/spool_record.h"
#include "runner/os/descriptor.h"
#include "runner/os/file_tree.h"

namespace sloth {
namespace {

constexpr std::uint64_t kPlenty = std::uint64_t{1} << 30;

class TempSpool {
 public:
  explicit TempSpool(const std::string& below = "")
      : directory_(below.empty() ? *make_temp_directory("sloth-spool-test-") : below),
        owned_(below.empty()),
        file(
            ::open((directory_ + "/spool").c_str(), O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600)) {
    REQUIRE(file.open());
  }
  ~TempSpool() {
    if (owned_) static_cast<void>(remove_path(directory_, true));
  }

  [[nodiscard]] std::string content() const {
    struct stat status {};
    REQUIRE(::fstat(file.get(), &status) == 0);
    std::string bytes(static_cast<std::size_t>(status.st_size), '\0');
    REQUIRE(::pread(file.get(), bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
    return bytes;
  }
  [[nodiscard]] std::uint64_t disk_bytes() const {
    struct stat status {};
    REQUIRE(::fstat(file.get(), &status) == 0);
    return static_cast<std::uint64_t>(status.st_blocks) * 512;
  }
  void punch(std::uint64_t end) const {
    REQUIRE(::fallocate(file.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(end)) ==
            0);
  }

 private:
  const std::string directory_;
  const bool owned_;

 public:
  const Descriptor file;
};

using Body = decltype(Event::body);

Event event_of(Body body) { return Event{0, "run", "task", "", 1, std::move(body)}; }
Event output(std::string bytes, OutputStream stream = OutputStream::kStdout) {
  return event_of(TaskOutput{stream, std::move(bytes)});
}

// One line of text per event, output of one stream that follows itself joined, so that the sizes of reads do
// not show.
std::vector<std::string> shown(const std::vector<Body>& bodies) {
  std::vector<std::string> lines;
  std::string last;
  for (const Body& body : bodies) {
    if (const auto* out = std::get_if<TaskOutput>(&body)) {
      const std::string name = stream_name(out->stream);
      if (name != last) lines.push_back(name + ":");
      lines.back() += out->bytes;
      last = name;
    } else {
      const auto& log = std::get<TaskLog>(body);
      lines.push_back(fmt::format("{}:{}", severity_name(log.severity), log.text));
      last.clear();
    }
  }
  return lines;
}

std::vector<Body> parse(std::string_view bytes, const std::vector<std::size_t>& cuts = {}) {
  std::vector<Body> bodies;
  SpoolParser parser;
  std::size_t at = 0;
  const auto feed = [&](std::size_t end) {
    REQUIRE(
        parser.feed(bytes.substr(at, end - at), [&](Body body) { bodies.push_back(std::move(body)); }).ok());
    at = end;
  };
  for (const std::size_t cut : cuts) feed(cut);
  feed(bytes.size());
  CHECK(parser.pending() == 0);
  return bodies;
}

std::string stdout_of(const std::vector<Body>& bodies) {
  std::string all;
  for (const Body& body : bodies) {
    if (const auto* out = std::get_if<TaskOutput>(&body)) all += out->bytes;
  }
  return all;
}

std::string random_bytes(std::size_t count, std::uint64_t seed) {
  std::mt19937_64 generator(seed);
  std::string bytes(count, '\0');
  for (char& byte : bytes) byte = static_cast<char>(generator());
  return bytes;
}

}  // namespace

TEST_CASE("what a task writes and logs comes out of its spool as it went in") {
  TempSpool spool;
  SpoolWriter writer(spool.file.get(), kPlenty);
  const std::string binary = random_bytes(70'000, 1);
  Value::Map fields{{MapKey(std::string("count")), 3},
                    {MapKey(std::string("raw")), std::string("\xff\0x", 3)}};
  writer.on_event(event_of(TaskStarted{}));
  writer.on_event(output("one\n"));
  writer.on_event(output("two", OutputStream::kStderr));
  writer.on_event(event_of(TaskLog{Severity::kWarn, "careful", fields}));
  writer.on_event(output(binary));
  writer.on_event(output(""));
  CHECK(writer.finish() == 0);
  writer.on_event(output("late"));

  const std::vector<Body> bodies = parse(spool.content());
  CHECK((shown(bodies) ==
         std::vector<std::string>{"stdout:one\n", "stderr:two", "warn:careful", "stdout:" + binary}));
  const auto& log = std::get<TaskLog>(bodies.at(2));
  CHECK(log.fields == Value(fields));
  CHECK(*sound_length(spool.file.get()) == spool.content().size());
  CHECK(spool_record(OutputStream::kStdout, "one\n") == spool.content().substr(0, 13));
}

TEST_CASE("a spool says the same however it is cut into parts") {
  TempSpool spool;
  SpoolWriter writer(spool.file.get(), kPlenty);
  std::mt19937_64 generator(7);
  for (int i = 0; i < 300; ++i) {
    const auto size = static_cast<std::size_t>(generator() % (i % 50 == 0 ? 150'000 : 300));
    switch (generator() % 3) {
      case 0: writer.on_event(output(random_bytes(size, generator()))); break;
      case 1: writer.on_event(output(random_bytes(size, generator()), OutputStream::kStderr)); break;
      default: writer.on_event(event_of(TaskLog{Severity::kInfo, random_bytes(size, generator())}));
    }
  }
  writer.finish();
  const std::string bytes = spool.content();
  const std::vector<std::string> whole = shown(parse(bytes));
  for (int round = 0; round < 30; ++round) {
    std::vector<std::size_t> cuts;
    const std::size_t most = round < 3 ? 20 : 200'000;
    for (std::size_t at = generator() % most; at < bytes.size() && cuts.size() < 100'000;
         at += generator() % most) {
      cuts.push_back(at);
    }
    REQUIRE((shown(parse(bytes, cuts)) == whole));
  }
}

TEST_CASE("a line of a mebibyte and a log line of one arrive whole") {
  TempSpool spool;
  SpoolWriter writer(spool.file.get(), kPlenty);
  const std::string line = random_bytes(std::size_t{1} << 20, 3);
  writer.on_event(output(line));
  writer.on_event(event_of(TaskLog{Severity::kError, line}));
  writer.finish();
  CHECK((shown(parse(spool.content())) == std::vector<std::string>{"stdout:" + line, "error:" + line}));
}

TEST_CASE("a log line whose fields are nested too deep to be sent does not spoil the spool") {
  TempSpool spool;
  SpoolWriter writer(spool.file.get(), kPlenty);
  Value deep = Value::List{};
  for (int i = 0; i < 300; ++i) {
    Value::List list;
    list.push_back(std::move(deep));
    deep = std::move(list);
  }
  writer.on_event(event_of(TaskLog{Severity::kInfo, "deep", std::move(deep)}));
  writer.on_event(output("after"));
  const auto lines = shown(parse(spool.content()));
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].find("nested too deep") != std::string::npos);
}

TEST_CASE("output beyond the quota is left out, counted, and its end kept") {
  TempSpool spool;
  constexpr std::uint64_t kQuota = std::uint64_t{1} << 20;
  SpoolWriter writer(spool.file.get(), kQuota);
  std::string all;
  for (int i = 0; i < 3'000; ++i) {
    const std::string line = fmt::format("line {:08} {}\n", i, std::string(1000, 'x'));
    all += line;
    writer.on_event(output(line));
  }
  CHECK(spool.content().size() <= kQuota);
  const std::uint64_t missing = writer.finish();
  const std::vector<Body> bodies = parse(spool.content());
  const std::string got = stdout_of(bodies);
  CHECK(got.size() + missing == all.size());
  const std::size_t tail = 60'000;
  CHECK((got.substr(got.size() - tail) == all.substr(all.size() - tail)));
  int gaps = 0;
  for (const Body& body : bodies) {
    const auto* log = std::get_if<TaskLog>(&body);
    if (log == nullptr) continue;
    ++gaps;
    CHECK(log->text.find(fmt::format("{} bytes of output are missing here", missing)) == 0);
  }
  CHECK(gaps == 1);
  CHECK(spool.disk_bytes() < 2 * kQuota);
}

TEST_CASE("what the agent has taken and punched out makes room for more") {
  TempSpool spool;
  constexpr std::uint64_t kQuota = std::uint64_t{1} << 20;
  SpoolWriter writer(spool.file.get(), kQuota);
  const std::string part = random_bytes(512 * 1024, 4);
  std::string all;
  SpoolParser parser;
  std::string got;
  std::uint64_t read = 0;
  for (int i = 0; i < 20; ++i) {
    writer.on_event(output(part));
    all += part;
    const std::string content = spool.content();
    REQUIRE(parser
                .feed(std::string_view(content).substr(read),
                      [&](Body body) { got += std::get<TaskOutput>(body).bytes; })
                .ok());
    read = content.size();
    spool.punch(read / 4096 * 4096);
    REQUIRE(*sound_length(spool.file.get()) == read);
  }
  CHECK(writer.finish() == 0);
  CHECK((got == all));
  CHECK(spool.disk_bytes() < 2 * kQuota);
}

TEST_CASE("after a gap output goes on when there is room again, in order") {
  TempSpool spool;
  constexpr std::uint64_t kQuota = std::uint64_t{1} << 20;
  SpoolWriter writer(spool.file.get(), kQuota);
  const std::string part(300 * 1024, 'a');
  for (int i = 0; i < 5; ++i) writer.on_event(output(part));
  const std::string before = spool.content();
  spool.punch(before.size() / 4096 * 4096);
  writer.on_event(output("again"));
  const std::uint64_t missing = writer.finish();
  CHECK(missing > 0);
  std::string rest = spool.content().substr(before.size());
  const std::vector<Body> bodies = parse(rest);
  CHECK(std::holds_alternative<TaskLog>(bodies.at(0)));
  const std::string got = stdout_of(bodies);
  CHECK(got.ends_with("again"));
  CHECK(got.find_first_not_of('a') == got.size() - 4);
  CHECK(got.size() + missing + stdout_of(parse(before)).size() == 5 * part.size() + 5);
}

TEST_CASE("a full disk leaves whole records, the gap and the last words in the spool") {
  std::string directory;
  bool mounted = false;
  const std::string place = *make_temp_directory("sloth-full-test-");
  constexpr std::uint64_t kDisk = std::uint64_t{4} << 20;
  mounted = ::geteuid() == 0 && ::mount("tmpfs", place.c_str(), "tmpfs", 0, "size=4m") == 0;
  if (!mounted) {
    WARN("not root, or no mounts allowed: a full disk is left out");
    static_cast<void>(remove_path(place, true));
    return;
  }
  {
    TempSpool spool(place);
    SpoolWriter writer(spool.file.get(), kPlenty);
    std::string all;
    for (int i = 0; i < 1000; ++i) {
      const std::string line = fmt::format("{:08}{}\n", i, std::string(10'000, 'y'));
      all += line;
      writer.on_event(output(line));
    }
    const std::uint64_t missing = writer.finish();
    CHECK(missing > 0);
    CHECK(spool.content().size() <= kDisk);
    CHECK(spool.content().size() > kDisk / 2);
    const std::string got = stdout_of(parse(spool.content()));
    CHECK(got.size() + missing == all.size());
    CHECK((got.substr(got.size() - 50'000) == all.substr(all.size() - 50'000)));
    CHECK(*sound_length(spool.file.get()) == spool.content().size());
  }
  REQUIRE(::umount(place.c_str()) == 0);
  static_cast<void>(remove_path(place, true));
}

TEST_CASE(
    "where no room can be promised, at most the last record is cut, and all that is missing is counted") {
  TempSpool spool;
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  auto* const old = ::signal(SIGXFSZ, SIG_IGN);
  rlimit small = before;
  small.rlim_cur = 2 << 20;
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  std::string all;
  std::uint64_t missing = 0;
  {
    SpoolWriter writer(spool.file.get(), kPlenty);
    for (int i = 0; i < 500; ++i) {
      const std::string line = fmt::format("{:08}{}\n", i, std::string(10'000, 'z'));
      all += line;
      writer.on_event(output(line));
    }
    missing = writer.finish();
  }
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
  ::signal(SIGXFSZ, old);
  CHECK(missing > 0);
  std::string got;
  SpoolParser parser;
  const std::string content = spool.content();
  CHECK(parser.feed(content, [&](const Body& body) { got += std::get<TaskOutput>(body).bytes; }).ok());
  CHECK(got.size() + missing == all.size());
  CHECK(all.starts_with(got));
  CHECK(*sound_length(spool.file.get()) == content.size() - parser.pending());
}

TEST_CASE("many threads write one spool and every line is there once") {
  TempSpool spool;
  SpoolWriter writer(spool.file.get(), kPlenty);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&writer, t] {
      for (int i = 0; i < 200; ++i) writer.on_event(output(fmt::format("{}:{};", t, i)));
    });
  }
  for (std::thread& thread : threads) thread.join();
  writer.finish();
  const std::string got = stdout_of(parse(spool.content()));
  for (int t = 0; t < 4; ++t) {
    std::size_t at = 0;
    for (int i = 0; i < 200; ++i) {
      at = got.find(fmt::format("{}:{};", t, i), at);
      REQUIRE(at != std::string::npos);
    }
  }
}

TEST_CASE("damage is found: in the parser as an error, in the file as the end of what is sound") {
  const std::string first = spool_record(OutputStream::kStdout, "first");
  const std::string second = spool_record(OutputStream::kStdout, std::string(5'000, 's'));
  const auto none = [](const Body&) {};
  for (std::size_t at = 0; at < first.size(); ++at) {
    std::string damaged = first;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x40);
    SpoolParser parser;
    // A length that became larger makes the record wait for more.
    const bool refused = !parser.feed(damaged, none).ok();
    CHECK((refused || (at < 4 && parser.pending() == damaged.size())));
    if (refused) CHECK_FALSE(parser.feed(first, none).ok());
  }
  TempSpool spool;
  std::string bytes = first + second + first;
  bytes[first.size() + 100] = '!';
  REQUIRE(::write(spool.file.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  CHECK(*sound_length(spool.file.get()) == first.size());
}

TEST_CASE("a spool that a crash cut off is sound up to its last whole record") {
  const std::string record = spool_record(OutputStream::kStdout, std::string(30'000, 'r'));
  for (const std::size_t cut :
       {std::size_t{0}, std::size_t{1}, std::size_t{8}, std::size_t{9}, std::size_t{20'000}}) {
    TempSpool spool;
    const std::string bytes = record + record + record.substr(0, cut);
    REQUIRE(::write(spool.file.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
    CHECK(*sound_length(spool.file.get()) == 2 * record.size());
    spool.punch(record.size() / 4096 * 4096);
    CHECK(*sound_length(spool.file.get()) == 2 * record.size());
  }
}

}  // namespace sloth
