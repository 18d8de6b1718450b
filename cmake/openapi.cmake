# OpenAPI from proto/muster/v1, by tools/openapi: muster_openapi(OUT) sets OUT to the generated .cc. The JSON lies beside it, in
# ${PROJECT_BINARY_DIR}/openapi. Debian's own Python, since the protobuf module comes from a Debian package.
set(MUSTER_PYTHON /usr/bin/python3)

function(muster_openapi out)
  set(tool ${PROJECT_SOURCE_DIR}/tools/openapi)
  set(directory ${PROJECT_BINARY_DIR}/openapi)
  set(proto_root ${PROJECT_SOURCE_DIR}/proto)
  file(GLOB contract CONFIGURE_DEPENDS ${proto_root}/muster/v1/*.proto)
  set(options ${proto_root}/muster/http/v1/http.proto)
  file(GLOB scripts CONFIGURE_DEPENDS ${tool}/*.py)
  file(MAKE_DIRECTORY ${directory}/python)

  # The table of errors and the names of the rpcs, from the sources that the server is built of.
  set(api ${PROJECT_SOURCE_DIR}/src/api)
  add_executable(contract_facts ${tool}/contract_facts.cc ${api}/rpc.cc ${api}/query.cc ${api}/field_path.cc)
  target_link_libraries(contract_facts PRIVATE muster_domain)

  add_custom_command(
    OUTPUT ${directory}/openapi_documents.cc ${directory}/member.json ${directory}/admin.json
    COMMAND protobuf::protoc -I ${proto_root} --include_imports --include_source_info
      --descriptor_set_out=${directory}/contract.binpb ${contract}
    COMMAND protobuf::protoc -I ${proto_root} --python_out=${directory}/python ${options}
    COMMAND contract_facts > ${directory}/facts.json
    COMMAND ${CMAKE_COMMAND} -E env PYTHONDONTWRITEBYTECODE=1 ${MUSTER_PYTHON} ${tool}/generate.py
      --descriptors ${directory}/contract.binpb --python-root ${directory}/python --facts ${directory}/facts.json
      --version ${PROJECT_VERSION} --out ${directory}
    DEPENDS ${contract} ${options} ${scripts} contract_facts
    COMMENT "Generating OpenAPI from proto/muster/v1"
    VERBATIM)
  set_source_files_properties(${directory}/openapi_documents.cc PROPERTIES COMPILE_OPTIONS -Wno-overlength-strings)
  set(${out} ${directory}/openapi_documents.cc PARENT_SCOPE)
endfunction()
