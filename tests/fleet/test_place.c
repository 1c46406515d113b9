/* test_place.c - where cameras belong: evenly, by what nodes may have, and moving little when nodes come and go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "camera.h"
#include "place.h"

#define CAMERAS 4000
#define NODES 20

static char names[NODES][16];
static node_info nodes[NODES];

static void make_nodes(void) {
  for (unsigned i = 0; i < NODES; i++) {
    snprintf(names[i], sizeof names[i], "node%u", i);
    nodes[i] = (node_info){ .name = names[i], .most = i < NODES / 2 ? 1000 : 2000 };
  }
}

/* Which of the first `count` comes first. */
static size_t best_of(const char *camera, size_t count) {
  size_t found = NODES;
  for (size_t i = 0; i < count; i++)
    if (place_rank(camera, NULL, &nodes[i], nodes, count) == 0) {
      assert_int_equal(found, NODES); /* exactly one */
      found = i;
    }
  assert_true(found < count);
  return found;
}

static void test_shares(void **state) {
  (void)state;
  unsigned counts[NODES] = { 0 };
  make_nodes();
  for (unsigned i = 0; i < CAMERAS; i++) {
    char camera[32];
    snprintf(camera, sizeof camera, "cam%u", i);
    counts[best_of(camera, NODES)]++;
  }
  for (unsigned i = 0; i < NODES; i++) { /* 133 and 267, and five standard deviations */
    const unsigned share = i < NODES / 2 ? CAMERAS / 30 : CAMERAS / 15;
    assert_in_range(counts[i], share * 6 / 10, share * 14 / 10);
  }
}

/* A node that goes leaves its own cameras, and none of the others moves. */
static void test_little_moves(void **state) {
  (void)state;
  make_nodes();
  for (unsigned i = 0; i < CAMERAS; i++) {
    char camera[32];
    snprintf(camera, sizeof camera, "cam%u", i);
    const size_t before = best_of(camera, NODES), after = best_of(camera, NODES - 1);
    assert_true(before == after || before == NODES - 1);
  }
}

static void test_room_and_labels(void **state) {
  (void)state;
  json_t *has = json_pack("[s,s]", "gpu", "site-a"), *wants = json_pack("[s]", "gpu"), *none = json_array();
  make_nodes();
  for (unsigned i = 0; i < NODES; i++)
    nodes[i].labels = i == 3 ? has : none;
  for (unsigned i = 0; i < NODES; i++)
    assert_true(node_can(&nodes[i], wants) == (i == 3));
  assert_int_equal(place_rank("door", wants, &nodes[3], nodes, NODES), 0);
  nodes[3].cameras = nodes[3].most;
  assert_false(node_can(&nodes[3], wants));
  nodes[3].cameras = 0;
  nodes[3].leaving = true;
  assert_false(node_can(&nodes[3], wants));
  json_decref(has);
  json_decref(wants);
  json_decref(none);
}

/* Moves from the fuller to the emptier end, whatever the sizes: none is undone. */
static void test_moves_end(void **state) {
  (void)state;
  for (unsigned most = 1; most < 40; most++)
    for (unsigned cameras = 0; cameras <= 40; cameras++) {
      node_info a = { .name = "a", .most = 40, .cameras = cameras }, b = { .name = "b", .most = most };
      unsigned moves = 0;
      while (place_is_uneven(&a, &b)) {
        a.cameras--;
        b.cameras++;
        assert_false(place_is_uneven(&b, &a));
        assert_true(++moves <= cameras);
      }
      assert_true(b.cameras <= b.most);
    }
}

static void test_nodes_of_others(void **state) {
  (void)state;
  static const char *const bad[] = { "",
                                     "{}",
                                     "[]",
                                     "{\"node\":\"m\"}",
                                     "{\"node\":\"n\",\"cameras\":-1}",
                                     "{\"node\":\"n\",\"cameras_max\":100001}",
                                     "{\"node\":7}" };
  node_info n;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    assert_false(node_read(&n, "n", bad[i], strlen(bad[i])));
  static const char good[] = "{\"node\":\"n\",\"cameras\":2,\"cameras_max\":3,\"more\":[]}";
  assert_true(node_read(&n, "n", good, strlen(good)));
  assert_true(node_has_room(&n));
  json_decref(n.value);
}

static void test_names(void **state) {
  (void)state;
  static const char *const bad[] = {
    "",    ".",  "-a", "a.",       "a..b", "a/b",
    "a b", "a*", "a>", "\xc3\xa4", "_a",   "a123456789012345678901234567890123456789012345678901234567890123"
  };
  static const char *const good[] = {
    "a", "7", "a.b", "a-b_c", "A9", "a12345678901234567890123456789012345678901234567890123456789012"
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    assert_false(camera_name_is_valid(bad[i]));
  for (size_t i = 0; i < sizeof good / sizeof *good; i++)
    assert_true(camera_name_is_valid(good[i]));
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_shares),    cmocka_unit_test(test_little_moves),    cmocka_unit_test(test_room_and_labels),
    cmocka_unit_test(test_moves_end), cmocka_unit_test(test_nodes_of_others), cmocka_unit_test(test_names),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
