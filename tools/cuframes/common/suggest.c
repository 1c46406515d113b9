/* suggest.c - see suggest.h. */
#include "suggest.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define LONGEST 64 /* words beyond it are no misspelt option, command or stream */
#define FAR (LONGEST + 1)

static size_t least(size_t a, size_t b) {
  return a < b ? a : b;
}

/* How many letters to insert, leave out, replace or swap with their neighbour; capitals count as small letters. */
static size_t edit_distance(const char *a, const char *b) {
  const size_t rows = strlen(a), columns = strlen(b);
  size_t row[3][LONGEST + 1]; /* this row of the table and the two before it */
  if (rows > LONGEST || columns > LONGEST)
    return FAR;
  for (size_t k = 0; k <= columns; k++)
    row[0][k] = k;
  for (size_t i = 1; i <= rows; i++) {
    size_t *now = row[i % 3];
    const size_t *before = row[(i + 2) % 3], *earlier = row[(i + 1) % 3];
    now[0] = i;
    for (size_t k = 1; k <= columns; k++) {
      const int x = tolower((unsigned char)a[i - 1]), y = tolower((unsigned char)b[k - 1]);
      now[k] = least(least(before[k], now[k - 1]) + 1, before[k - 1] + (x != y));
      if (i > 1 && k > 1 && x == tolower((unsigned char)b[k - 2]) && y == tolower((unsigned char)a[i - 2]))
        now[k] = least(now[k], earlier[k - 2] + 1);
    }
  }
  return row[rows % 3][columns];
}

/* A third of the letters may be wrong, one of a short word; the beginning of a word stands for it. */
void suggest_offer(suggestion *guess, const char *word) {
  const size_t typed = strlen(guess->typed), length = strlen(word);
  size_t distance = edit_distance(guess->typed, word);
  const size_t allowed = typed < 6 ? 1 : typed / 3;
  if (typed >= 2 && typed < length && !strncasecmp(guess->typed, word, typed))
    distance = 1;
  if (distance > allowed || distance >= typed || distance >= length)
    return;
  if (!guess->best || distance < guess->distance) {
    guess->best = word;
    guess->distance = distance;
  }
}

const char *suggest_from(const char *typed, const char *const *words) {
  suggestion guess = { .typed = typed };
  for (; words && *words; words++)
    suggest_offer(&guess, *words);
  return guess.best;
}

suggestion_words suggest_text(const char *prefix, const char *best) {
  suggestion_words hint = { "" };
  if (best)
    snprintf(hint.text, sizeof hint.text, "; did you mean %s%s?", prefix, best);
  return hint;
}
