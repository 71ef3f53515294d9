// sloth_test_server: HttpServer as a program. Prints its port and serves until its standard input ends or it
// is killed.
#include <cstdio>

#include "tests/support/http_server.h"

int main() {
  const sloth::testing::HttpServer server;
  std::printf("%d\n", server.port());
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
  return 0;
}
