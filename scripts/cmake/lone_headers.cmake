# sloth_lone_headers(target USES ...): compiles every header that no .cc of its name includes first, alone.
#
# A header with a .cc is compiled alone by it, since a .cc includes its own header first (scripts/check_layers.sh sees
# to that); the rest are a handful, each wrapped in a one-line file here.

function(sloth_lone_headers target)
  cmake_parse_arguments(arg "" "" "USES" ${ARGN})
  set(wrappers "")
  foreach(folder runner agent modules cmd)
    file(GLOB_RECURSE headers CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/${folder}/*.h)
    foreach(header ${headers})
      string(REGEX REPLACE "\\.h$" "" stem ${header})
      if(NOT EXISTS ${CMAKE_SOURCE_DIR}/${stem}.cc AND NOT EXISTS ${CMAKE_SOURCE_DIR}/${stem}.cc.in)
        string(REPLACE "/" "_" name ${stem})
        set(wrapper ${CMAKE_BINARY_DIR}/lone_headers/${name}.cc)
        file(CONFIGURE OUTPUT ${wrapper} CONTENT "#include \"${header}\"\n" @ONLY)
        list(APPEND wrappers ${wrapper})
      endif()
    endforeach()
  endforeach()
  if(wrappers)
    add_library(${target} OBJECT ${wrappers})
    target_link_libraries(${target} PRIVATE sloth_warnings)
    sloth_uses(${target} PRIVATE ${arg_USES})
  endif()
endfunction()
