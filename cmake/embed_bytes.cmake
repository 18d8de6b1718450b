# cmake -DINPUT=… -DOUTPUT=… -DHEADER=… -DNAMESPACE=… -DFUNCTION=… -P embed_bytes.cmake: the bytes of a file as the source of a
# function that the header declares.
file(READ ${INPUT} bytes HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "\\\\x\\1" bytes "${bytes}")
# Lines of 32 bytes, each a literal of its own.
set(line "")
foreach(count RANGE 31)
  string(APPEND line "....")
endforeach()
string(REGEX REPLACE "(${line})" "    \"\\1\"\n" bytes "${bytes}")
string(REGEX REPLACE "\n(\\\\[^\n]+)$" "\n    \"\\1\"\n" bytes "${bytes}")
file(WRITE ${OUTPUT} "#include \"${HEADER}\"

namespace ${NAMESPACE} {
namespace {

constexpr char kBytes[] =
${bytes};

}  // namespace

std::string_view ${FUNCTION}() { return {kBytes, sizeof kBytes - 1}; }

}  // namespace ${NAMESPACE}
")
