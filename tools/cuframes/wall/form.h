/* form.h - a track's packets in the form that browsers take: pictures behind their lengths, with the parameter sets
 * apart (avcC, hvcC), sound without ADTS headers, and the name that browsers have for such a codec. */
#ifndef CUFRAMES_WALL_FORM_H
#define CUFRAMES_WALL_FORM_H

#include "sample.h"

typedef struct form form;

/* For packets as a publisher says. The extradata is copied. NULL: out of memory. */
form *form_create(const cuframes_codec_params *params, const void *extradata, size_t size);
void form_free(form *f);
/* Whether it was made for just that. */
bool form_is_for(const form *f, const cuframes_codec_params *params, const void *extradata, size_t size);

enum form_result {
  FORM_SAME, /* the sample goes with the description before it */
  FORM_NEW,  /* form_config() is another from this sample on */
  FORM_NONE, /* it cannot be played: nothing describes it yet, or no browser has such a codec */
  FORM_NO_MEMORY
};
/* Brings the sample's bytes into form. */
enum form_result form_take(form *f, sample *s);

/* What describes its samples now, but for the numbers, which the caller gives. NULL: out of memory. */
track_config *form_config(const form *f, uint32_t track);
/* As browsers name the codec; empty: none plays it, or it is not known yet. */
const char *form_codec(const form *f);
const cuframes_codec_params *form_params(const form *f);
/* Of a codec that is known by name alone, for what is likely. NULL: no browser plays it. */
const char *form_codec_likely(const char *name);
bool form_is_jpeg(const char *name);

#endif
