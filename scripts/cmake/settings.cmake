# Compiler and linker settings of our own targets.

add_compile_options(-ffunction-sections -fdata-sections)
add_link_options(-Wl,--gc-sections -Wl,--as-needed)

option(SLOTH_WERROR "warnings are errors" OFF)
set(SLOTH_SANITIZE "" CACHE STRING "address,undefined | thread")
set(SLOTH_LINKER "" CACHE STRING "lld | mold | empty for the default")
set(SLOTH_LINK "dynamic" CACHE STRING "dynamic | static")

add_library(sloth_warnings INTERFACE)
target_compile_options(sloth_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor -Wold-style-cast -Woverloaded-virtual
  -Wimplicit-fallthrough $<$<BOOL:${SLOTH_WERROR}>:-Werror>
  $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety>)

if(SLOTH_LINKER)
  add_link_options(-fuse-ld=${SLOTH_LINKER})
endif()
if(SLOTH_SANITIZE)
  add_compile_options(-fsanitize=${SLOTH_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all -g1)
  add_link_options(-fsanitize=${SLOTH_SANITIZE})
endif()
find_program(SLOTH_CCACHE ccache)
if(SLOTH_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${SLOTH_CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${CMAKE_CXX_COMPILER_LAUNCHER})
endif()
