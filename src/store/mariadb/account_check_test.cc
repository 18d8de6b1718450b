#include "store/mariadb/account_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace muster::mariadb {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(AccountCheck, WhatNoGrantGivesIsMissing) {
  const std::vector<std::string> grants = {
      "GRANT RELOAD, BINLOG MONITOR, READ_ONLY ADMIN ON *.* TO `c`@`10.%` IDENTIFIED BY PASSWORD '*AB'",
      "GRANT SELECT ON `mysql`.* TO `c`@`10.%`", "GRANT ALL PRIVILEGES ON `muster_control`.* TO `c`@`10.%`"};
  EXPECT_THAT(MissingPrivileges(grants, "*.*", {"RELOAD", "READ ONLY ADMIN"}), IsEmpty());
  EXPECT_THAT(MissingPrivileges(grants, "*.*", {"RELOAD", "BINLOG ADMIN", "PROCESS"}),
              ElementsAre("BINLOG ADMIN", "PROCESS"));
  EXPECT_THAT(MissingPrivileges(grants, "*.*", {"SELECT"}), ElementsAre("SELECT")) << "of one database alone";
  EXPECT_THAT(MissingPrivileges(grants, "`mysql`.*", {"SELECT", "RELOAD"}), IsEmpty());
  EXPECT_THAT(MissingPrivileges(grants, "`muster_control`.*", {"SELECT", "ALL PRIVILEGES"}), IsEmpty());
  EXPECT_THAT(MissingPrivileges(grants, "`muster`.*", {"ALL PRIVILEGES"}), ElementsAre("ALL PRIVILEGES"));
  EXPECT_THAT(MissingPrivileges({"GRANT USAGE ON *.* TO `c`@`%`"}, "*.*", {"RELOAD"}), ElementsAre("RELOAD"));
  EXPECT_THAT(MissingPrivileges({"GRANT ALL PRIVILEGES ON *.* TO `c`@`%` WITH GRANT OPTION"}, "`x`.*", {"SELECT"}),
              IsEmpty());
  EXPECT_THAT(MissingPrivileges({}, "*.*", {"RELOAD"}), ElementsAre("RELOAD"));
}

}  // namespace
}  // namespace muster::mariadb
