/* test_handshake.c - every edge of the connection's state machine, and every answer to a HELLO. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <cuframes/subscriber.h>

#include "wire/handshake.h"

/* ---- the state machine ---- */

/* All that is allowed, written down a second time. */
static const struct edge {
  enum cf_peer_state state;
  uint32_t type;
  enum cf_peer_action action;
} allowed[] = {
  { CF_PEER_CONNECTED, CF_MSG_HELLO, CF_DO_ADMIT },
  { CF_PEER_SEATED, CF_MSG_GET_SEGMENT, CF_DO_SEND_SEGMENT },
  { CF_PEER_SEATED, CF_MSG_GET_PACKETS, CF_DO_SEND_PACKETS },
  { CF_PEER_SEATED, CF_MSG_GET_CODEC, CF_DO_SEND_CODEC },
  { CF_PEER_SEATED, CF_MSG_GET_INFO, CF_DO_SEND_INFO },
  { CF_PEER_SEATED, CF_MSG_GET_EVENTS, CF_DO_SEND_EVENTS },
  { CF_PEER_SEATED, CF_MSG_GET_SIDE_DATA, CF_DO_SEND_SIDE_DATA },
  { CF_PEER_WATCHING, CF_MSG_GET_INFO, CF_DO_SEND_INFO },
};

static enum cf_peer_action expected_action(uint32_t state, uint32_t type) {
  for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++)
    if (allowed[i].state == state && allowed[i].type == type)
      return allowed[i].action;
  return CF_DO_CLOSE;
}

static void check_edge(uint32_t state, uint32_t type) {
  enum cf_peer_action expected = expected_action(state, type);
  enum cf_peer_action got = cf_peer_action((enum cf_peer_state)state, type);
  if (got != expected)
    fail_msg("state %u, message type %u: action %d instead of %d", state, type, got, expected);
}

static void every_edge_is_as_listed(void **unused) {
  (void)unused;
  static const uint32_t far[] = { 255, 256, 257, 0xffff, 0x10000, 0x10001, 0x7fffffff, 0x80000000, UINT32_MAX };
  for (uint32_t state = 0; state < CF_PEER_STATES + 2; state++) {
    for (uint32_t type = 0; type < 64; type++)
      check_edge(state, type);
    for (size_t i = 0; i < sizeof far / sizeof far[0]; i++)
      check_edge(state, far[i]);
  }
  assert_int_equal(cf_peer_action((enum cf_peer_state) - 1, CF_MSG_HELLO), CF_DO_CLOSE);
}

static void only_accepted_roles_get_in(void **unused) {
  (void)unused;
  assert_int_equal(cf_peer_admitted(CF_ROLE_SUBSCRIBER, true), CF_PEER_SEATED);
  assert_int_equal(cf_peer_admitted(CF_ROLE_MONITOR, true), CF_PEER_WATCHING);
  for (uint32_t role = 0; role < 5; role++) {
    assert_int_equal(cf_peer_admitted(role, false), CF_PEER_CLOSED);
    if (role != CF_ROLE_SUBSCRIBER && role != CF_ROLE_MONITOR)
      assert_int_equal(cf_peer_admitted(role, true), CF_PEER_CLOSED);
  }
}

/* ---- negotiation ---- */

static const cf_offer host = { .features = 6, .sync_modes = CUFRAMES_SYNC_COMPLETE, .max_leases = 16, .max_depth = 32 };

static cf_msg_hello subscriber(void) {
  cf_msg_hello hello;
  memset(&hello, 0, sizeof hello);
  hello.version_min = CF_WIRE_VERSION_MIN;
  hello.version_max = CF_WIRE_VERSION_MAX;
  hello.role = CF_ROLE_SUBSCRIBER;
  return hello;
}

static cf_msg_welcome accepted(const cf_msg_hello *hello, const cf_offer *offer) {
  cf_msg_welcome welcome;
  cf_msg_refused refused, untouched;
  memset(&welcome, 0x5a, sizeof welcome);
  memset(&refused, 0x5a, sizeof refused);
  untouched = refused;
  assert_int_equal(cf_negotiate(hello, offer, &welcome, &refused), CUFRAMES_OK);
  assert_memory_equal(&refused, &untouched, sizeof refused);
  assert_int_equal(welcome.control_bytes | welcome.seat_bytes | welcome.instance | (uint64_t)welcome.device[0], 0);
  assert_int_equal(welcome.version, CF_WIRE_VERSION_MAX);
  return welcome;
}

/* Refused with this code, and with a sentence in which all of these words (separated by |) are found. */
static void refused_with(const cf_msg_hello *hello, const cf_offer *offer, int code, const char *words) {
  cf_msg_welcome welcome, untouched;
  cf_msg_refused refused;
  char list[256], *rest = list;
  memset(&welcome, 0x5a, sizeof welcome);
  memset(&refused, 0x5a, sizeof refused);
  untouched = welcome;
  assert_int_equal(cf_negotiate(hello, offer, &welcome, &refused), code);
  assert_memory_equal(&welcome, &untouched, sizeof welcome);
  assert_int_equal(refused.code, code);
  assert_non_null(memchr(refused.text, 0, sizeof refused.text));
  (void)snprintf(list, sizeof list, "%s", words);
  for (char *word; (word = strsep(&rest, "|")) != NULL;)
    if (!strstr(refused.text, word))
      fail_msg("\"%s\" is not in \"%s\"", word, refused.text);
}

static void nothing_asked_gives_the_defaults(void **unused) {
  (void)unused;
  cf_msg_hello hello = subscriber();
  cf_msg_welcome welcome = accepted(&hello, &host);
  assert_int_equal(welcome.leases, 2);
  assert_int_equal(welcome.depth, 0); /* newest */
  assert_int_equal(welcome.sync_mode, CUFRAMES_SYNC_COMPLETE);
  assert_int_equal(welcome.features, 0);
  hello.mode = CUFRAMES_MODE_ORDERED;
  welcome = accepted(&hello, &host);
  assert_int_equal(welcome.leases, 2);
  assert_int_equal(welcome.depth, 4);
  cf_offer small = { .sync_modes = CUFRAMES_SYNC_COMPLETE, .max_leases = 1, .max_depth = 3 };
  welcome = accepted(&hello, &small);
  assert_int_equal(welcome.leases, 1);
  assert_int_equal(welcome.depth, 3);
}

static void the_asked_is_granted_up_to_the_limit(void **unused) {
  (void)unused;
  cf_msg_hello hello = subscriber();
  hello.mode = CUFRAMES_MODE_ORDERED;
  hello.features = 3;
  for (uint32_t asked = 1; asked <= 16; asked++) {
    hello.leases = asked;
    hello.depth = 2 * asked;
    cf_msg_welcome welcome = accepted(&hello, &host);
    assert_int_equal(welcome.leases, asked);
    assert_int_equal(welcome.depth, 2 * asked);
    assert_int_equal(welcome.features, 2);
  }
  hello.leases = 17;
  refused_with(&hello, &host, CUFRAMES_ERR_NO_CAPACITY, "17 leases|at most 16");
  hello.leases = UINT32_MAX;
  refused_with(&hello, &host, CUFRAMES_ERR_NO_CAPACITY, "4294967295 leases|at most 16");
  hello.leases = 16;
  hello.depth = 33;
  refused_with(&hello, &host, CUFRAMES_ERR_NO_CAPACITY, "33|depth|at most 32");
  hello.mode = CUFRAMES_MODE_NEWEST; /* depth means nothing then */
  assert_int_equal(accepted(&hello, &host).depth, 0);
}

static void an_ordered_subscriber_needs_depth(void **unused) {
  (void)unused;
  cf_msg_hello hello = subscriber();
  cf_offer none = { .sync_modes = CUFRAMES_SYNC_COMPLETE, .max_leases = 2, .max_depth = 0 };
  (void)accepted(&hello, &none);
  hello.mode = CUFRAMES_MODE_ORDERED;
  refused_with(&hello, &none, CUFRAMES_ERR_NO_CAPACITY, "4|depth|at most 0");
  none.max_leases = 0;
  refused_with(&hello, &none, CUFRAMES_ERR_NO_CAPACITY, "2 leases|at most 0");
}

static void versions_must_overlap(void **unused) {
  (void)unused;
  static const struct {
    uint32_t low, high;
    const char *words; /* NULL: accepted */
  } cases[] = {
    { 3, 3, NULL },
    { 0, 3, NULL },
    { 0, UINT32_MAX, NULL },
    { 3, 7, NULL },
    { 5, 6, "subscriber speaks protocol versions 5 to 6, this publisher 3 to 3|newer cuframes for the publisher" },
    { 1, 1, "subscriber speaks protocol versions 1 to 1, this publisher 3 to 3|newer cuframes for the subscriber" },
    { 0, 0, "versions 0 to 0|newer cuframes for the subscriber" },
    { 4, 3, "versions 4 to 3" },
    { 1, 0, "versions 1 to 0" },
    { UINT32_MAX, UINT32_MAX, "versions 4294967295 to 4294967295" },
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    cf_msg_hello hello = subscriber();
    hello.version_min = cases[i].low;
    hello.version_max = cases[i].high;
    if (cases[i].words) {
      refused_with(&hello, &host, CUFRAMES_ERR_VERSION, cases[i].words);
      hello.role = 77; /* what a role is may have changed: the version comes first */
      refused_with(&hello, &host, CUFRAMES_ERR_VERSION, "");
    } else {
      (void)accepted(&hello, &host);
    }
  }
  cf_msg_hello monitor = subscriber();
  monitor.role = CF_ROLE_MONITOR;
  monitor.version_min = monitor.version_max = 0;
  refused_with(&monitor, &host, CUFRAMES_ERR_VERSION, "monitor speaks|for the monitor");
}

static void unknown_roles_and_modes_are_invalid(void **unused) {
  (void)unused;
  cf_msg_hello hello = subscriber();
  static const uint32_t roles[] = { 0, 3, UINT32_MAX };
  for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
    char words[32];
    (void)snprintf(words, sizeof words, "role %u", roles[i]);
    hello.role = roles[i];
    refused_with(&hello, &host, CUFRAMES_ERR_INVALID, words);
  }
  hello.role = CF_ROLE_SUBSCRIBER;
  hello.mode = 3;
  refused_with(&hello, &host, CUFRAMES_ERR_INVALID, "mode 3|newest|ordered|packets");
}

static void packets_only_costs_no_slots(void **unused) {
  (void)unused;
  cf_msg_hello hello = subscriber();
  hello.mode = CUFRAMES_MODE_PACKETS;
  hello.leases = hello.depth = 1000; /* nothing that it would get */
  cf_msg_welcome welcome = accepted(&hello, &host);
  assert_int_equal(welcome.leases, 0);
  assert_int_equal(welcome.depth, 0);
}

static void a_monitor_gets_no_seat(void **unused) {
  (void)unused;
  cf_msg_hello hello = subscriber();
  hello.role = CF_ROLE_MONITOR;
  hello.mode = 99; /* all of this means nothing to a monitor */
  hello.leases = hello.depth = 1000;
  hello.sync_modes = CUFRAMES_SYNC_TIMELINE;
  hello.features = 4;
  cf_msg_welcome welcome = accepted(&hello, &host);
  assert_int_equal(welcome.leases | welcome.depth | welcome.sync_mode, 0);
  assert_int_equal(welcome.features, 4);
}

static void the_most_demanding_common_sync_mode_wins(void **unused) {
  (void)unused;
  for (uint32_t offered = 0; offered < 8; offered++) {
    for (uint32_t asked = 0; asked < 16; asked++) { /* 8: a mode of the future */
      cf_offer offer = host;
      cf_msg_hello hello = subscriber();
      uint32_t common = (asked ? asked : CUFRAMES_SYNC_COMPLETE) & offered;
      offer.sync_modes = offered;
      hello.sync_modes = asked;
      if (common) {
        uint32_t expected = common & CUFRAMES_SYNC_TIMELINE      ? CUFRAMES_SYNC_TIMELINE
                            : common & CUFRAMES_SYNC_SLOT_EVENTS ? CUFRAMES_SYNC_SLOT_EVENTS
                                                                 : CUFRAMES_SYNC_COMPLETE;
        assert_int_equal(accepted(&hello, &offer).sync_mode, expected);
      } else {
        refused_with(&hello, &offer, CUFRAMES_ERR_UNSUPPORTED, asked & CUFRAMES_SYNC_TIMELINE ? "timeline" : "nothing");
      }
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_edge_is_as_listed),
    cmocka_unit_test(only_accepted_roles_get_in),
    cmocka_unit_test(nothing_asked_gives_the_defaults),
    cmocka_unit_test(the_asked_is_granted_up_to_the_limit),
    cmocka_unit_test(an_ordered_subscriber_needs_depth),
    cmocka_unit_test(versions_must_overlap),
    cmocka_unit_test(unknown_roles_and_modes_are_invalid),
    cmocka_unit_test(packets_only_costs_no_slots),
    cmocka_unit_test(a_monitor_gets_no_seat),
    cmocka_unit_test(the_most_demanding_common_sync_mode_wins),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
