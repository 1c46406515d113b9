/* suggest.h - which of some words a misspelt one was probably meant to be. */
#ifndef CUFRAMES_SUGGEST_H
#define CUFRAMES_SUGGEST_H

#include <stddef.h>

/* Start with the word that was typed, offer every word that can be: `best` is then the closest one, or NULL if none is
 * close enough to be worth a guess. The words are the caller's. */
typedef struct suggestion {
  const char *typed;
  const char *best;
  size_t distance; /* of best */
} suggestion;

void suggest_offer(suggestion *guess, const char *word);

/* The same for a list of words that ends with NULL. */
const char *suggest_from(const char *typed, const char *const *words);

/* "; did you mean PREFIXbest?", to follow a message; empty without a guess. */
typedef struct suggestion_words {
  char text[128];
} suggestion_words;
suggestion_words suggest_text(const char *prefix, const char *best);

#endif
