#pragma once

#include <string_view>

namespace muster::lab {

// The shared library of full_disk_library.cc, as a file has it.
std::string_view FullDiskImage();

}  // namespace muster::lab
