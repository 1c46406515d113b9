/* entry.c - what every call to the stand-in does first: whether it may be made, and whether it was asked to fail. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

#define RULES 64
#define ANY SI_FUNCTIONS

typedef struct rule {
  int function; /* or ANY */
  unsigned long at;
  cu_result error;
} rule;

static const struct {
  const char *name, *symbol;
  int version;
  void *function;
} functions[] = {
#define F(need, name, symbol, version, parameters) { #name, #symbol, version, (void *)symbol },
  CF_CUDA_FUNCTIONS(F)
#undef F
};

static const struct {
  cu_result result;
  const char *name;
} results[] = {
#define F(name, value) { value, #name },
  CF_CUDA_RESULTS(F)
#undef F
};

pthread_mutex_t si_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool initialised; /* locked */
static bool forked;      /* set where there is one thread only */
static unsigned long calls[SI_FUNCTIONS + 1];
static rule rules[RULES];
static unsigned rule_count, failed;
static unsigned long lost_at; /* of all calls; 0: never */
static cu_result lost_error;
static const char *last_failed = "";
static _Thread_local bool in_callback;

static void after_fork(void) {
  forked = true;
}

bool si_forked(void) {
  return forked;
}

static int function_of(const char *name) {
  if (strcmp(name, "*") == 0)
    return ANY;
  for (int i = 0; i < SI_FUNCTIONS; i++)
    if (strcmp(functions[i].name, name) == 0 || strcmp(functions[i].symbol, name) == 0)
      return i;
  return -1;
}

static void start(void) {
  pthread_atfork(NULL, NULL, after_fork);
  char wanted[sizeof((si_config *)0)->fail], *rest = NULL;
  snprintf(wanted, sizeof wanted, "%s", si_configuration()->fail);
  for (char *entry = strtok_r(wanted, ",", &rest); entry; entry = strtok_r(NULL, ",", &rest)) {
    char name[64];
    unsigned nth;
    int error;
    if (sscanf(entry, "%63[^:]:%u:%d", name, &nth, &error) != 3 || standin_fail(name, nth, error) != 0)
      fprintf(stderr, "standin: CUDA_STANDIN_FAIL: \"%s\" is not name:nth:error\n", entry);
  }
}

int standin_fail(const char *name, unsigned nth, int error) {
  int function = name ? function_of(name) : 0;
  if (function < 0)
    return -1;
  pthread_mutex_lock(&si_lock);
  int result = 0;
  if (!name)
    rule_count = 0;
  else if (rule_count < RULES)
    rules[rule_count++] = (rule){ .function = function, .at = calls[function] + nth, .error = error };
  else
    result = -1;
  pthread_mutex_unlock(&si_lock);
  return result;
}

void standin_lose(unsigned nth, int error) {
  pthread_mutex_lock(&si_lock);
  lost_at = calls[ANY] + nth;
  lost_error = error;
  pthread_mutex_unlock(&si_lock);
}

unsigned standin_failed(const char **name) {
  pthread_mutex_lock(&si_lock);
  unsigned count = failed;
  if (name)
    *name = last_failed;
  pthread_mutex_unlock(&si_lock);
  return count;
}

unsigned long standin_calls(const char *name) {
  int function = function_of(name);
  if (function < 0)
    return 0;
  pthread_mutex_lock(&si_lock);
  unsigned long count = calls[function];
  pthread_mutex_unlock(&si_lock);
  return count;
}

/* Locked. */
static cu_result injected(enum si_function function) {
  bool any = function != SI_cuGetProcAddress && function != SI_cuGetErrorName && function != SI_cuGetErrorString;
  calls[function]++;
  calls[ANY] += any;
  if (any && lost_at > 0 && calls[ANY] >= lost_at) {
    failed++;
    last_failed = functions[function].symbol;
    return lost_error;
  }
  for (unsigned i = 0; i < rule_count; i++) {
    bool meant = rules[i].function == ANY ? any : rules[i].function == (int)function;
    if (meant && rules[i].at == calls[rules[i].function]) {
      failed++;
      last_failed = functions[function].symbol;
      return rules[i].error;
    }
  }
  return CUDA_SUCCESS;
}

/* After which nothing in the context works any more. Not the library's list, so that a test can compare. */
static bool is_sticky(cu_result result) {
  return result == CUDA_ERROR_ECC_UNCORRECTABLE || result == CUDA_ERROR_NVLINK_UNCORRECTABLE ||
         result == CUDA_ERROR_ILLEGAL_ADDRESS || result == CUDA_ERROR_LAUNCH_TIMEOUT ||
         (result >= CUDA_ERROR_HARDWARE_STACK_ERROR && result <= CUDA_ERROR_LAUNCH_FAILED) ||
         result == CUDA_ERROR_ASSERT;
}

/* Locked, comes back with it unlocked for moments. */
static cu_result may(enum si_needs needs, const si_context *context) {
  if (in_callback && needs != SI_NOTHING)
    return CUDA_ERROR_NOT_PERMITTED;
  if (!initialised && needs != SI_NOTHING)
    return CUDA_ERROR_NOT_INITIALIZED;
  if (needs != SI_CONTEXT)
    return CUDA_SUCCESS;
  if (!context)
    return CUDA_ERROR_INVALID_CONTEXT;
  if (!context->alive)
    return CUDA_ERROR_CONTEXT_IS_DESTROYED;
  return si_sickness(context);
}

/* A broken card, or a broken driver: without any lock held, as nobody comes back from it. */
static void break_down(enum si_function function) {
  const si_config *config = si_configuration();
  if (config->crash[0] && strcmp(config->crash, functions[function].name) == 0)
    (void)raise(SIGSEGV); /* cannot fail for a signal that there is */
  if (config->end[0] && strcmp(config->end, functions[function].name) == 0)
    _exit(3);
  while (config->hang[0] && strcmp(config->hang, functions[function].name) == 0)
    (void)pause();
}

cu_result si_enter_release(enum si_function function, enum si_needs needs, si_context **context, cu_result *say) {
  *context = NULL;
  *say = CUDA_SUCCESS;
  pthread_once(&once, start);
  break_down(function);
  if (forked)
    return needs == SI_NOTHING && function != SI_cuInit ? CUDA_SUCCESS : CUDA_ERROR_NOT_INITIALIZED;
  pthread_mutex_lock(&si_lock);
  *context = si_current();
  cu_result wanted = injected(function);
  cu_result result = may(needs, *context);
  if (result == CUDA_SUCCESS) {
    *say = wanted;
    bool lost = lost_at > 0 && calls[ANY] >= lost_at;
    if ((is_sticky(wanted) || lost) && *context && wanted != CUDA_SUCCESS)
      si_sicken(*context, wanted);
    if (*context && wanted != CUDA_SUCCESS && !in_callback)
      (void)si_sickness(*context);
  }
  pthread_mutex_unlock(&si_lock);
  return result;
}

cu_result si_enter(enum si_function function, enum si_needs needs, si_context **context) {
  cu_result say;
  cu_result result = si_enter_release(function, needs, context, &say);
  return result != CUDA_SUCCESS ? result : say;
}

void si_callback_begin(void) {
  in_callback = true;
}

void si_callback_end(void) {
  in_callback = false;
}

cu_result cuInit(unsigned flags) {
  SI_ENTER(cuInit, SI_NOTHING);
  if (flags != 0)
    return CUDA_ERROR_INVALID_VALUE;
  if (si_configuration()->devices == 0)
    return CUDA_ERROR_NO_DEVICE;
  pthread_mutex_lock(&si_lock);
  initialised = true;
  pthread_mutex_unlock(&si_lock);
  return CUDA_SUCCESS;
}

cu_result cuDriverGetVersion(int *version) {
  SI_ENTER(cuDriverGetVersion, SI_NOTHING);
  if (!version)
    return CUDA_ERROR_INVALID_VALUE;
  *version = si_configuration()->version;
  return CUDA_SUCCESS;
}

/* Of the forms of a function this has the one in the list only; an older one that was asked for is not found. */
cu_result cuGetProcAddress_v2(const char *name, void **function, int version, uint64_t flags,
                              cu_symbol_status *status) {
  SI_ENTER(cuGetProcAddress, SI_NOTHING);
  if (!name || !function || (flags & ~(uint64_t)3) != 0)
    return CUDA_ERROR_INVALID_VALUE;
  cu_symbol_status found = 1; /* not found */
  char searched[80];
  snprintf(searched, sizeof searched, ",%s,", name);
  *function = NULL;
  for (int i = 0; i < SI_FUNCTIONS; i++)
    if (strcmp(functions[i].name, name) == 0 && !strstr(si_configuration()->without, searched) &&
        functions[i].version <= si_configuration()->version) {
      found = functions[i].version <= version ? 0 : 2; /* there, but newer */
      *function = found == 0 ? functions[i].function : NULL;
    }
  if (status)
    *status = found;
  return CUDA_SUCCESS;
}

cu_result cuGetErrorName(cu_result error, const char **name) {
  SI_ENTER(cuGetErrorName, SI_NOTHING);
  *name = NULL;
  for (size_t i = 0; i < sizeof results / sizeof results[0]; i++)
    if (results[i].result == error)
      *name = results[i].name;
  return *name ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

cu_result cuGetErrorString(cu_result error, const char **text) {
  SI_ENTER(cuGetErrorString, SI_NOTHING);
  *text = NULL;
  for (size_t i = 0; i < sizeof results / sizeof results[0]; i++)
    if (results[i].result == error)
      *text = "said by the stand-in";
  return *text ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
