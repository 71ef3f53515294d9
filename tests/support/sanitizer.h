// What a sanitizer build cannot do, so that tests can say that they leave it out.
//
// Thread-safe: a constant.
#pragma once

namespace sloth::testing {

// The thread sanitizer holds a signal back until the thread next calls into libc: a loop in compiled Lua
// never does, so it cannot be interrupted there.
#if defined(__SANITIZE_THREAD__)
inline constexpr bool kSignalsAreHeldBack = true;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
inline constexpr bool kSignalsAreHeldBack = true;
#else
inline constexpr bool kSignalsAreHeldBack = false;
#endif
#else
inline constexpr bool kSignalsAreHeldBack = false;
#endif

}  // namespace sloth::testing
