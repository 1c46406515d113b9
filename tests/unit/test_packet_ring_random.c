/* test_packet_ring_random.c - the packet ring under random schedules: against a reference model, with threads that
 * race for real, and over hostile memory. */
#include <pthread.h>
#include <time.h>

#include "packet_ring_support.h"
#include "support/fixture.h"

/* The reference: every packet ever written, and from that by the book what a reader has to say. */
enum { MODEL_MAX = 4096 };

typedef struct model_packet {
  uint64_t position;
  uint32_t size;
} model_packet;

typedef struct model {
  uint64_t first_seq, count, slots, data_bytes, end, start; /* start: seq of the last start packet, 0: none */
  model_packet packets[MODEL_MAX];
} model;

typedef struct model_reader {
  cf_packet_reader reader;
  uint64_t next, after, accounted; /* next 0: waits for a start packet > after */
  uint64_t first, delivered, lost; /* over its life */
} model_reader;

static bool model_has(const model *m, uint64_t seq) {
  uint64_t index = seq - m->first_seq;
  return seq >= m->first_seq && index < m->count && m->count - index <= m->slots &&
         m->end - m->packets[index].position <= m->data_bytes;
}

static void model_write(ring *r, model *m, uint64_t *random) {
  uint32_t size = (uint32_t)(random_below(random, 4) ? 1 + random_below(random, r->max_packet / 8)
                                                     : 1 + random_below(random, r->max_packet));
  bool is_start = random_below(random, 6) == 0;
  uint64_t seq = ring_write(r, size, is_start);
  assert_true(seq == m->first_seq + m->count);
  m->packets[m->count++] = (model_packet){ .position = m->end, .size = size };
  m->end += (size + 7u) / 8 * 8;
  if (is_start)
    m->start = seq;
}

static void model_join(ring *r, model *m, model_reader *reader, bool from_next) {
  *reader = (model_reader){ .reader = ring_reader(r, from_next) };
  if (!from_next && m->start && model_has(m, m->start))
    reader->next = m->start;
  else
    reader->after = m->first_seq + m->count - 1;
}

static void model_read(ring *r, model *m, model_reader *reader, size_t capacity) {
  uint64_t head = m->first_seq + m->count - 1, expected_lost = 0;
  enum cf_packet_read expected;
  bool whole_start = m->start && model_has(m, m->start);
  if (!reader->next && whole_start && m->start > reader->after)
    reader->next = m->start;
  if (reader->next && !reader->first) {
    reader->first = reader->next;
    reader->accounted = reader->next - 1;
  }
  if (!reader->next || reader->next > head) {
    expected = CF_PACKET_NONE;
  } else if (!model_has(m, reader->next)) {
    expected = CF_PACKET_OVERRUN;
    uint64_t upto = whole_start && m->start > reader->next ? m->start - 1 : head;
    reader->next = upto == head ? 0 : upto + 1;
    reader->after = upto;
    expected_lost = upto - reader->accounted;
    reader->accounted = upto;
  } else if (m->packets[reader->next - m->first_seq].size > capacity) {
    expected = CF_PACKET_SMALL;
  } else {
    expected = CF_PACKET_OK;
    expected_lost = reader->next - 1 - reader->accounted;
  }

  cf_packet_meta meta = { .seq = 0 };
  uint64_t lost = 99;
  enum cf_packet_read got = cf_packet_read(&reader->reader, r->buffer, capacity, &meta, &lost);
  assert_int_equal(got, expected);
  assert_true(lost == expected_lost);
  reader->lost += lost;
  if (got == CF_PACKET_OK || got == CF_PACKET_SMALL) {
    assert_true(meta.seq == reader->next);
    assert_int_equal(meta.size, m->packets[meta.seq - m->first_seq].size);
  }
  if (got == CF_PACKET_OK) {
    assert_true(packet_whole(&meta, r->buffer));
    reader->accounted = reader->next++;
    reader->delivered++;
    assert_true(reader->delivered + reader->lost == meta.seq - reader->first + 1);
  }
}

static void test_model(void **state) {
  (void)state;
  static model m;
  for (uint64_t seed = 1; seed <= 60; seed++) {
    uint64_t random = seed;
    uint32_t slots = 1u << random_below(&random, 6);
    uint64_t data_bytes = 8 * (1 + random_below(&random, 100));
    uint64_t max_packet = 1 + random_below(&random, data_bytes);
    uint64_t first_seq = random_below(&random, 2) ? 1 : 1 + (random_next(&random) >> 1);
    ring r;
    ring_open(&r, slots, data_bytes, max_packet < 8 ? 8 : max_packet, first_seq);
    m = (model){ .first_seq = first_seq, .slots = slots, .data_bytes = data_bytes };
    model_reader readers[4];
    for (int i = 0; i < 4; i++)
      model_join(&r, &m, &readers[i], i == 3);
    while (m.count < MODEL_MAX) {
      uint64_t what = random_below(&random, 100);
      model_reader *reader = &readers[random_below(&random, 4)];
      if (what < 30) {
        model_write(&r, &m, &random);
      } else if (what < 31) {
        model_join(&r, &m, reader, random_below(&random, 2));
      } else { /* reader i reads up to 4^i packets at a time */
        size_t capacity = random_below(&random, 8) ? r.max_packet : random_below(&random, r.max_packet);
        for (uint64_t n = 1ull << (2 * (reader - readers)); n > 0 && what > 70 + 7 * (uint64_t)(reader - readers); n--)
          model_read(&r, &m, reader, capacity);
      }
    }
    ring_close(&r);
  }
}

/* One writer and three readers at full speed on real threads. */
enum { STRESS_SLOTS = 16, STRESS_DATA = 1 << 14, STRESS_MAX = 3000, STRESS_READERS = 3, STRESS_GOP = 5 };
#define STRESS_NS 2000000000ll

typedef struct stress {
  ring r;
  atomic_bool stop;
  struct stress_reader {
    struct stress *all;
    int number;
    _Atomic uint64_t delivered, overruns;
    uint64_t torn, wrong; /* read after the join */
    pthread_t thread;
  } readers[STRESS_READERS];
} stress;

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static uint32_t stress_size(uint64_t seq) {
  return 1 + (uint32_t)((seq * 0x9E3779B97F4A7C15ull >> 40) % STRESS_MAX);
}

static bool stress_is_start(uint64_t seq) {
  return seq % STRESS_GOP == 1;
}

static void *stress_read(void *argument) {
  struct stress_reader *self = argument;
  ring *r = &self->all->r;
  uint8_t *buffer = malloc(STRESS_MAX);
  cf_packet_reader reader;
  if (!buffer || !cf_packet_reader_init(&reader, r->memory, r->bytes, self->number == 1))
    abort();
  uint64_t last = 0, lost_sum = 0;
  while (!atomic_load(&self->all->stop)) {
    cf_packet_meta meta;
    uint64_t lost;
    /* who sees a head knows every start packet up to it */
    uint64_t head = atomic_load_explicit(&reader.region->head, memory_order_acquire);
    uint64_t key = atomic_load_explicit(&reader.region->keyframe, memory_order_relaxed);
    self->wrong += head > 0 && key < head - (head - 1) % STRESS_GOP;
    enum cf_packet_read got = cf_packet_read(&reader, buffer, STRESS_MAX, &meta, &lost);
    lost_sum += lost;
    if (got == CF_PACKET_OVERRUN) {
      atomic_fetch_add(&self->overruns, 1);
      self->wrong += lost == 0;
    } else if (got == CF_PACKET_OK) {
      atomic_fetch_add(&self->delivered, 1);
      self->torn += meta.size != stress_size(meta.seq) || !packet_whole(&meta, buffer);
      /* in order, every gap announced, and after a gap it starts where one may start */
      self->wrong += last && meta.seq != last + 1 + lost_sum;
      self->wrong += (!last || lost_sum) && !stress_is_start(meta.seq);
      last = meta.seq;
      lost_sum = 0;
      if (self->number == 2 && meta.seq % 64 == 0) { /* comes late again and again */
        self->wrong += !cf_packet_reader_init(&reader, r->memory, r->bytes, meta.seq % 128 == 0);
        last = 0;
      }
    } else {
      self->wrong += got != CF_PACKET_NONE;
    }
  }
  free(buffer);
  return NULL;
}

static void test_stress(void **state) {
  (void)state;
  static stress s;
  ring_open(&s.r, STRESS_SLOTS, STRESS_DATA, STRESS_MAX, 1);
  for (int i = 0; i < STRESS_READERS; i++) {
    s.readers[i].all = &s;
    s.readers[i].number = i;
    assert_int_equal(pthread_create(&s.readers[i].thread, NULL, stress_read, &s.readers[i]), 0);
  }
  int64_t start = now_ns(), elapsed = 0;
  bool enough = false;
  while ((elapsed < STRESS_NS || !enough) && elapsed < patience()) {
    for (int i = 0; i < 256; i++)
      ring_write(&s.r, stress_size(s.r.writer.head + 1), stress_is_start(s.r.writer.head + 1));
    elapsed = now_ns() - start;
    enough = true;
    for (int i = 0; i < STRESS_READERS; i++)
      enough = enough && atomic_load(&s.readers[i].delivered) > 1000 && atomic_load(&s.readers[i].overruns) > 2;
  }
  atomic_store(&s.stop, true);
  for (int i = 0; i < STRESS_READERS; i++)
    assert_int_equal(pthread_join(s.readers[i].thread, NULL), 0);
  for (int i = 0; i < STRESS_READERS; i++) {
    print_message("           reader %d: delivered %llu of %llu, overruns %llu, torn %llu\n", i,
                  (unsigned long long)s.readers[i].delivered, (unsigned long long)s.r.writer.head,
                  (unsigned long long)s.readers[i].overruns, (unsigned long long)s.readers[i].torn);
    assert_true(s.readers[i].torn == 0);
    assert_true(s.readers[i].wrong == 0);
  }
  assert_true(enough);
  ring_close(&s.r);
}

/* A value that hurts: small, near a number in use, near an edge, or anything. */
static uint64_t nasty(uint64_t *random, uint64_t near) {
  switch (random_below(random, 6)) {
    case 0: return random_below(random, 64);
    case 1: return near + random_below(random, 9) - 4;
    case 2: return UINT64_MAX - random_below(random, 9);
    case 3: return (1ull << random_below(random, 64)) + random_below(random, 3) - 1;
    case 4: return near;
    default: return random_next(random);
  }
}

/* Random memory, header numbers more or less sound, and a writer that scribbles between the reads: no answer is
 * wrong but one that steps outside (a sanitizer sees it) or reports more than it may. */
static void test_hostile(void **state) {
  (void)state;
  uint64_t random = 2024, initialised = 0, seen[CF_PACKET_BROKEN + 1] = { 0 };
  for (int round = 0; round < 20000; round++) {
    uint32_t slots = 1u << random_below(&random, 4);
    uint64_t data_bytes = 8 * (1 + random_below(&random, 32));
    uint64_t max_packet = 1 + random_below(&random, data_bytes);
    ring r;
    ring_open(&r, slots, data_bytes, max_packet, 1 + nasty(&random, 1) / 2);
    for (uint64_t n = random_below(&random, 20); n > 0; n--)
      ring_write(&r, (uint32_t)(1 + random_below(&random, max_packet)), random_below(&random, 3) == 0);
    uint8_t *bytes = r.memory;
    for (uint64_t at = random_below(&random, 2) * sizeof(cf_packet_region); at < r.bytes; at++)
      if (round % 3 == 0)
        bytes[at] = (uint8_t)random_next(&random);
    if (random_below(&random, 8) == 0)
      ((uint64_t *)r.memory)[random_below(&random, 5)] = nasty(&random, r.bytes);
    cf_packet_reader reader;
    bool good = cf_packet_reader_init(&reader, r.memory, r.bytes, random_below(&random, 2));
    initialised += good;
    for (int n = 0; good && n < 30; n++) {
      cf_packet_meta meta = { .size = 0 };
      uint64_t lost;
      size_t capacity = random_below(&random, 4) ? max_packet : random_below(&random, max_packet);
      enum cf_packet_read got = cf_packet_read(&reader, r.buffer, capacity, &meta, &lost);
      seen[got]++;
      if (got == CF_PACKET_OK || got == CF_PACKET_SMALL)
        assert_true(meta.size > 0 && meta.size <= reader.max_packet && meta.track < CUFRAMES_TRACKS_MAX &&
                    (meta.size <= capacity) == (got == CF_PACKET_OK));
      _Atomic uint64_t *words = r.memory; /* head, tail, keyframe and anything behind */
      uint64_t index = 8 + random_below(&random, random_below(&random, 2) ? 3 : r.bytes / 8 - 8);
      words[index] = nasty(&random, reader.next);
      if (random_below(&random, 2)) { /* now and then something readable */
        cf_packet_record *record = &r.writer.records[reader.next % slots];
        record->seq = reader.next;
        record->position &= ~7ull;
        record->size = (uint32_t)nasty(&random, max_packet);
        record->track = (uint32_t)random_below(&random, CUFRAMES_TRACKS_MAX + 1);
        r.writer.region->head = reader.next + random_below(&random, 3);
        r.writer.region->tail = reader.next - random_below(&random, 3);
      }
    }
    ring_close(&r);
  }
  assert_true(initialised > 10000);
  for (int i = CF_PACKET_NONE; i <= CF_PACKET_BROKEN; i++)
    assert_true(seen[i] > 1000);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_model),
    cmocka_unit_test(test_stress),
    cmocka_unit_test(test_hostile),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
