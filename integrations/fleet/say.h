/* say.h - lines for people, on stderr, and what they must not contain. */
#ifndef FLEET_SAY_H
#define FLEET_SAY_H

/* One line; what others wrote into it tells the terminal nothing. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
