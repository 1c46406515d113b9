/* exposition.c - see exposition.h. */
#include "exposition.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_SECOND UINT64_C(1000000000)

void exposition_free(exposition *out) {
  free(out->text);
  *out = (exposition){ 0 };
}

static void put(exposition *out, const char *text, size_t length) {
  if (out->failed)
    return;
  if (out->room - out->length <= length) {
    const size_t room = (out->length + length + 1) * 2;
    char *more = realloc(out->text, room);
    if (!more) {
      out->failed = true;
      return;
    }
    out->text = more;
    out->room = room;
  }
  memcpy(out->text + out->length, text, length);
  out->length += length;
  out->text[out->length] = '\0';
}

static void put_text(exposition *out, const char *text) {
  put(out, text, strlen(text));
}

/* Line breaks and backslashes would end or change a line; in a label's value, quotes too. */
static void put_escaped(exposition *out, const char *text, bool in_label) {
  const char *special = in_label ? "\\\n\"" : "\\\n";
  while (*text) {
    const size_t plain = strcspn(text, special);
    put(out, text, plain);
    text += plain;
    if (*text) {
      put_text(out, *text == '\n' ? "\\n" : *text == '"' ? "\\\"" : "\\\\");
      text++;
    }
  }
}

void exposition_family(exposition *out, const char *name, const char *type, const char *help) {
  put_text(out, "# HELP ");
  put_text(out, name);
  put_text(out, " ");
  put_escaped(out, help, false);
  put_text(out, "\n# TYPE ");
  put_text(out, name);
  put_text(out, " ");
  put_text(out, type);
  put_text(out, "\n");
}

static void put_sample(exposition *out, const char *name, const char *suffix, const exposition_label *labels,
                       size_t label_count, const char *value) {
  put_text(out, name);
  put_text(out, suffix);
  for (size_t i = 0; i < label_count; i++) {
    put_text(out, i ? "," : "{");
    put_text(out, labels[i].name);
    put_text(out, "=\"");
    put_escaped(out, labels[i].value, true);
    put_text(out, "\"");
  }
  put_text(out, label_count ? "} " : " ");
  put_text(out, value);
  put_text(out, "\n");
}

void exposition_count(exposition *out, const char *name, const char *suffix, const exposition_label *labels,
                      size_t label_count, uint64_t value) {
  char text[24];
  snprintf(text, sizeof text, "%" PRIu64, value);
  put_sample(out, name, suffix, labels, label_count, text);
}

void exposition_number(exposition *out, const char *name, const char *suffix, const exposition_label *labels,
                       size_t label_count, double value) {
  char text[40];
  if (isnan(value))
    snprintf(text, sizeof text, "NaN");
  else if (isinf(value))
    snprintf(text, sizeof text, value > 0 ? "+Inf" : "-Inf");
  else
    snprintf(text, sizeof text, "%.15g", value);
  put_sample(out, name, suffix, labels, label_count, text);
}

void exposition_seconds(char *text, size_t size, uint64_t ns) {
  int length = snprintf(text, size, "%" PRIu64 ".%09" PRIu64, ns / NS_PER_SECOND, ns % NS_PER_SECOND);
  while (length > 0 && text[length - 1] == '0')
    text[--length] = '\0';
  if (length > 0 && text[length - 1] == '.')
    text[--length] = '\0';
}
