/* error.h - the sentence behind an error code, which cuframes_last_error() of libcuframes keeps. */
#ifndef CF_VISION_ERROR_H
#define CF_VISION_ERROR_H

/* Remembers the sentence and gives code back. */
int cf_vision_fail(int code, const char *format, ...) __attribute__((cold, format(printf, 2, 3)));

#ifdef __clang_analyzer__ /* it sees one file at a time: show it what comes back */
#define cf_vision_fail(code, ...) ((cf_vision_fail)(code, __VA_ARGS__), (code))
#endif

#endif
