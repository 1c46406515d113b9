/* attacks/soak.c - every attack that is known, all at once and for as long as one likes, beside publishers and
 * subscribers that check every frame.
 *
 *     soak [--seconds N] [--seed N]
 *
 * Attackers are processes of their own: users who are let in, one who is not, and ours. Each kind is at work all the
 * time, round after round, against one stream after the other; one round in four ends by kill -9. Subscribers are
 * stopped for a while, killed and replaced; so is a publisher, whose subscribers find the next one by themselves. What
 * is done follows from the seed, as far as the machine's scheduler lets it. In the end everybody must have gone on,
 * nothing was torn, out of order, twice or missing, and the publisher has everything back.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attacks/soak.h"
#include "attacks/soak_report.h"
#include "support/rights.h"

const soak_attack soak_attacks[SOAK_ATTACKS] = {
  { "close for me", attack_close_for_me, false, false },
  { "close for me, refused", attack_close_for_me, true, false },
  { "empty messages", attack_empty_messages, false, false },
  { "unread answers", attack_unread_answers, false, false },
  { "monitors", attack_monitors, false, false },
  { "silent connections", attack_silence, false, false },
  { "connections", attack_connections, false, false },
  { "connections, refused", attack_connections, true, false },
  { "labels", attack_labels, false, false },
  { "half messages", attack_halves, false, false },
  { "babble", attack_babble, false, false },
  { "scribbling", attack_scribbling, false, false },
  { "leases", attack_leases, false, false },
  { "growth", attack_growth, false, false },
  { "joining and leaving", attack_crowd, false, true },
  { "forks", attack_forks, false, true },
  { "limits", attack_limits, false, false },
  { "memory", attack_memory, false, false },
  { "files", attack_directory, false, false },
  { "lies to monitors", attack_lies, false, false },
};

static struct {
  double seconds;
  uint64_t seed;
} options = { .seconds = 60 };

/* What the first process knows of another. */
typedef struct minder {
  child *process;    /* NULL: none now */
  bool stopped;      /* by SIGSTOP, until `until` */
  int64_t until;     /* attackers: when the next round begins, or it is killed; 0: it is not */
  uint64_t progress; /* when it was last looked at */
  int64_t went_on;   /* when that had moved */
} minder;

static soak_world *world;
static minder publishers[2], subscribers[SOAK_ROLES], attackers[SOAK_ATTACKS];
static uint64_t random_state;
static int64_t began, ends;
static volatile sig_atomic_t interrupted;

static void interrupt(int number) {
  (void)number;
  interrupted = 1;
}

static uint32_t dice(uint32_t limit) {
  return attack_below(&random_state, limit);
}

/* ---- attackers ---- */

static void become(uint32_t user) {
  CHECK(setgid(user) == 0 && setuid(user) == 0);
  CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0); /* which another user's process forgets */
}

void soak_attack_one(int test, void *user) {
  soak_attacker *me = user;
  (void)test;
  if (me->who.user != 0)
    become(me->who.user);
  me->attack->run(&me->who);
}

static void attacker_start(int i) {
  soak_attacker *a = &world->attacker[i];
  if (a->attack->refused && !world->others)
    return;
  const soak_stream *victim = &soak_streams[dice(SOAK_STREAMS)];
  while (victim->on_gpu && !world->gpu)
    victim = &soak_streams[dice(SOAK_STREAMS)];
  a->who.stream = victim->name;
  a->who.patient = victim->patient;
  a->who.mortal = victim->mortal;
  a->who.user = !world->others || a->attack->by_us ? 0
                : a->attack->refused               ? SOAK_REFUSED_USER
                                                   : SOAK_FIRST_USER + dice(SOAK_USERS);
  a->who.random = attack_random(&random_state);
  a->who.end = cuframes_now() + (200 + dice(1500)) * MS;
  attackers[i].until = dice(4) ? 0 : cuframes_now() + dice(1000) * MS;
  attackers[i].process = child_start(soak_attack_one, a);
}

/* What an attacker that was killed has left behind. */
static void sweep_up(int id) {
  static const char *const kinds[] = { "x-%d.sock", "x-%d.lock", "x-lies-%d.sock", "x-limits-%d.sock",
                                       "x-limits-%d.lock" };
  for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
    char name[64];
    snprintf(name, sizeof name, kinds[k], id);
    if (unlink(fixture_path("%s", name)) != 0 && errno != ENOENT)
      (void)rmdir(fixture_path("%s", name));
  }
}

static void attacker_ended(int i, int status) {
  soak_attacker *a = &world->attacker[i];
  bool killed = attackers[i].until < 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
  if (!killed && status != 0) {
    print_error("the attack \"%s\" on %s ended with %s %d\n", a->attack->name, a->who.stream,
                WIFSIGNALED(status) ? "signal" : "status",
                WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    check_failed(__FILE__, __LINE__, "attackers live until they are killed");
  }
  atomic_fetch_add(&a->rounds, 1);
  atomic_fetch_add(&a->killed, killed);
  if (killed)
    sweep_up(a->who.id);
  attackers[i].process = NULL;
  attackers[i].until = cuframes_now() + dice(300) * MS;
}

static void attackers_mind(void) {
  int64_t now = cuframes_now();
  for (int i = 0; i < SOAK_ATTACKS; i++) {
    minder *m = &attackers[i];
    int status = 0;
    if (!m->process) {
      if (now >= m->until && !atomic_load(&world->over))
        attacker_start(i);
      continue;
    }
    if (child_ended_by(m->process, 0, &status)) {
      attacker_ended(i, status);
      continue;
    }
    CHECK(now < world->attacker[i].who.end + patience()); /* or it is stuck */
    if (m->until > 0 && now >= m->until && kill(m->process->pid, SIGKILL) == 0)
      m->until = -1;
  }
}

static bool attackers_are_gone(void) {
  attackers_mind();
  for (int i = 0; i < SOAK_ATTACKS; i++)
    if (attackers[i].process)
      return false;
  return true;
}

/* ---- subscribers and publishers ---- */

static bool takes_part(int i) {
  return world->gpu || !soak_streams[soak_roles[i].stream].on_gpu;
}

static void subscriber_start(int i) {
  soak_subscriber *s = &world->subscriber[i];
  s->random = attack_random(&random_state);
  subscribers[i].process = child_start(soak_subscribe, s);
  subscribers[i].went_on = cuframes_now();
}

static void publisher_start(int i) {
  for (int k = 0; k < SOAK_STREAMS; k++)
    if (soak_streams[k].mortal == world->publisher[i].mortal)
      atomic_store(&world->place[k].there, 0);
  publishers[i].process = child_start(soak_publish, &world->publisher[i]);
}

static void go_on(minder *m) {
  if (m->stopped)
    child_continue(m->process);
  m->stopped = false;
}

static void stop_for_a_while(minder *m, _Atomic uint64_t *count) {
  if (m->stopped)
    return;
  child_stop(m->process);
  m->stopped = true;
  m->until = cuframes_now() + (20 + dice(1200)) * MS;
  atomic_fetch_add(count, 1);
}

static void subscriber_replace(int i) {
  go_on(&subscribers[i]);
  child_kill(subscribers[i].process);
  atomic_fetch_add(&world->subscriber[i].kills, 1);
  subscriber_start(i);
}

static void publisher_replace(int i) {
  go_on(&publishers[i]);
  child_kill(publishers[i].process);
  atomic_fetch_add(&world->publisher[i].kills, 1);
  publisher_start(i);
}

/* One of us is stopped, or killed. */
static void act(void) {
  int i = (int)dice(SOAK_ROLES), p = (int)dice(2);
  while (!takes_part(i))
    i = (int)dice(SOAK_ROLES);
  switch (dice(8)) {
    case 0: /* all of them, as when a machine is suspended */
      for (int k = 0; k < 2; k++)
        stop_for_a_while(&publishers[k], &world->publisher[k].stops);
      for (int k = 0; k < SOAK_ROLES; k++)
        if (takes_part(k))
          stop_for_a_while(&subscribers[k], &world->subscriber[k].stops);
      break;
    case 1: stop_for_a_while(&publishers[p], &world->publisher[p].stops); break;
    case 2: publisher_replace(1); break;
    case 3:
    case 4: subscriber_replace(i); break;
    default: stop_for_a_while(&subscribers[i], &world->subscriber[i].stops); break;
  }
}

static void mind(minder *m, const char *what, const char *name) {
  int status = 0;
  if (m->stopped && cuframes_now() >= m->until)
    go_on(m);
  if (!m->stopped && child_ended_by(m->process, 0, &status)) {
    print_error("%s \"%s\" ended with %s %d\n", what, name, WIFSIGNALED(status) ? "signal" : "status",
                WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    check_failed(__FILE__, __LINE__, "publishers and subscribers live until they are killed");
  }
}

/* Whoever stands still for longer than all that is done to it is stuck. */
static void subscriber_goes_on(int i) {
  minder *m = &subscribers[i];
  uint64_t progress = atomic_load(&world->subscriber[i].progress);
  if (progress != m->progress || m->stopped || publishers[0].stopped || publishers[1].stopped)
    m->went_on = cuframes_now();
  m->progress = progress;
  if (cuframes_now() - m->went_on < patience())
    return;
  print_error("subscriber \"%s\" of %s is stuck\n", soak_roles[i].name, soak_streams[soak_roles[i].stream].name);
  check_failed(__FILE__, __LINE__, "everybody goes on");
}

static void us_mind(void) {
  for (int i = 0; i < 2; i++)
    mind(&publishers[i], "publisher", i == 0 ? "of most streams" : "again");
  for (int i = 0; i < SOAK_ROLES; i++)
    if (takes_part(i)) {
      mind(&subscribers[i], "subscriber", soak_roles[i].name);
      subscriber_goes_on(i);
    }
}

/* ---- from the beginning to the end ---- */

static bool gpu_is_there(void) {
  const char *kernels = getenv("CUFRAMES_SOAK_GPU");
  return kernels && kernels[0] == '1';
}

static void begin(void) {
  world = mmap(NULL, sizeof *world, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(world != MAP_FAILED);
  world->others = have_other_users();
  world->gpu = gpu_is_there();
  CHECK(chmod(fixture_directory(), 01777) == 0); /* as /tmp is */
  for (int i = 0; i < 2; i++) {
    world->publisher[i].world = world;
    world->publisher[i].mortal = i;
    publisher_start(i);
  }
  for (int i = 0; i < SOAK_STREAMS; i++)
    if (world->gpu || !soak_streams[i].on_gpu)
      WAIT_FOR(atomic_load(&world->place[i].there));
  for (int i = 0; i < SOAK_ROLES; i++) {
    world->subscriber[i].world = world;
    world->subscriber[i].role = &soak_roles[i];
    if (takes_part(i))
      subscriber_start(i);
  }
  for (int i = 0; i < SOAK_ATTACKS; i++) {
    world->attacker[i].attack = &soak_attacks[i];
    world->attacker[i].who.over = &world->over;
    world->attacker[i].who.id = i;
  }
}

static void soak_on(void) {
  int64_t next_act = began + SECOND, next_word = began + 60 * SECOND;
  int64_t quarter = began + (int64_t)(options.seconds * 0.25e9);
  bool measured = false;
  while (cuframes_now() < ends && !interrupted) {
    attackers_mind();
    us_mind();
    if (!measured && cuframes_now() >= quarter) {
      atomic_store(&world->publisher[0].measure, 1);
      measured = true;
    }
    if (cuframes_now() >= next_act) {
      act();
      next_act = cuframes_now() + dice(600) * MS;
    }
    if (cuframes_now() >= next_word) {
      soak_report_now(world, began, options.seed);
      next_word += 60 * SECOND;
    }
    pause_ms(3);
  }
}

/* With the attacks over, everybody takes some more, and leaves. */
static void end(void) {
  uint64_t before[SOAK_ROLES];
  atomic_store(&world->over, 1);
  for (int i = 0; i < 2; i++)
    go_on(&publishers[i]);
  for (int i = 0; i < SOAK_ROLES; i++) /* before attackers are waited for: some wait for frames, as anybody */
    if (takes_part(i))
      go_on(&subscribers[i]);
  WAIT_FOR(attackers_are_gone());
  for (int i = 0; i < SOAK_ROLES; i++)
    before[i] = atomic_load(&world->subscriber[i].progress);
  for (int i = 0; i < SOAK_ROLES; i++)
    while (takes_part(i) && atomic_load(&world->subscriber[i].progress) < before[i] + 3) {
      us_mind();
      pause_ms(3);
    }
  for (int i = 0; i < SOAK_ROLES; i++)
    if (takes_part(i)) {
      atomic_store(&world->subscriber[i].stop, 1);
      child_finish(subscribers[i].process);
    }
  for (int i = 0; i < 2; i++) {
    int status = 0;
    atomic_store(&world->publisher[i].stop, 1); /* it waits for several things to come back, and says which does not */
    CHECK(child_ended_by(publishers[i].process, cuframes_now() + 4 * patience(), &status) && status == 0);
  }
}

static void soak(void **state) {
  (void)state;
  random_state = options.seed;
  begin();
  began = cuframes_now();
  ends = began + (int64_t)(options.seconds * 1e9);
  soak_on();
  end();
  assert_int_equal(soak_report(world, began, options.seed), 0);
}

static int usage(const char *name, FILE *to) {
  fprintf(to,
          "usage: %s [--seconds N] [--seed N]\n"
          "Every attack that is known, all at once, beside subscribers that check every frame; for 60 seconds unless\n"
          "said otherwise. CUFRAMES_SOAK_GPU=1: with a stream on a GPU, over the stand-in for the CUDA driver, which\n"
          "LD_LIBRARY_PATH must name.\n",
          name);
  return to == stderr ? 2 : 0;
}

int main(int argc, char **argv) {
  options.seed = (uint64_t)cuframes_now() % 1000000;
  for (int i = 1; i < argc; i += 2) {
    char *rest = "";
    if (strcmp(argv[i], "--help") == 0)
      return usage(argv[0], stdout);
    if (i + 1 == argc)
      return usage(argv[0], stderr);
    if (strcmp(argv[i], "--seconds") == 0)
      options.seconds = strtod(argv[i + 1], &rest);
    else if (strcmp(argv[i], "--seed") == 0)
      options.seed = strtoull(argv[i + 1], &rest, 0);
    else
      return usage(argv[0], stderr);
    if (*rest || options.seconds < 4)
      return usage(argv[0], stderr);
  }
  (void)signal(SIGINT, interrupt);
  const struct CMUnitTest tests[] = { cmocka_unit_test_setup_teardown(soak, fixture_begin, fixture_end) };
  return FIXTURE_RUN("soak", tests);
}
