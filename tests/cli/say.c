/* say.c - says lines and events as the program does, for test_blocked_output.py, which reads them or does not.
 *
 *   say FD   reads from stdin, line by line, and writes a line to that descriptor when it has done what is asked:
 *
 *   lines N  N lines to stderr, numbered through
 *   events N N to stdout, likewise
 *   both N   N of each, in turns
 *   print N  N lines by stdio to stdout, and flushes them
 *   late MS  from now on the threads that write get their turn so much later, as on a busy machine
 *
 * Ends with stdin, as the program ends, and with its exit code.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cli.h"
#include "common/output.h"

static unsigned long lines, events;
static int late_ms; /* of the main thread until it gives something to the others */

ssize_t __real_write(int fd, const void *bytes, size_t size);
ssize_t __wrap_write(int fd, const void *bytes, size_t size);

/* What the queues write with, by the linker's --wrap. */
ssize_t __wrap_write(int fd, const void *bytes, size_t size) {
  if (fd <= STDERR_FILENO && late_ms > 0)
    (void)poll(NULL, 0, late_ms);
  return __real_write(fd, bytes, size);
}

static void say_line(void) {
  cli_note("line %lu", ++lines);
}

static void say_event(void) {
  char text[64];
  const uint64_t dropped = output_take_dropped();
  int length = snprintf(text, sizeof text, "event %lu after %llu\n", ++events, (unsigned long long)dropped);
  if (!output_put(OUTPUT_OUT, text, (size_t)length))
    output_give_dropped(dropped);
}

int main(int argc, char **argv) {
  char command[64];
  uint32_t done = 0;
  cli_output_begin();
  cli_set_command("say");
  if (argc != 2 || !cli_parse_unsigned(argv[1], 3, 1000, &done))
    return 9;
  while (fgets(command, sizeof command, stdin)) {
    const char *number = strchr(command, ' ');
    unsigned long count = number ? strtoul(number, NULL, 10) : 0;
    if (strncmp(command, "late", 4) == 0) {
      late_ms = (int)count;
      count = 0;
    }
    for (unsigned long i = 0; i < count; i++) {
      if (command[0] == 'l' || command[0] == 'b')
        say_line();
      if (command[0] == 'e' || command[0] == 'b')
        say_event();
      if (command[0] == 'p')
        printf("print %lu\n", i + 1);
    }
    if (command[0] == 'p')
      (void)cli_output_flush();
    if (write((int)done, "done\n", 5) != 5)
      return 9;
  }
  return cli_output_end(CLI_OK);
}
