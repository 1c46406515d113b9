/* grid_events.c - see grid_events.h. */
#include "grid_events.h"

#include "common/cli.h"
#include "common/json.h"
#include "common/stream_state.h"

void grid_event(const grid_options *options, json_t *event) {
  if (options->json)
    cli_json_event(event);
  else
    json_decref(event);
}

void grid_say_tile(const grid_options *options, const char *what, const char *stream) {
  if (!options->quiet)
    cli_note("%s: %s", stream, what);
  grid_event(options, json_pack("{s:s,s:s}", "event", what, "stream", stream));
}

void grid_say_live(const grid_options *options, const char *stream, int64_t after_ns) {
  char span[SPAN_TEXT];
  span_text(span, sizeof span, after_ns);
  if (!options->quiet && after_ns != 0)
    cli_note("%s: live, after %s", stream, span);
  else if (!options->quiet)
    cli_note("%s: live", stream);
  json_t *seconds = after_ns ? cli_json_rounded((double)after_ns / 1e9, 3) : json_null();
  grid_event(options, json_pack("{s:s,s:s,s:o}", "event", "live", "stream", stream, "seconds", seconds));
}

void grid_say_lost(const grid_options *options, const char *stream, const grid_state *state) {
  if (!options->quiet)
    cli_note("%s: no signal: %s", stream, state->cause);
  grid_event(options,
             json_pack("{s:s,s:s,s:o,s:o}", "event", "no_signal", "stream", stream, "reason",
                       cli_json_text(state->cause), "since", cli_json_rounded(moment_seconds(state->since), 3)));
}
