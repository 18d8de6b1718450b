#pragma once

#include <string_view>

namespace muster {

// A google.protobuf.FileDescriptorSet: the services that the gRPC port serves, with all that they import. Made by the
// build.
std::string_view ServiceDescriptors();

}  // namespace muster
