/* attacks/soak_report.c - what the soak says in the end, and whether all is well. */
#include "attacks/soak_report.h"

#include <inttypes.h>
#include <stdio.h>

#define MIB (1024.0 * 1024.0)
/* Of memory of its own that a publisher may keep from the first quarter of the time on: pieces that malloc() has not
 * given back. */
#define KEPT_MIB 8.0
/* Of a log: lines that come at once, and in each second (SECURITY.md), with room for those that are no peer's. */
#define LINES_AT_ONCE 150u
#define LINES_A_SECOND 20u

typedef struct totals {
  uint64_t frames, packets, torn, backward, twice, missing, lies, evictions, rounds, tries;
  int64_t longest_gap;
} totals;

static uint64_t of(const _Atomic uint64_t *counter) {
  return atomic_load((_Atomic uint64_t *)counter);
}

static totals totals_of(const soak_world *world) {
  totals t = { 0 };
  for (int i = 0; i < SOAK_ROLES; i++) {
    const soak_subscriber *s = &world->subscriber[i];
    int64_t gap = atomic_load((_Atomic int64_t *)&s->longest_gap);
    t.frames += s->role->how == SOAK_LOOKS ? 0 : of(&s->frames);
    t.packets += of(&s->packets);
    t.torn += of(&s->torn);
    t.backward += of(&s->backward);
    t.twice += of(&s->twice);
    t.missing += of(&s->missing);
    t.lies += of(&s->lies);
    t.evictions += of(&s->evictions);
    t.longest_gap = gap > t.longest_gap ? gap : t.longest_gap;
  }
  for (int i = 0; i < SOAK_ATTACKS; i++) {
    t.rounds += of(&world->attacker[i].rounds);
    t.tries += of(&world->attacker[i].who.tries);
  }
  return t;
}

void soak_report_now(const soak_world *world, int64_t since, uint64_t seed) {
  totals t = totals_of(world);
  printf("seed %" PRIu64 ", %.0f s: %" PRIu64 " attacks, %" PRIu64 " connections of attackers; %" PRIu64
         " frames and %" PRIu64 " packets checked\n",
         seed, (double)(cuframes_now() - since) / 1e9, t.rounds, t.tries, t.frames, t.packets);
  fflush(stdout);
}

/* ---- tables ---- */

static void report_attacks(const soak_world *world) {
  printf("\n%-24s %7s %7s %12s\n", "attack", "rounds", "killed", "connections");
  for (int i = 0; i < SOAK_ATTACKS; i++) {
    const soak_attacker *a = &world->attacker[i];
    if (a->attack->refused && !world->others)
      printf("%-24s not done: needs root's rights over other users\n", a->attack->name);
    else
      printf("%-24s %7" PRIu64 " %7" PRIu64 " %12" PRIu64 "\n", a->attack->name, of(&a->rounds), of(&a->killed),
             of(&a->who.tries));
  }
}

static void report_subscribers(const soak_world *world) {
  printf("\n%-6s %-18s %8s %8s %5s %5s %6s %8s %6s %8s %5s %7s %7s %8s\n", "stream", "subscriber", "frames", "packets",
         "torn", "back", "twice", "missing", "joins", "evicted", "lost", "killed", "stopped", "gap ms");
  for (int i = 0; i < SOAK_ROLES; i++) {
    const soak_subscriber *s = &world->subscriber[i];
    const char *stream = s->role->how == SOAK_LOOKS ? "all" : soak_streams[s->role->stream].name;
    if (soak_streams[s->role->stream].on_gpu && !world->gpu)
      continue;
    printf("%-6s %-18s %8" PRIu64 " %8" PRIu64 " %5" PRIu64 " %5" PRIu64 " %6" PRIu64 " %8" PRIu64 " %6" PRIu64
           " %8" PRIu64 " %5" PRIu64 " %7" PRIu64 " %7" PRIu64 " %8.0f\n",
           stream, s->role->name, s->role->how == SOAK_LOOKS ? of(&s->looks) : of(&s->frames), of(&s->packets),
           of(&s->torn), of(&s->backward), of(&s->twice), of(&s->missing), of(&s->joins), of(&s->evictions),
           of(&s->lost), of(&s->kills), of(&s->stops), (double)atomic_load((_Atomic int64_t *)&s->longest_gap) / 1e6);
  }
  puts("lost: its publisher, for two seconds and more, because one of them was stopped");
  puts("gap: the longest time without a frame, with those in which it or its publisher was stopped or killed");
}

static void report_publishers(const soak_world *world) {
  const soak_publisher *p = &world->publisher[0];
  putchar('\n');
  printf("publisher: descriptors %" PRIu64 " at first, %" PRIu64 " in the end; mappings %" PRIu64 ", %" PRIu64
         "; shared memory %.1f MiB, %.1f MiB; stopped %" PRIu64 " times\n",
         of(&p->descriptors), of(&p->descriptors_left), of(&p->mappings), of(&p->mappings_left),
         (double)of(&p->memory) / MIB, (double)of(&p->memory_left) / MIB, of(&p->stops));
  printf("           resident memory %.1f MiB after a quarter of the time, %.1f MiB in the end\n",
         (double)of(&p->resident_early) / MIB, (double)of(&p->resident_late) / MIB);
  printf("the other: killed %" PRIu64 " times, stopped %" PRIu64 " times\n", of(&world->publisher[1].kills),
         of(&world->publisher[1].stops));
}

/* ---- judgement ---- */

static int wrong(bool is, const char *what) {
  if (is)
    fprintf(stderr, "not so: %s\n", what);
  return is;
}

static int judge_publisher(const soak_world *world, int64_t since) {
  const soak_publisher *p = &world->publisher[0];
  uint64_t seconds = (uint64_t)((cuframes_now() - since) / SECOND) + 1;
  int failed = 0;
  failed += wrong(of(&p->descriptors) < of(&p->descriptors_left), "the publisher has its descriptors back");
  failed += wrong(of(&p->mappings_left) > of(&p->mappings), "the publisher has its mappings back");
  failed += wrong(of(&p->memory_left) > of(&p->memory), "the publisher has its shared memory back");
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* they keep what was freed */
  failed += wrong((double)of(&p->resident_late) > (double)of(&p->resident_early) + KEPT_MIB * MIB,
                  "the publisher's resident memory is no more than after a quarter of the time");
#endif
  for (int i = 0; i < SOAK_STREAMS; i++) {
    failed += wrong(of(&world->place[i].wrong_lines) > 0, "lines of the log have no control characters");
    failed += wrong(!soak_streams[i].mortal && of(&world->place[i].lines) > LINES_AT_ONCE + LINES_A_SECOND * seconds,
                    "peers cannot fill the log");
  }
  return failed;
}

int soak_report(const soak_world *world, int64_t since, uint64_t seed) {
  totals t = totals_of(world);
  int failed = 0;
  report_attacks(world);
  report_subscribers(world);
  report_publishers(world);
  failed += wrong(t.torn > 0, "no frame or packet is torn");
  failed += wrong(t.backward > 0, "no frame or packet is older than the one before");
  failed += wrong(t.twice > 0, "no frame or packet comes twice");
  failed += wrong(t.missing > 0, "who takes in order misses none");
  failed += wrong(t.lies > 0, "monitors see no control characters, and no more leases than there are");
  for (int i = 0; i < SOAK_ROLES; i++) {
    const soak_role *role = world->subscriber[i].role;
    failed += wrong(soak_streams[role->stream].patient && of(&world->subscriber[i].evictions) > 0,
                    "nobody is evicted where the publisher is patient");
  }
  failed += judge_publisher(world, since);
  printf("\nseed %" PRIu64 ", %.0f s: %" PRIu64 " attacks with %" PRIu64 " connections; %" PRIu64 " frames and %" PRIu64
         " packets checked: torn %" PRIu64 ", backward %" PRIu64 ", twice %" PRIu64 ", missing %" PRIu64
         ", stuck 0; longest gap %.0f ms: %s\n",
         seed, (double)(cuframes_now() - since) / 1e9, t.rounds, t.tries, t.frames, t.packets, t.torn, t.backward,
         t.twice, t.missing, (double)t.longest_gap / 1e6, failed ? "NOT WELL" : "all well");
  return failed;
}
