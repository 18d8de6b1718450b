#include "lab/programs.h"

#include <unistd.h>

#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace muster::lab {
namespace {

std::string FindProgram(const std::string& name) {
  for (const char* const folder : {"/usr/bin/", "/usr/sbin/", "/usr/local/bin/", "/usr/local/sbin/"}) {
    if (::access((folder + name).c_str(), X_OK) == 0) return folder + name;
  }
  return {};
}

// Libraries of Debian are in a folder of the machine's kind.
std::string FindFakeTime() {
  std::error_code error;
  for (const char* const folder : {"/usr/lib", "/usr/local/lib"}) {
    std::vector<std::filesystem::path> places = {folder};
    for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
      if (entry.path().filename().string().ends_with("-linux-gnu")) places.push_back(entry.path());
    }
    for (const std::filesystem::path& place : places) {
      const std::filesystem::path library = place / "faketime" / "libfaketimeMT.so.1";
      if (std::filesystem::exists(library, error)) return library.string();
    }
  }
  return {};
}

}  // namespace

Result<Programs> FindPrograms() {
  Programs programs{.muster = ThisProgramPath(),
                    .etcd = FindProgram("etcd"),
                    .mariadbd = FindProgram("mariadbd"),
                    .mariadb_install = FindProgram("mariadb-install-db"),
                    .redis = FindProgram("redis-server"),
                    .fake_time = FindFakeTime()};
  std::string missing;
  const std::pair<const std::string&, const char*> needed[] = {
      {programs.etcd, " etcd-server"},
      {programs.mariadbd.empty() ? programs.mariadbd : programs.mariadb_install, " mariadb-server"},
      {programs.redis, " redis-server"}};
  for (const auto& [path, package] : needed) {
    if (path.empty()) missing += package;
  }
  if (missing.empty()) return programs;
  return Fail(Reason::kNotFound,
              "the lab needs engines that are not installed: run `make engines`, or as root "
              "`apt-get install" +
                  missing + "` (their services need not run)");
}

std::string ThisProgramPath() {
  std::error_code error;
  const std::filesystem::path path = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? "muster" : path.string();
}

}  // namespace muster::lab
