// A message there and back over one gRPC stream on a unix socket, with nothing else: what a delegated task is
// compared with.
//
//   delegation_bench [rounds]   prints "round_trip_p50 <microseconds>" and "round_trip_p99 <microseconds>"
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <semaphore>
#include <vector>

#include "agent/grpc_link.h"

int main(int argc, char** argv) {
  using std::chrono::steady_clock;
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 10'000;
  std::unique_ptr<sloth::Link> far;
  sloth::GrpcServer server([&](sloth::Role, std::unique_ptr<sloth::Link> link) {
    far = std::move(link);
    far->open({[&](sloth::Message message) { far->send(std::move(message)); }, [](const std::string&) {}});
  });
  int ends[2] = {-1, -1};
  if (rounds < 1 || ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) return 1;
  server.add(sloth::Descriptor(ends[0]));
  std::binary_semaphore back(0);
  auto near = sloth::grpc_dial(sloth::Descriptor(ends[1]), sloth::Role::kAgent);
  near->open({[&](const sloth::Message&) { back.release(); }, [](const std::string&) {}});
  std::vector<double> times;
  for (int i = 0; i < rounds + 100; ++i) {
    const auto begin = steady_clock::now();
    near->send(sloth::Heartbeat{false, 1});
    back.acquire();
    if (i >= 100)
      times.push_back(std::chrono::duration<double, std::micro>(steady_clock::now() - begin).count());
  }
  std::sort(times.begin(), times.end());
  std::printf("round_trip_p50 %.1f\nround_trip_p99 %.1f\n", times[times.size() / 2],
              times[times.size() * 99 / 100]);
  near.reset();
  far.reset();
}
