#include <catch2/catch.hpp>
#include <iostream>
#include <fstream>
#include <sstream>
#include "tests/unit/dsl/dsl_fixture.h"
TEST_CASE("probe") {
  std::ifstream in("/tmp/probe.lua"); std::stringstream s; s << in.rdbuf();
  sloth::DslFixture f; auto t0=std::chrono::steady_clock::now(); auto r = f.load(s.str()); std::cout << std::chrono::duration<double>(std::chrono::steady_clock::now()-t0).count() << " s\n";
  if (r) { std::cout << "OK tasks=" << r->tasks.size() << "\n"; for (auto& w : r->warnings) std::cout << "warning: " << w << "\n"; }
  else std::cout << r.error().message << "\n";
}
