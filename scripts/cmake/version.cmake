# sloth_version(target): runner/base/version.cc with the version and the commit filled in.
#
# Git's log of HEAD is a dependency of the configure step, so a commit reconfigures; the file keeps its old time stamp
# when its text is the same.

function(sloth_git out)
  execute_process(
    COMMAND git -c safe.directory=${CMAKE_SOURCE_DIR} -C ${CMAKE_SOURCE_DIR} ${ARGN}
    OUTPUT_VARIABLE text RESULT_VARIABLE failed OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(failed)
    set(text "")
  endif()
  set(${out} "${text}" PARENT_SCOPE)
endfunction()

function(sloth_version target)
  set(SLOTH_GIT_REVISION "")
  # Not just any git directory: another project's checkout may surround an unpacked archive.
  if(EXISTS ${CMAKE_SOURCE_DIR}/.git)
    sloth_git(SLOTH_GIT_REVISION rev-parse --short=12 HEAD)
    sloth_git(log rev-parse --path-format=absolute --git-path logs/HEAD)
    if(log AND EXISTS "${log}")
      set_property(DIRECTORY ${CMAKE_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${log}")
    endif()
  endif()
  set(out ${CMAKE_BINARY_DIR}/generated/version.cc)
  configure_file(${CMAKE_SOURCE_DIR}/runner/base/version.cc.in ${out} @ONLY)
  target_sources(${target} PRIVATE ${out})
endfunction()
