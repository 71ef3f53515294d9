# sloth_proto(proto): the messages of every .proto under proto/ as one library; headers are "sloth/v1/NAME.pb.h".
#
# Called by hand rather than through a package's own function, so that both ways to link need nothing but protoc.

function(sloth_proto folder)
  sloth_target_name(${folder} target)
  file(GLOB_RECURSE schemas CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR}/${folder} ${CMAKE_SOURCE_DIR}/${folder}/*.proto)
  set(out ${CMAKE_BINARY_DIR}/${folder})
  file(MAKE_DIRECTORY ${out})
  set(sources "")
  list(TRANSFORM schemas PREPEND ${CMAKE_SOURCE_DIR}/${folder}/ OUTPUT_VARIABLE paths)
  foreach(schema ${schemas})
    string(REGEX REPLACE "\\.proto$" "" stem ${schema})
    add_custom_command(
      OUTPUT ${out}/${stem}.pb.cc ${out}/${stem}.pb.h
      COMMAND ${SLOTH_PROTOC} -I ${CMAKE_SOURCE_DIR}/${folder} --cpp_out=${out} ${CMAKE_SOURCE_DIR}/${folder}/${schema}
      DEPENDS ${paths}
      COMMENT "Generating ${stem}.pb.cc" VERBATIM)
    list(APPEND sources ${out}/${stem}.pb.cc)
    file(STRINGS ${CMAKE_SOURCE_DIR}/${folder}/${schema} services REGEX "^service ")
    if(services)
      add_custom_command(
        OUTPUT ${out}/${stem}.grpc.pb.cc ${out}/${stem}.grpc.pb.h
        COMMAND ${SLOTH_PROTOC} -I ${CMAKE_SOURCE_DIR}/${folder} --grpc_out=${out}
          --plugin=protoc-gen-grpc=${SLOTH_GRPC_PLUGIN} ${CMAKE_SOURCE_DIR}/${folder}/${schema}
        DEPENDS ${paths}
        COMMENT "Generating ${stem}.grpc.pb.cc" VERBATIM)
      list(APPEND sources ${out}/${stem}.grpc.pb.cc)
    endif()
  endforeach()
  add_library(${target} STATIC ${sources})
  set_target_properties(${target} PROPERTIES CXX_CLANG_TIDY "")
  target_include_directories(${target} SYSTEM PUBLIC ${out})
  sloth_uses(${target} PUBLIC dep_protobuf)
endfunction()
