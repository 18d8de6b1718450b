#include "app/server/admin_key.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "app/files.h"
#include "app/temporary_directory.h"
#include "base/clock.h"
#include "base/random.h"
#include "domain/keyring.h"
#include "topology/topology.h"

namespace muster {
namespace {

class AdminKeyTest : public ::testing::Test {
 protected:
  std::string key() const { return "Bearer " + ReadSmallFile(path_, 100).value().substr(0, 49); }
  Outcome<void> Replace() {
    auto replaced = ReplaceAdminKey(*topology_, keyring_, clock_, random_, path_);
    EXPECT_TRUE(callers_->Refresh());
    return replaced;
  }
  bool Knows(const std::string& authorization) { return callers_->Authenticate(authorization).has_value(); }

  const TemporaryDirectory directory_ = std::move(TemporaryDirectory::Make("muster-admin-key-test").value());
  const std::string path_ = directory_.path() + "/admin.key";
  SystemRandom random_;
  SystemClock clock_;
  const Keyring keyring_ = Keyring::Generate(random_);
  const std::unique_ptr<TopologyStore> topology_ = std::move(*OpenTopologyFile(directory_.path() + "/topology.json"));
  const std::unique_ptr<CallerDirectory> callers_ = MakeCallerDirectory(*topology_, keyring_, clock_, random_);
};

TEST_F(AdminKeyTest, FirstStartMakesAKeyThatWorksAndIsPrivate) {
  ASSERT_TRUE(EnsureAdminKey(*callers_, path_));
  struct stat status{};
  ASSERT_EQ(stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600U);
  const auto caller = callers_->Authenticate(key());
  ASSERT_TRUE(caller);
  for (const Scope scope : AllScopes()) EXPECT_TRUE((*caller)->Has(scope)) << ScopeName(scope);
}

TEST_F(AdminKeyTest, LaterStartsChangeNothing) {
  ASSERT_TRUE(EnsureAdminKey(*callers_, path_));
  const std::string first = key();
  ASSERT_TRUE(EnsureAdminKey(*callers_, path_));
  EXPECT_EQ(key(), first);
  std::filesystem::remove(path_);
  ASSERT_TRUE(EnsureAdminKey(*callers_, path_));
  EXPECT_FALSE(FileExists(path_));
  EXPECT_TRUE(Knows(first));
}

TEST_F(AdminKeyTest, AKeyThatCannotBeWrittenMakesNoCaller) {
  std::filesystem::create_directory(path_ + ".tmp");
  EXPECT_FALSE(EnsureAdminKey(*callers_, path_));
  EXPECT_TRUE(callers_->List()->empty());
  std::filesystem::remove(path_ + ".tmp");
  ASSERT_TRUE(EnsureAdminKey(*callers_, path_));
  EXPECT_TRUE(Knows(key()));
}

TEST_F(AdminKeyTest, ReplacingEndsTheOldKeyAndNoOther) {
  ASSERT_TRUE(EnsureAdminKey(*callers_, path_));
  const auto other = callers_->Create({.name = "other", .purpose = "test", .scopes = {"members.read"}});
  const std::string old = key();
  ASSERT_TRUE(Replace());
  EXPECT_TRUE(Knows(key()));
  EXPECT_FALSE(Knows(old));
  EXPECT_TRUE(Knows("Bearer " + other->text));
}

TEST_F(AdminKeyTest, ReplacingBringsADisabledAdminBack) {
  ASSERT_TRUE(EnsureAdminKey(*callers_, path_));
  ASSERT_TRUE(callers_->Create({.name = "second", .purpose = "test", .scopes = {"admin"}}));
  ASSERT_TRUE(callers_->Change(kAdminCaller, {.disabled = true}));
  ASSERT_FALSE(Knows(key()));
  ASSERT_TRUE(Replace());
  const auto caller = callers_->Authenticate(key());
  ASSERT_TRUE(caller);
  EXPECT_TRUE((*caller)->Has(Scope::kAdmin));
}

TEST_F(AdminKeyTest, AKeyThatCannotBeWrittenReplacesNone) {
  ASSERT_TRUE(EnsureAdminKey(*callers_, path_));
  const std::string old = key();
  std::filesystem::create_directory(path_ + ".tmp");
  EXPECT_FALSE(Replace());
  EXPECT_TRUE(Knows(old));
  EXPECT_EQ(key(), old);
}

}  // namespace
}  // namespace muster
