// Exit codes of the program: what each number tells the caller.
#pragma once

namespace sloth {

inline constexpr int kExitOk = 0;
inline constexpr int kExitTaskFailed = 1;
inline constexpr int kExitUsage = 2;  // usage, script or plan error: nothing ran
inline constexpr int kExitUnknown = 3;
inline constexpr int kExitRefused = 4;
inline constexpr int kExitUnreachable = 5;
inline constexpr int kExitStore = 6;
inline constexpr int kExitTimedOut = 124;
inline constexpr int kExitInterrupted = 130;

}  // namespace sloth
