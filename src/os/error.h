/* os/error.h - the per-thread sentence behind an error code. */
#ifndef CF_OS_ERROR_H
#define CF_OS_ERROR_H

/* Remembers the sentence for cuframes_last_error() and gives code back. */
int cf_fail(int code, const char *format, ...) __attribute__((cold, format(printf, 2, 3)));

#ifdef __clang_analyzer__ /* it sees one file at a time: show it what comes back */
#define cf_fail(code, ...) ((cf_fail)(code, __VA_ARGS__), (code))
#endif

/* As cf_fail() with CUFRAMES_ERR_SYSTEM (or NO_MEMORY, for an errno that means it) and errno's text behind it. */
int cf_fail_errno(const char *format, ...) __attribute__((cold, format(printf, 1, 2)));

const char *cf_last_detail(void);

#endif
