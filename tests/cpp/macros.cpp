/* macros.cpp - the C++ header after others have made macros of ordinary words: Qt, curses, X11, and those who think of
 * Windows. What the standard library has inside is not theirs to break, so that comes before. It never runs. */
#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>
#if __cplusplus >= 202002L
#include <ranges>
#include <span>
#endif

#define min(a, b) broken
#define max(a, b) broken
#define slots
#define signals public
#define emit
#define foreach(a, b) broken
#define forever broken
#define timeout(delay) broken
#define None 0L
#define Bool int
#define Status int
#define Success 0
#define Always 2
#define True 1
#define near
#define far
#define small char
#define interface struct
#define IN
#define OUT
#define ERROR 0
#define DELETE 1

#include <cuframes/cuframes.hpp>

/* They are their owners' again. */
#if !defined(min) || !defined(max) || !defined(slots) || !defined(timeout)
#error "a macro is gone"
#endif
static_assert(cuframes::timeout::forever().count() == -1);
