// Sloth: the real program in a directory of its own, as a sentence.
//
//   Sloth().file("tasks.lua", text).run("run").code(1).stdout_has("no compiler");
//
// Not shared: one thread at a time. The directory is removed at the end; the program's state goes there too.
#pragma once

#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace sloth {

class Sloth {
 public:
  Sloth();
  ~Sloth();
  Sloth(const Sloth&) = delete;
  Sloth& operator=(const Sloth&) = delete;

  // Another process of the program in the same directory, with the same state: an agent beside a run. It must
  // not outlive this one.
  [[nodiscard]] Sloth beside() const { return Sloth(*this, Beside{}); }

  // Before the run. Paths are relative to the directory; folders are made.
  Sloth& file(const std::string& path, std::string_view text);
  Sloth& env(const std::string& name, const std::string& value);
  // Where it is started, relative to the directory.
  Sloth& in(const std::string& folder);

  // Runs it to its end; after 60 seconds it is killed and the test fails. Words are separated by spaces.
  Sloth& run(const std::string& words);
  Sloth& run(std::vector<std::string> words);

  // For signals: starts it, waits until its stdout holds `text`, sends the signals with a pause until each
  // has had an effect on stderr, and waits for the end.
  Sloth& start(const std::string& words);
  Sloth& wait_for(std::string_view text);
  Sloth& wait_for_error(std::string_view text);
  Sloth& signal(int number);
  Sloth& finish();
  // Ends what may have ended already: SIGTERM until it is gone, each time it takes too long.
  void stop();

  [[nodiscard]] int pid() const { return pid_; }

  // After the run; each fails the test with everything that was printed.
  Sloth& code(int expected);
  Sloth& stdout_has(std::string_view text);
  Sloth& stdout_lacks(std::string_view text);
  Sloth& stdout_is(std::string_view text);
  Sloth& stderr_has(std::string_view text);
  Sloth& stderr_lacks(std::string_view text);
  Sloth& stderr_is_empty();
  // These in this order, other text between them.
  Sloth& stdout_in_order(std::initializer_list<std::string_view> texts);

  [[nodiscard]] const std::string& out() const { return out_; }
  [[nodiscard]] const std::string& err() const { return err_; }
  [[nodiscard]] const std::string& directory() const { return directory_; }
  [[nodiscard]] std::string content(const std::string& path) const;  // of a file there; "" when absent
  [[nodiscard]] double seconds() const { return seconds_; }          // that the run took

 private:
  struct Beside {};
  Sloth(const Sloth& other, Beside);
  [[nodiscard]] std::string story() const;
  // Reads what there is within `milliseconds`; false when the program has closed both pipes.
  bool read_some(int milliseconds);
  void await(const std::string& what, const std::string& buffer, std::string_view text);

  std::string directory_;
  bool owns_directory_ = true;
  std::string folder_;
  std::map<std::string, std::string> environment_;
  std::vector<std::string> words_;
  int pid_ = -1;
  int out_fd_ = -1;
  int err_fd_ = -1;
  std::string out_;
  std::string err_;
  int status_ = 0;
  double seconds_ = 0;
  double started_ = 0;
};

// Whether the process of that number (a pid as text, as `echo $! > pid` writes it) runs; zombies do not.
bool is_alive(const std::string& pid);

}  // namespace sloth
