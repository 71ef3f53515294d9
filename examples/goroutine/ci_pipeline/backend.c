#include <stdio.h>
#include <string.h>

/* backend add A B: what the test suites call. */
int main(int argc, char** argv) {
  int a = 0, b = 0;
  if (argc != 4 || strcmp(argv[1], "add") != 0 || sscanf(argv[2], "%d", &a) != 1 || sscanf(argv[3], "%d", &b) != 1) {
    fputs("usage: backend add A B\n", stderr);
    return 2;
  }
  printf("%d\n", a + b);
  return 0;
}
