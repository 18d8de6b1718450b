#pragma once

#include <string>

#include "base/result.h"

namespace muster::lab {

// What the lab starts, by path.
struct Programs {
  std::string muster;
  std::string etcd;
  std::string mariadbd;
  std::string mariadb_install;
  std::string redis;
  std::string fake_time;  // the library; empty: it is not installed
};

// In the folders of Debian and of who installs by hand. NOT_FOUND names the packages that are missing.
Result<Programs> FindPrograms();

// This program's own path.
std::string ThisProgramPath();

}  // namespace muster::lab
