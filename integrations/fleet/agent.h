/* agent.h - what one agent knows: shared by the files that make up its work. */
#ifndef FLEET_AGENT_H
#define FLEET_AGENT_H

#include "bus.h"
#include "held.h"
#include "place.h"
#include "publisher.h"

#define SECOND INT64_C(1000000000)
#define AGENT_PROBLEMS_MOST 50

typedef struct agent_options {
  bus_options bus;
  const char *node, *state, *address, *publisher, *directory;
  json_t *labels; /* an array of texts */
  unsigned cameras_most, decoders;
  int64_t balance_ns; /* between two moves for the sake of balance; 0: none */
  bool trusted;
} agent_options;

/* A camera that could be claimed: since when it has been seen without a lease. */
typedef struct vacancy {
  char name[CAMERA_NAME_MAX + 1];
  int64_t since;
  bool seen;
} vacancy;

typedef struct agent {
  const agent_options *options;
  bus *bus;
  bus_view cameras, nodes;
  node_info *others; /* all nodes of the view but this one; made anew when that changes */
  size_t others_count;
  uint64_t others_of; /* the view's changes at that time */
  held_list held;
  publisher publisher;
  vacancy *vacancies;
  size_t vacancy_count;
  json_t *problems; /* camera -> {why, camera: revision of what is wrong} */
  uint64_t problems_of;
  char id[33];
  int64_t now, tick_ns;
  int64_t there_since;   /* control plane; 0: it is not there */
  int64_t lost_since;    /* when it was there last */
  int64_t claims_after;  /* none before: who had cameras comes first */
  int64_t told_at;       /* the offer of this node */
  bool tell;             /* it has changed */
  int64_t members_since; /* since when the same nodes are there */
  size_t members;
  int64_t balanced_at, looked_at;
  int64_t cold_until;
  bool leaving, said_away;
  bool makes_room; /* what it offers now is not for the sake of balance */
} agent;

int64_t agent_clock(void);
node_info agent_self(const agent *a); /* as the others would see it now */

/* registry.c: this node in the bucket of nodes, and its cameras' values in that of leases. */
bus_answer registry_tell_node(agent *a);
char *registry_lease(const agent *a, const held *h); /* the caller's */
void registry_look(agent *a);                        /* what the streams are doing */
void registry_read_nodes(agent *a);
void registry_problem(agent *a, const char *name, uint64_t revision, const char *why);

/* leases.c: keeping what this node has. false: the control plane does not answer. */
bool leases_renew(agent *a);
void leases_expire(agent *a); /* also without a control plane */

/* claims.c: getting what nobody has, and giving away what others should have. Likewise. */
bool claims_make(agent *a);
bool claims_take_offers(agent *a);
void claims_balance(agent *a);
void claims_offer(agent *a, held *h, const node_info *to);

/* agent.c. Until SIGTERM; gives an exit code. */
int agent_run(const agent_options *options);

#endif
