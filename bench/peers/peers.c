/* peers.c - the program cuframes-bench-peers: hands pictures to the same sleeping processes by several ways in turn,
 * so that the machine's noise hits all alike, and prints as JSON when each reader had them and what the sender's call
 * took. bench/peers/run makes tables of it.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "peers.h"

#define WARM_UP 16u
#define WAYS 5
#define BLOCK_LEAD 5u /* pictures that do not count */
#define NOT_COUNTED UINT32_MAX

static const peer *const peers[] = { &peer_cuframes, &peer_futex, &peer_shm, &peer_unixfd, &peer_pipe };
#define PEERS (sizeof peers / sizeof peers[0])

/* One picture: by which way, and the how manieth of those that count; of others NOT_COUNTED. */
typedef struct turn {
  uint32_t way, round;
} turn;

typedef struct contest {
  unsigned readers, rounds, pairs, ways, block, pace_us, work_us, send_work_us, slice_us;
  bool pinned, each;
  picture made;
  const peer *way[WAYS];
  void *state[WAYS];
  samples *seen[WAYS], *call[WAYS]; /* of each round: all readers one after the other; the sender's call */
  samples *sent[WAYS];              /* of each round: when the call began */
  turn *turns;                      /* made before the processes part: it is the same in all of them */
  unsigned turn_count;
  crew crew;
  tally *arrived;
} contest;

/* Spends so much CPU time, whatever else runs. */
static void cpu_burn(int64_t time) {
  int64_t until = clock_ns(CLOCK_THREAD_CPUTIME_ID) + time;
  while (time > 0 && clock_ns(CLOCK_THREAD_CPUTIME_ID) < until)
    ;
}

/* As struct sched_attr of the kernel, whose header and glibc's do not get along. */
typedef struct slice_request {
  uint32_t size, policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime, deadline, period;
} slice_request;

/* An ordinary thread, and all threads that it starts, with a shorter slice: such a thread may take a CPU from one with
 * a longer slice in the middle of that slice. Takes no rights. */
static void slice_ask(int64_t slice) {
  slice_request request = { .size = sizeof request, .runtime = (uint64_t)slice };
  if (syscall(SYS_sched_setattr, 0, &request, 0) != 0)
    bench_die("sched_setattr: %s", strerror(errno));
}

/* ---- whose turn it is ---- */

/* A random order of the ways, the same in each run. */
static void order_shuffle(unsigned order[], unsigned count, uint32_t *dice) {
  for (unsigned i = 0; i < count; i++) {
    *dice = *dice * 1664525u + 1013904223u;
    unsigned at = (*dice >> 16) % (i + 1);
    order[i] = order[at];
    order[at] = i;
  }
}

static void turn_add(contest *c, unsigned way, uint32_t round) {
  c->turns[c->turn_count++] = (turn){ way, round };
}

/* In each block of rounds another order: what a way leaves behind, a warm cache or a debt of CPU time, must not come to
 * the same other way each time. Where a block has many pictures, the first ones of each way do not count, so that
 * hardly anything of that comes to anybody. */
static void turns_plan(contest *c) {
  unsigned order[WAYS], lead = c->block > 1 ? BLOCK_LEAD : 0;
  uint32_t dice = 12345;
  c->turns = malloc(((size_t)WARM_UP + c->rounds + (size_t)c->rounds * lead) * c->ways * sizeof *c->turns);
  if (!c->turns)
    bench_die("no memory");
  for (unsigned w = 0; w < c->ways * WARM_UP; w++)
    turn_add(c, w % c->ways, NOT_COUNTED);
  for (unsigned from = 0; from < c->rounds; from += c->block) {
    unsigned end = from + c->block < c->rounds ? from + c->block : c->rounds;
    order_shuffle(order, c->ways, &dice);
    for (unsigned i = 0; i < c->ways; i++) {
      for (unsigned n = 0; n < lead; n++)
        turn_add(c, order[i], NOT_COUNTED);
      for (unsigned round = from; round < end; round++)
        turn_add(c, order[i], round);
    }
  }
}

/* ---- the two sides ---- */

static int64_t receive_stamped(const contest *c, unsigned w, unsigned index, int64_t *arrived) {
  for (;;) {
    int64_t stamp = c->way[w]->receive(c->state[w], index, arrived);
    if (stamp != 0)
      return stamp;
  }
}

static void reader_run(void *argument, unsigned index) {
  const contest *c = argument;
  int64_t arrived;
  if (c->slice_us > 0)
    slice_ask((int64_t)c->slice_us * US);
  if (c->pinned)
    cpu_pin_reader(index); /* before any thread is started: all of them stay there */
  for (unsigned w = 0; w < c->ways; w++) {
    c->way[w]->open_reader(c->state[w], index);
    if (!c->way[w]->tells)
      (void)c->way[w]->receive(c->state[w], index, &arrived);
    tally_add(c->arrived);
  }
  for (const turn *t = c->turns; t < c->turns + c->turn_count; t++) {
    int64_t stamp = receive_stamped(c, t->way, index, &arrived);
    if (t->round != NOT_COUNTED)
      c->seen[t->way]->value[(size_t)t->round * c->readers + index] = (double)(arrived - stamp);
    cpu_burn((int64_t)c->work_us * US);
    tally_add(c->arrived);
  }
  for (unsigned w = 0; w < c->ways; w++)
    c->way[w]->close_reader(c->state[w], index);
}

/* Opens the ways one after the other; says on each that it is open until all readers have heard it. */
static void sender_open(const contest *c) {
  for (unsigned w = 0; w < c->ways; w++) {
    uint32_t wanted = c->readers * (w + 1);
    int64_t deadline = now_ns() + 60 * SECOND;
    c->way[w]->open_sender(c->state[w]);
    while (atomic_load_explicit(&c->arrived->count, memory_order_acquire) < wanted) {
      if (now_ns() > deadline)
        bench_die("%s: the readers do not come", c->way[w]->name);
      if (!c->way[w]->tells)
        c->way[w]->send(c->state[w], false);
      for (int i = 0; i < 50; i++) {
        bench_go_on();
        sleep_until(now_ns() + MS);
      }
    }
  }
}

/* Sleeps from one picture to the next. Readers are looked at seldom: a sender that wakes up again and again for that
 * uses up CPU time that it and its readers then lack. */
static void sender_rest(const contest *c, uint32_t wanted) {
  sleep_until(now_ns() + (int64_t)c->pace_us * US);
  if (tally_is(c->arrived, wanted))
    return;
  tally_wait(c->arrived, wanted, false);
  sleep_until(now_ns() + (int64_t)c->pace_us * US);
}

static void sender_run(const contest *c) {
  uint32_t pings = c->ways;
  for (const turn *t = c->turns; t < c->turns + c->turn_count; t++) {
    sender_rest(c, c->readers * pings++);
    int64_t from = now_ns();
    c->way[t->way]->send(c->state[t->way], true);
    if (t->round != NOT_COUNTED) {
      samples_add(c->call[t->way], (double)(now_ns() - from));
      samples_add(c->sent[t->way], (double)from);
    }
    cpu_burn((int64_t)c->send_work_us * US);
  }
  tally_wait(c->arrived, c->readers * pings, false);
}

static void contest_run(contest *c) {
  turns_plan(c);
  for (unsigned w = 0; w < c->ways; w++) {
    c->state[w] = c->way[w]->open_all(&c->made, c->readers);
    c->seen[w] = samples_new((size_t)c->readers * c->rounds);
    c->call[w] = samples_new(c->rounds);
    c->sent[w] = samples_new(c->rounds);
  }
  c->arrived = shared_new(sizeof *c->arrived);
  crew_start(&c->crew, c->readers, reader_run, c);
  if (c->pinned)
    cpu_pin_sender();
  sender_open(c);
  sender_run(c);
  crew_join(&c->crew);
  for (unsigned w = 0; w < c->ways; w++) {
    c->way[w]->close_sender(c->state[w]);
    c->seen[w]->count = c->seen[w]->capacity;
  }
  cpu_unpin();
}

/* ---- JSON ---- */

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double quantile(const double *sorted, size_t count, double q) {
  size_t at = (size_t)(q * (double)count);
  return sorted[at < count ? at : count - 1];
}

/* Thousandths of the way from the least to the most: enough to draw the distribution. */
static void quantiles_print(const char *key, double *values, size_t count) {
  qsort(values, count, sizeof *values, ascending);
  printf("\"%s\": [", key);
  for (int i = 0; i <= 1000; i++)
    printf("%s%.0f", i > 0 ? ", " : "", quantile(values, count, i / 1000.0));
  printf("]");
}

/* Each picture that counts: when it was sent, and when each reader had it. */
static void way_print_each(const contest *c, unsigned w) {
  printf("\"each\": [");
  for (size_t round = 0; round < c->rounds; round++) {
    printf("%s[%.0f", round > 0 ? ",\n    " : "", c->sent[w]->value[round]);
    for (unsigned i = 0; i < c->readers; i++)
      printf(", %.0f", c->sent[w]->value[round] + c->seen[w]->value[round * c->readers + i]);
    printf("]");
  }
  printf("],\n   ");
}

static void way_print(contest *c, unsigned w) {
  size_t part = c->rounds / c->pairs * c->readers;
  printf("%s\n  {\"name\": \"%s\", \"samples\": %zu, \"pairs\": [", w > 0 ? "," : "", c->way[w]->name,
         c->seen[w]->count);
  double *copy = malloc(part * sizeof *copy);
  if (!copy)
    bench_die("no memory");
  for (unsigned i = 0; i < c->pairs; i++) {
    memcpy(copy, c->seen[w]->value + i * part, part * sizeof *copy);
    qsort(copy, part, sizeof *copy, ascending);
    printf("%s[%.0f, %.0f]", i > 0 ? ", " : "", quantile(copy, part, 0.5), quantile(copy, part, 0.99));
  }
  free(copy);
  printf("],\n   ");
  if (c->each)
    way_print_each(c, w);
  quantiles_print("seen", c->seen[w]->value, c->seen[w]->count);
  printf(",\n   ");
  quantiles_print("call", c->call[w]->value, c->call[w]->count);
  printf("}");
}

/* ---- the command line ---- */

static void usage(FILE *out) {
  fprintf(out,
          "usage: cuframes-bench-peers [OPTION]...\n"
          "Hands pictures to the same sleeping processes by several ways in turn and prints JSON: thousandths, in\n"
          "ns, of the time until a reader has the picture (seen) and of the sender's call (call).\n"
          "  --peers A,B,...  which ways, in this order; left out: all that are there\n"
          "  --readers N      reading processes (1)\n"
          "  --rounds N       pictures by each way (500)\n"
          "  --pairs N        parts of which p50 and p99 are printed, too (10)\n"
          "  --size WxH       of the NV12 picture (64x64)\n"
          "  --block N        pictures by one way before the next way's turn; from 2 on the first 5 of each turn do\n"
          "                   not count (1)\n"
          "  --pace US        microseconds between two pictures (2000)\n"
          "  --work US        CPU time that a reader spends on each picture (0)\n"
          "  --send-work US   CPU time that the sender spends right after each picture (0)\n"
          "  --slice US       the readers ask the scheduler for so short a slice (Linux 6.12)\n"
          "  --free           let the scheduler place all processes; else the sender has the first CPU\n"
          "  --load KIND:N    keep the machine busy by N processes:\n");
  load_list(out);
  fprintf(out,
          "  --apart          the load has a session of its own, as another terminal or service has: with autogroups\n"
          "                   the scheduler then shares the CPUs between the sessions first\n");
  fprintf(out, "  --each           print each picture's times and who took part, too\n");
  fprintf(out, "  --list           print which ways are there, and what the others lack\n");
}

static void list_print(void) {
  const char *missing[PEERS];
  for (size_t i = 0; i < PEERS; i++) /* first: this may fork, and what is printed would be printed twice */
    missing[i] = peers[i]->missing();
  printf("[");
  for (size_t i = 0; i < PEERS; i++) {
    printf("%s{\"name\": \"%s\", \"about\": \"%s\", \"missing\": ", i > 0 ? ",\n " : "", peers[i]->name,
           peers[i]->about);
    printf(missing[i] ? "\"%s\"}" : "null}", missing[i]);
  }
  printf("]\n");
}

static void way_add(contest *c, const peer *p) {
  const char *missing = p->missing();
  if (missing)
    bench_die("%s: %s", p->name, missing);
  if (c->ways == WAYS)
    bench_die("too many peers");
  c->way[c->ways++] = p;
}

static void ways_choose(contest *c, char *names) {
  for (char *name = strtok(names, ","); name; name = strtok(NULL, ",")) {
    size_t i = 0;
    while (i < PEERS && strcmp(peers[i]->name, name) != 0)
      i++;
    if (i == PEERS)
      bench_die("no peer \"%s\"; see --list", name);
    way_add(c, peers[i]);
  }
}

static unsigned number(const char *text, const char *option, unsigned least, unsigned most) {
  char *end;
  errno = 0;
  unsigned long value = strtoul(text, &end, 10);
  if (errno != 0 || end == text || *end != '\0' || value < least || value > most)
    bench_die("%s %s: it takes a number from %u to %u", option, text, least, most);
  return (unsigned)value;
}

static void load_option(const char *text, char kind[16], unsigned *count) {
  const char *colon = strchr(text, ':');
  if (!colon || colon - text > 15)
    bench_die("--load %s: it takes KIND:N", text);
  (void)snprintf(kind, 16, "%.*s", (int)(colon - text), text);
  *count = number(colon + 1, "--load", 1, CREW_MAX);
}

static void picture_make(picture *made) {
  made->bytes = (size_t)made->width * made->height * 3 / 2;
  made->source = malloc(made->bytes);
  if (!made->source)
    bench_die("no memory");
  memset(made->source, 128, made->bytes);
}

typedef struct wish {
  contest c;
  char load_kind[16], *names;
  unsigned load_count;
  bool apart, list;
} wish;

static void size_option(const char *text, picture *made) {
  if (sscanf(text, "%ux%u", &made->width, &made->height) != 2 || made->width < 16 || made->height < 2 ||
      made->width > 8192 || made->height > 8192)
    bench_die("--size %s: it takes WxH, from 16x2 to 8192x8192", text);
}

static const struct option options[] = {
  { "peers", required_argument, NULL, 'p' },
  { "readers", required_argument, NULL, 'r' },
  { "rounds", required_argument, NULL, 'n' },
  { "pairs", required_argument, NULL, 'a' },
  { "block", required_argument, NULL, 'b' },
  { "each", no_argument, NULL, 'E' },
  { "size", required_argument, NULL, 's' },
  { "pace", required_argument, NULL, 't' },
  { "load", required_argument, NULL, 'l' },
  { "free", no_argument, NULL, 'f' },
  { "slice", required_argument, NULL, 'c' },
  { "work", required_argument, NULL, 'w' },
  { "send-work", required_argument, NULL, 'W' },
  { "apart", no_argument, NULL, 'e' },
  { "list", no_argument, NULL, 'i' },
  { "help", no_argument, NULL, 'h' },
  { NULL, 0, NULL, 0 },
};

/* False: there is no such option. */
static bool wish_take(wish *w, int option) {
  contest *c = &w->c;
  switch (option) {
    case 'p': w->names = optarg; break;
    case 'r': c->readers = number(optarg, "--readers", 1, CREW_MAX); break;
    case 'n': c->rounds = number(optarg, "--rounds", 1, 1000000); break;
    case 'a': c->pairs = number(optarg, "--pairs", 1, 1000); break;
    case 't': c->pace_us = number(optarg, "--pace", 0, 1000000); break;
    case 'l': load_option(optarg, w->load_kind, &w->load_count); break;
    case 'w': c->work_us = number(optarg, "--work", 0, 1000000); break;
    case 'W': c->send_work_us = number(optarg, "--send-work", 0, 1000000); break;
    case 'c': c->slice_us = number(optarg, "--slice", 100, 100000); break;
    case 'b': c->block = number(optarg, "--block", 1, 100000); break;
    case 'E': c->each = true; break;
    case 's': size_option(optarg, &c->made); break;
    case 'e': w->apart = true; break;
    case 'f': c->pinned = false; break;
    case 'i': w->list = true; break;
    case 'h': usage(stdout); exit(0);
    default: return false;
  }
  return true;
}

static void pids_print(const char *key, const crew *members) {
  printf("\"%s\": [", key);
  for (unsigned i = 0; i < members->count; i++)
    printf("%s%d", i > 0 ? ", " : "", (int)members->pid[i]);
  printf("],\n ");
}

static void wish_run(wish *w) {
  contest *c = &w->c;
  crew load = { 0 };
  if (w->names)
    ways_choose(c, w->names);
  for (size_t i = 0; i < PEERS && !w->names; i++)
    if (!peers[i]->missing())
      way_add(c, peers[i]);
  picture_make(&c->made);
  if (w->load_count > 0)
    load_start(&load, w->load_kind, w->load_count, w->apart);
  contest_run(c);
  printf("{\"sender_pid\": %d,\n ", (int)getpid());
  pids_print("reader_pids", &c->crew);
  pids_print("load_pids", &load);
  load_stop(&load);
  printf("\"readers\": %u, \"width\": %u, \"height\": %u, \"pinned\": %s, \"work_us\": %u, \"send_work_us\": %u,\n"
         " \"block\": %u, \"slice_us\": %u, \"load\": \"%s:%u\", \"apart\": %s, \"peers\": [",
         c->readers, c->made.width, c->made.height, c->pinned ? "true" : "false", c->work_us, c->send_work_us, c->block,
         c->slice_us, w->load_kind, w->load_count, w->apart ? "true" : "false");
  for (unsigned i = 0; i < c->ways; i++)
    way_print(c, i);
  printf("]}\n");
}

int main(int argc, char **argv) {
  wish w = { .c = { .readers = 1,
                    .rounds = 500,
                    .pairs = 10,
                    .block = 1,
                    .pace_us = 2000,
                    .pinned = true,
                    .made = { .width = 64, .height = 64 } } };
  bool good = true;
  for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;)
    good &= wish_take(&w, option);
  if (!good || optind < argc || w.c.rounds < w.c.pairs) {
    usage(stderr);
    return 2;
  }
  bench_init();
  if (w.list)
    list_print();
  else
    wish_run(&w);
  return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}
