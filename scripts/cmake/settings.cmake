# Compiler and linker settings of our own targets.

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Debug CACHE STRING "Debug | Release" FORCE)
endif()
set(SLOTH_LINK "dynamic" CACHE STRING "dynamic | static (one -static-pie file)")
set(SLOTH_LINKER "" CACHE STRING "lld | mold | empty for the default")
set(SLOTH_SANITIZE "" CACHE STRING "address,undefined | thread")
option(SLOTH_WERROR "warnings are errors" OFF)
set_property(CACHE SLOTH_LINK PROPERTY STRINGS dynamic static)
if(NOT SLOTH_LINK MATCHES "^(dynamic|static)$")
  message(FATAL_ERROR "SLOTH_LINK is \"${SLOTH_LINK}\"; it must be dynamic or static")
endif()
if(SLOTH_SANITIZE AND SLOTH_LINK STREQUAL "static")
  message(FATAL_ERROR "a sanitizer needs the dynamic libraries: set SLOTH_LINK=dynamic")
endif()

# -O3 (CMake's own choice) only makes this program larger. Nothing reads debug information of a release.
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")
set(CMAKE_C_FLAGS_RELEASE "-O2 -DNDEBUG")

add_compile_options(-ffunction-sections -fdata-sections)
add_link_options(-Wl,--gc-sections -Wl,--as-needed)
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT SLOTH_SANITIZE)
  add_compile_options(-fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
  add_link_options(-Wl,-z,relro,-z,now)
endif()
if(SLOTH_LINK STREQUAL "static")
  # Not plain -static: the first C++ exception of a non-PIE static file sorts all unwind tables (6 ms).
  add_compile_options(-fPIE)
  add_link_options(-static-pie)
endif()

# -Wmaybe-uninitialized: gcc 12 reports it at -O2 for every std::variant that is moved from.
add_library(sloth_warnings INTERFACE)
target_compile_options(sloth_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor -Wold-style-cast -Woverloaded-virtual
  -Wimplicit-fallthrough $<$<BOOL:${SLOTH_WERROR}>:-Werror>
  $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized> $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety>)

# Places where tests let the program die (agent/crash_point.h). Of one file, so that the rest compiles the same.
if(NOT CMAKE_BUILD_TYPE STREQUAL "Release")
  set_source_files_properties(${CMAKE_SOURCE_DIR}/agent/crash_point.cc PROPERTIES COMPILE_DEFINITIONS SLOTH_CRASH_POINTS)
endif()

if(SLOTH_LINKER)
  add_link_options(-fuse-ld=${SLOTH_LINKER})
endif()
if(SLOTH_SANITIZE)
  string(REPLACE ";" "," sanitizers "${SLOTH_SANITIZE}")
  # The vptr check opens a pipe to look at an object, and takes it for broken where no descriptor is left.
  add_compile_options(-fsanitize=${sanitizers} -fno-sanitize=vptr -fno-omit-frame-pointer -fno-sanitize-recover=all -g1)
  add_link_options(-fsanitize=${sanitizers})
endif()
find_program(SLOTH_CCACHE ccache)
if(SLOTH_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${SLOTH_CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${CMAKE_CXX_COMPILER_LAUNCHER})
endif()
