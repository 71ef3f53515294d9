// Pipe: two descriptors for a test, closed with it.
//
// Not shared: one thread at a time.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>

namespace sloth::test {

class Pipe {
 public:
  Pipe() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) std::abort();
    read_ = ends[0];
    write_ = ends[1];
  }
  ~Pipe() {
    close_read();
    close_write();
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  [[nodiscard]] int reader() const { return read_; }
  [[nodiscard]] int writer() const { return write_; }

  void put(char byte) const {
    if (write(write_, &byte, 1) != 1) std::abort();
  }
  // The next byte; -1 when there is none now, -2 at the end.
  [[nodiscard]] int get() const {
    char byte = 0;
    const ssize_t got = read(read_, &byte, 1);
    if (got == 1) return static_cast<unsigned char>(byte);
    return got == 0 ? -2 : -1;
  }
  void close_read() { drop(read_); }
  void close_write() { drop(write_); }

 private:
  static void drop(int& fd) {
    if (fd >= 0) ::close(std::exchange(fd, -1));
  }

  int read_ = -1;
  int write_ = -1;
};

}  // namespace sloth::test
