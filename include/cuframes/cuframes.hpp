/* cuframes/cuframes.hpp - the whole API for C++17 and later: header-only, on the functions of cuframes/cuframes.h.
 *
 * Names      Everything is in namespace cuframes; cuframes::frame is cuframes_frame, subscriber::next() is
 *            cuframes_subscriber_next(). What a call needs of threads, how long it waits and what errors it has stands
 *            in the C header; here stands what C++ adds.
 * Errors     next() throws cuframes::error, with code() and detail(). try_next() gives result<frame> instead, a value
 *            or an error, and never throws; so with every function that can fail. With -fno-exceptions only those that
 *            begin with try_ are there. Functions that fill strings or vectors (monitors, tracks, options) may throw
 *            std::bad_alloc.
 * Ownership  publisher, subscriber, batch, join, frame, packet are moved only, and their moves cannot fail. A
 *            destructor gives back what the object stands for. What is moved from may be destroyed and assigned to.
 * Misuse     Most does not compile: frames that are copied or written by a subscriber, results that are ignored, time
 *            without a unit. What is left of it, an index beyond the end or the value of an error, ends the program
 *            (__builtin_trap()) where it happens.
 * Cost       That of the C functions: nothing is allocated or locked per frame, and all of this is inline.
 */
#ifndef CUFRAMES_CUFRAMES_HPP
#define CUFRAMES_CUFRAMES_HPP

#if __cplusplus < 201703L
#error "cuframes/cuframes.hpp needs C++17 (-std=c++17); cuframes/cuframes.h is for C and older C++"
#endif

/* Words that others make macros of (Qt, windows, curses) are ordinary names in here. Who uses such a name has to see to
 * that: with Qt by QT_NO_KEYWORDS. */
#pragma push_macro("max")
#pragma push_macro("min")
#pragma push_macro("slots")
#pragma push_macro("timeout")
#undef max
#undef min
#undef slots
#undef timeout

#include <cuframes/cpp/annotation.hpp>
#include <cuframes/cpp/base.hpp>
#include <cuframes/cpp/batch.hpp>
#include <cuframes/cpp/format.hpp>
#include <cuframes/cpp/frame.hpp>
#include <cuframes/cpp/monitor.hpp>
#include <cuframes/cpp/packet.hpp>
#include <cuframes/cpp/publisher.hpp>
#include <cuframes/cpp/result.hpp>
#include <cuframes/cpp/source.hpp>
#include <cuframes/cpp/subscriber.hpp>

#pragma pop_macro("timeout")
#pragma pop_macro("slots")
#pragma pop_macro("min")
#pragma pop_macro("max")

#endif
