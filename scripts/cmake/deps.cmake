# The libraries of the distribution, one dep_ target each, so that rooms never name a package.
#
# SLOTH_LINK=dynamic takes the shared libraries through their own CMake packages; SLOTH_LINK=static takes every .a by
# its path (those packages name only the .so). The include paths and the code of the rooms are the same in both.

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(CLI11 CONFIG REQUIRED)
find_package(nlohmann_json CONFIG REQUIRED)
pkg_check_modules(LUAJIT REQUIRED IMPORTED_TARGET luajit)

foreach(dep fmt spdlog json asio sqlite lua curl cli11 yaml)
  add_library(dep_${dep} INTERFACE)
endforeach()
target_link_libraries(dep_json INTERFACE nlohmann_json::nlohmann_json)
target_link_libraries(dep_cli11 INTERFACE CLI11::CLI11)
target_compile_definitions(dep_asio INTERFACE ASIO_STANDALONE)
target_link_libraries(dep_asio INTERFACE Threads::Threads)

if(SLOTH_LINK STREQUAL "static")
  include(static_deps)
else()
  find_package(fmt CONFIG REQUIRED)
  find_package(spdlog CONFIG REQUIRED)
  find_package(SQLite3 REQUIRED)
  find_package(CURL REQUIRED)
  find_package(yaml-cpp CONFIG REQUIRED)
  target_link_libraries(dep_fmt INTERFACE fmt::fmt)
  target_link_libraries(dep_spdlog INTERFACE spdlog::spdlog)
  target_link_libraries(dep_sqlite INTERFACE SQLite::SQLite3)
  target_link_libraries(dep_curl INTERFACE CURL::libcurl)
  target_link_libraries(dep_yaml INTERFACE yaml-cpp)
  target_link_libraries(dep_lua INTERFACE PkgConfig::LUAJIT)
endif()
