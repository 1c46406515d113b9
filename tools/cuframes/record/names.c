/* names.c - file names from times and back, and the times at which files change. */
#include "names.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MINUTE INT64_C(60)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define NS INT64_C(1000000000)

/* What a conversion says; one that says several things says them all. */
enum said { YEAR = 1, MONTH = 2, MONTH_DAY = 4, HOURS = 8, MINUTES = 16, SECONDS = 32, ZONE = 64 };
#define DATE (YEAR | MONTH | MONTH_DAY)
/* As text of a format. */
#define CONVERSIONS                                                                                                    \
  "%%Y %%m %%d %%H %%M %%S, %%y, %%j (day of the year), %%F (date), %%T (time), %%s (seconds since 1970), %%z "        \
  "(zone), %%%%"

static int says(char conversion) {
  switch (conversion) {
    case 'Y':
    case 'y': return YEAR;
    case 'm': return MONTH;
    case 'd': return MONTH_DAY;
    case 'j': return MONTH | MONTH_DAY;
    case 'F': return DATE;
    case 'H': return HOURS;
    case 'M': return MINUTES;
    case 'S': return SECONDS;
    case 'T': return HOURS | MINUTES | SECONDS;
    case 's': return DATE | HOURS | MINUTES | SECONDS;
    case 'z': return ZONE;
    default: return 0;
  }
}

static bool refuse(names *n, const char *format, const char *what) {
  snprintf(n->problem, sizeof(n->problem), format, what);
  return false;
}

/* All conversions are known: what they say together. -1: not so. */
static int understand(names *n, const char *pattern) {
  int said = 0;
  for (const char *at = pattern; (at = strchr(at, '%')) != NULL; at += 2) {
    char text[3] = { '%', at[1], '\0' };
    if (!at[1])
      return refuse(n, "FILE ends with '%s': a plain %% is %%%% where files are named by time", text) - 1;
    if (at[1] != '%' && !says(at[1]))
      return refuse(n, "FILE has %s, which is none of these: " CONVERSIONS, text) - 1;
    said |= says(at[1]);
  }
  return said;
}

/* Two files that follow each other, and those of another day, differ in what their names say. */
static bool tells_apart(names *n, int said, int64_t segment_ns) {
  const int64_t segment = segment_ns / NS;
  if ((said & DATE) != DATE)
    return refuse(n, "FILE must say the whole date (%s), or names would come again", "%Y%m%d or %F");
  if (!(said & HOURS) && (!segment || segment % DAY))
    return refuse(n, "FILE must say the hour, too (%s): several files of a day would have the same name", "%H");
  if (!(said & MINUTES) && (!segment || segment % HOUR))
    return refuse(n, "FILE must say the minute, too (%s): several files of an hour would have the same name", "%M");
  if (!(said & SECONDS) && (!segment || segment % MINUTE))
    return refuse(n, "FILE must say the second, too (%s): several files of a minute would have the same name", "%S");
  return true;
}

/* Cuts the pattern below the root into levels. */
static bool cut(names *n, const char *below) {
  n->memory = strdup(below);
  if (!n->memory)
    return refuse(n, "%s", "out of memory");
  char *rest = n->memory;
  for (char *level; (level = strsep(&rest, "/")) != NULL;) {
    if (!*level)
      continue; /* "a//b" */
    if (!strcmp(level, ".") || !strcmp(level, ".."))
      return refuse(n, "FILE has '%s' behind a conversion", level);
    if (n->levels == NAMES_LEVELS)
      return refuse(n, "FILE has too many directories behind its first conversion%s", "");
    n->level[n->levels++] = level;
  }
  if (!n->levels || below[strlen(below) - 1] == '/')
    return refuse(n, "FILE names a directory%s", "");
  return true;
}

bool names_init(names *n, const char *pattern, int64_t segment_ns, bool utc) {
  *n = (names){ .utc = utc };
  const int said = understand(n, pattern);
  if (said < 0 || !tells_apart(n, said, segment_ns))
    return false;
  const char *below = strchr(pattern, '%');
  while (below > pattern && below[-1] != '/')
    below--;
  n->root = below == pattern ? strdup(".") : strndup(pattern, (size_t)(below - pattern));
  if (!n->root)
    return refuse(n, "%s", "out of memory");
  char path[NAMES_PATH_MAX];
  return cut(n, below) && (names_path(n, 0, 1, path) || refuse(n, "FILE is too long%s", ""));
}

void names_free(names *n) {
  free(n->root);
  free(n->memory);
  n->root = n->memory = NULL;
}

/* ---- from a time to a name ---- */

static void broken_down(int64_t seconds, bool utc, struct tm *tm) {
  const time_t time = (time_t)seconds;
  *tm = (struct tm){ .tm_mday = 1 };
  (void)(utc ? gmtime_r(&time, tm) : localtime_r(&time, tm)); /* fails for years beyond an int only */
}

static int convert(char conversion, int64_t seconds, const struct tm *tm, char *out, size_t size) {
  const long zone = tm->tm_gmtoff, zone_size = zone < 0 ? -zone : zone;
  switch (conversion) {
    case 'Y': return snprintf(out, size, "%04d", tm->tm_year + 1900);
    case 'y': return snprintf(out, size, "%02d", tm->tm_year % 100);
    case 'm': return snprintf(out, size, "%02d", tm->tm_mon + 1);
    case 'd': return snprintf(out, size, "%02d", tm->tm_mday);
    case 'j': return snprintf(out, size, "%03d", tm->tm_yday + 1);
    case 'F': return snprintf(out, size, "%04d-%02d-%02d", tm->tm_year + 1900, tm->tm_mon + 1, tm->tm_mday);
    case 'H': return snprintf(out, size, "%02d", tm->tm_hour);
    case 'M': return snprintf(out, size, "%02d", tm->tm_min);
    case 'S': return snprintf(out, size, "%02d", tm->tm_sec);
    case 'T': return snprintf(out, size, "%02d:%02d:%02d", tm->tm_hour, tm->tm_min, tm->tm_sec);
    case 's': return snprintf(out, size, "%lld", (long long)seconds);
    case 'z':
      return snprintf(out, size, "%c%02ld%02ld", zone < 0 ? '-' : '+', zone_size / HOUR, zone_size / MINUTE % 60);
    default: return snprintf(out, size, "%%");
  }
}

/* Where the extension of the file's pattern begins: the number goes before it. */
static const char *extension_of(const char *pattern) {
  const char *dot = strrchr(pattern, '.');
  return dot && dot > pattern && !strchr(dot, '%') ? dot : pattern + strlen(pattern);
}

bool names_path(const names *n, int64_t seconds, unsigned number, char path[NAMES_PATH_MAX]) {
  struct tm tm;
  size_t used = 0, level_begin = 0;
  broken_down(seconds, n->utc, &tm);
  for (int i = 0; i < n->levels; i++, level_begin = used) {
    const char *extension = i + 1 == n->levels ? extension_of(n->level[i]) : NULL;
    for (const char *at = n->level[i]; at; at++) { /* left at its end */
      if (at == extension && number > 1)
        used += (size_t)snprintf(path + used, NAMES_PATH_MAX - used, "-%u", number);
      if (!*at || used + 32 > NAMES_PATH_MAX)
        break;
      if (*at == '%')
        used += (size_t)convert(*++at, seconds, &tm, path + used, NAMES_PATH_MAX - used);
      else
        path[used++] = *at;
    }
    if (used + 32 > NAMES_PATH_MAX || used - level_begin > 255 - sizeof(NAMES_PART) - sizeof("-9999"))
      return false;
    path[used++] = '/';
  }
  path[used - 1] = '\0';
  return true;
}

/* ---- from a name to a time ---- */

void names_no_fields(names_fields *fields) {
  *fields = (names_fields){ .year = -1,
                            .month = -1,
                            .day = -1,
                            .yday = -1,
                            .hour = -1,
                            .minute = -1,
                            .second = -1,
                            .epoch = INT64_MIN,
                            .zone = INT32_MAX,
                            .number = 1 };
}

/* Takes so many digits, no more and no fewer, of a number from min to max. */
static bool take_digits(const char **text, int digits, int min, int max, int *value) {
  int number = 0;
  for (int i = 0; i < digits; i++, (*text)++) {
    if (!isdigit((unsigned char)**text))
      return false;
    number = number * 10 + **text - '0';
  }
  *value = number;
  return number >= min && number <= max;
}

static bool take_epoch(const char **text, int64_t *epoch) {
  const bool negative = **text == '-';
  int64_t number = 0;
  int digits = 0;
  for (*text += negative; isdigit((unsigned char)**text) && digits < 15; (*text)++, digits++)
    number = number * 10 + **text - '0';
  *epoch = negative ? -number : number;
  return digits > 0;
}

static bool take_zone(const char **text, int *zone) {
  const char sign = **text;
  int hours, minutes;
  if (sign != '+' && sign != '-')
    return false;
  (*text)++;
  if (!take_digits(text, 2, 0, 23, &hours) || !take_digits(text, 2, 0, 59, &minutes))
    return false;
  *zone = (int)(hours * HOUR + minutes * MINUTE) * (sign == '-' ? -1 : 1);
  return true;
}

static bool take_literal(const char **text, char wanted) {
  if (**text != wanted)
    return false;
  (*text)++;
  return true;
}

static bool take(const char **text, char conversion, names_fields *f) {
  switch (conversion) {
    case 'Y': return take_digits(text, 4, 0, 9999, &f->year);
    case 'y':
      if (!take_digits(text, 2, 0, 99, &f->year))
        return false;
      f->year += f->year < 70 ? 2000 : 1900;
      return true;
    case 'm': return take_digits(text, 2, 1, 12, &f->month);
    case 'd': return take_digits(text, 2, 1, 31, &f->day);
    case 'j': return take_digits(text, 3, 1, 366, &f->yday);
    case 'F':
      return take_digits(text, 4, 0, 9999, &f->year) && take_literal(text, '-') &&
             take_digits(text, 2, 1, 12, &f->month) && take_literal(text, '-') && take_digits(text, 2, 1, 31, &f->day);
    case 'H': return take_digits(text, 2, 0, 23, &f->hour);
    case 'M': return take_digits(text, 2, 0, 59, &f->minute);
    case 'S': return take_digits(text, 2, 0, 60, &f->second);
    case 'T':
      return take_digits(text, 2, 0, 23, &f->hour) && take_literal(text, ':') &&
             take_digits(text, 2, 0, 59, &f->minute) && take_literal(text, ':') &&
             take_digits(text, 2, 0, 60, &f->second);
    case 's': return take_epoch(text, &f->epoch);
    case 'z': return take_zone(text, &f->zone);
    default: return take_literal(text, '%');
  }
}

/* "-2" and so on, if it is there. */
static bool take_number(const char **text, unsigned *number) {
  unsigned value = 0;
  if (**text != '-' || !isdigit((unsigned char)(*text)[1]))
    return true;
  for ((*text)++; isdigit((unsigned char)**text) && value <= NAMES_NUMBER_MAX; (*text)++)
    value = value * 10 + (unsigned)(**text - '0');
  *number = value;
  return value >= 2 && value <= NAMES_NUMBER_MAX;
}

bool names_match(const names *n, int level, const char *name, names_fields *fields) {
  const bool file = level + 1 == n->levels;
  const char *extension = file ? extension_of(n->level[level]) : NULL;
  for (const char *at = n->level[level]; at; at++) { /* left at its end */
    if (at == extension && !take_number(&name, &fields->number))
      return false;
    if (!*at)
      break;
    if (*at == '%' ? !take(&name, *++at, fields) : !take_literal(&name, *at))
      return false;
  }
  fields->part = file && !strcmp(name, NAMES_PART);
  return fields->part || !*name;
}

int64_t names_time(const names *n, const names_fields *fields) {
  if (fields->epoch != INT64_MIN)
    return fields->epoch;
  struct tm tm = { .tm_year = fields->year - 1900,
                   .tm_mon = fields->month > 0 ? fields->month - 1 : 0,
                   .tm_mday = fields->day > 0    ? fields->day
                              : fields->yday > 0 ? fields->yday
                                                 : 1,
                   .tm_hour = fields->hour > 0 ? fields->hour : 0,
                   .tm_min = fields->minute > 0 ? fields->minute : 0,
                   .tm_sec = fields->second > 0 ? fields->second : 0,
                   .tm_isdst = -1 };
  if (fields->zone != INT32_MAX)
    return (int64_t)timegm(&tm) - fields->zone;
  return (int64_t)(n->utc ? timegm(&tm) : mktime(&tm));
}

/* ---- when files change ---- */

static int64_t zone_at(int64_t seconds, bool utc) {
  struct tm tm;
  broken_down(seconds, utc, &tm);
  return tm.tm_gmtoff;
}

static int64_t round_up(int64_t seconds, int64_t segment) {
  const int64_t over = ((seconds % segment) + segment) % segment;
  return seconds - over + segment;
}

int64_t names_boundary(int64_t seconds, int64_t segment, bool utc) {
  const int64_t zone = zone_at(seconds, utc);
  const int64_t wanted = round_up(seconds + zone, segment); /* what the clock will show */
  const int64_t plain = wanted - zone, zone_then = zone_at(plain, utc);
  /* The clock is set forward or back on the way. Where that leaves it on a multiple (an hour that comes twice, files
   * of ten minutes) the files go on; else the time that the clock shows counts, as midnight does. */
  if (zone_then == zone || (plain + zone_then) % segment == 0)
    return plain;
  return wanted - zone_then > seconds ? wanted - zone_then : plain;
}
