# sloth_room(runner/exec USES ...): a static library of every .cc (and embedded .lua) file in a folder.
# sloth_program(name folder USES ...): the same as an executable.

set(SLOTH_EMBED ${CMAKE_CURRENT_LIST_DIR}/embed.cmake)

function(sloth_target_name folder out)
  string(REPLACE "/" "_" name ${folder})
  set(${out} sloth_${name} PARENT_SCOPE)
endfunction()

# Lua sources become byte arrays: runner/lua/prelude.lua is `sloth::embedded::runner_lua_prelude`.
function(sloth_embed target folder)
  file(GLOB scripts CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/${folder}/*.lua)
  foreach(script ${scripts})
    string(REGEX REPLACE "\\.lua$" "" symbol ${script})
    string(REGEX REPLACE "[^A-Za-z0-9]" "_" symbol ${symbol})
    set(out ${CMAKE_BINARY_DIR}/embedded/${symbol}.cc)
    add_custom_command(
      OUTPUT ${out}
      COMMAND ${CMAKE_COMMAND} -DIN=${CMAKE_SOURCE_DIR}/${script} -DOUT=${out} -DSYMBOL=${symbol} -P ${SLOTH_EMBED}
      DEPENDS ${CMAKE_SOURCE_DIR}/${script} ${SLOTH_EMBED}
      COMMENT "Embedding ${script}" VERBATIM)
    target_sources(${target} PRIVATE ${out})
  endforeach()
endfunction()

function(sloth_uses target scope)
  foreach(dependency ${ARGN})
    if(NOT dependency MATCHES "^dep_")
      sloth_target_name(${dependency} dependency)
    endif()
    target_link_libraries(${target} ${scope} ${dependency})
  endforeach()
endfunction()

function(sloth_room folder)
  cmake_parse_arguments(arg "" "" "USES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*.cc)
  sloth_target_name(${folder} target)
  if(sources)
    add_library(${target} STATIC ${sources})
    target_include_directories(${target} PUBLIC ${CMAKE_SOURCE_DIR})
    target_link_libraries(${target} PRIVATE sloth_warnings)
    sloth_embed(${target} ${folder})
    sloth_uses(${target} PUBLIC ${arg_USES})
  else()
    add_library(${target} INTERFACE)
    target_include_directories(${target} INTERFACE ${CMAKE_SOURCE_DIR})
    sloth_uses(${target} INTERFACE ${arg_USES})
  endif()
endfunction()

function(sloth_program name folder)
  cmake_parse_arguments(arg "" "" "USES" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*.cc)
  if(sources)
    add_executable(${name} ${sources})
    target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR})
    target_link_libraries(${name} PRIVATE sloth_warnings)
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
    sloth_uses(${name} PRIVATE ${arg_USES})
    # The program's full name; a link beside it, as an installation has it.
    add_custom_command(TARGET ${name} POST_BUILD
      COMMAND ${CMAKE_COMMAND} -E create_symlink ${name} ${CMAKE_BINARY_DIR}/${name}-runner VERBATIM)
  endif()
endfunction()
