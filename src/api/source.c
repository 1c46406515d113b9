/* api/source.c - states of a source by their names. */
#include <cuframes/source.h>

const char *cuframes_source_state_name(uint32_t state) {
  static const char *const names[] = { "unknown", "live", "stalled", "reconnecting", "ended", "connecting", "refused" };
  return state < sizeof names / sizeof names[0] ? names[state] : NULL;
}
