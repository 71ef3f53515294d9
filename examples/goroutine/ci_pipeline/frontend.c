#include <stdio.h>

int main(void) {
  puts("<h1>sloth</h1>");
  return 0;
}
