/* crash/chaos_beside.c - what goes on beside the kills: attackers, and processes that workers fork. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "crash/chaos.h"
#include "support/fixture.h"

#define OUTLIVES_MS 60

/* ---- attackers ---- */

static attack_run *const attacks[] = {
  attack_growth,   attack_close_for_me, attack_empty_messages, attack_unread_answers,
  attack_monitors, attack_silence,      attack_connections,    attack_labels,
  attack_halves,   attack_babble,       attack_scribbling,     attack_leases,
};

void chaos_attack(chaos_world *world, attacker *me) {
  me->stream = "s";
  me->patient = me->mortal = true;
  me->over = &world->over;
  while (!atomic_load(&world->over)) {
    uint32_t k = me->id == 0 ? 0 : attack_below(&me->random, sizeof attacks / sizeof attacks[0]);
    me->end = cuframes_now() + (50 + attack_below(&me->random, 300)) * MS;
    attacks[k](me);
    atomic_fetch_add(&world->attacks, 1);
  }
}

/* ---- forks ---- */

void chaos_fork(chaos_worker *me, void (*give_back)(void *user), void *user) {
  uint32_t how = crash_below(&me->random, 3);
  (void)signal(SIGCHLD, SIG_IGN); /* nobody waits for them */
  fflush(NULL);
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid > 0) {
    atomic_fetch_add(&me->world->forks, 1);
    return;
  }
  crash_light(NULL); /* it does not die at a step */
  if (how == 0)
    give_back(user);
  else if (how == 1)
    pause_ms(1 + (int)crash_below(&me->random, OUTLIVES_MS));
  _exit(0);
}
