// Agency: a directory in which agents and a master are processes, for end-to-end tests of delegation.
//
//   Agency agency;
//   agency.agent("web-1");
//   agency.file("tasks.lua", text).run("run").code(0);
//
// Not shared: one thread at a time. At the end agents are told to go; the test fails when a process is left that works in
// the directory or carries an attempt's mark.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/support/sloth_program.h"

namespace sloth {

class Agency {
 public:
  Agency();
  ~Agency();
  Agency(const Agency&) = delete;
  Agency& operator=(const Agency&) = delete;

  // The program that runs; its directory is the agency's.
  Sloth& file(const std::string& path, std::string_view text) { return home_.file(path, text); }
  Sloth& home() { return home_; }
  // One more process of the program, ended with the agency.
  Sloth& another();

  // Starts an agent and waits until it has joined. `more`: further words.
  Sloth& agent(const std::string& name, const std::string& more = "");
  // The master in a process of its own.
  Sloth& master(const std::string& more = "");
  // Kills it without a word, and waits until it is gone.
  void kill(Sloth& process);

  // Commands of the processes that are left of attempts and of the program, apart from those that this test started.
  [[nodiscard]] std::vector<std::string> leftovers() const;

 private:
  Sloth home_;
  std::vector<std::unique_ptr<Sloth>> processes_;
};

}  // namespace sloth
