#include "store/schema.h"

#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <string>

#include "store/sqlite_test_support.h"

namespace muster {
namespace {

using testing::TemporaryDirectory;
using testing::TestKeyring;

class SchemaTest : public ::testing::Test {
 protected:
  Database Open() { return *Database::Open(directory_.path() + "/file.db", Database::Mode::kCreate); }

  TemporaryDirectory directory_;
};

constexpr Migration kFirst{1,
                           "CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT; CREATE TABLE a(x)"};
constexpr Migration kSecond{2, "ALTER TABLE a ADD COLUMN y DEFAULT 7"};
constexpr Migration kThird{3, "CREATE TABLE b(x); INSERT INTO b SELECT y FROM a"};

TEST_F(SchemaTest, AnEmptyFileComesToTheNewestVersion) {
  Database database = Open();
  EXPECT_EQ(ReadSchemaVersion(database), 0);
  ASSERT_TRUE(Migrate(database, AllMigrations()));
  EXPECT_EQ(ReadSchemaVersion(database), AllMigrations().back().version);
  ASSERT_TRUE(Migrate(database, AllMigrations())) << "a second time changes nothing";
}

TEST_F(SchemaTest, VersionsOfMigrationsRiseByOne) {
  std::int64_t expected = 1;
  for (const Migration& migration : AllMigrations()) EXPECT_EQ(migration.version, expected++);
}

TEST_F(SchemaTest, AnOlderFileIsBroughtForwardStepByStep) {
  Database database = Open();
  ASSERT_TRUE(Migrate(database, std::array{kFirst}));
  ASSERT_TRUE(database.Execute("INSERT INTO a VALUES(1), (2)"));
  ASSERT_TRUE(Migrate(database, std::array{kFirst, kSecond, kThird}));
  EXPECT_EQ(ReadSchemaVersion(database), 3);
  EXPECT_EQ(database.ReadInteger("SELECT sum(x) FROM b"), 14);
}

TEST_F(SchemaTest, AStepThatFailsLeavesTheVersionBeforeIt) {
  Database database = Open();
  constexpr Migration kBroken{3, "CREATE TABLE b(x); INSERT INTO nowhere VALUES(1)"};
  ASSERT_TRUE(Migrate(database, std::array{kFirst}));
  EXPECT_FALSE(Migrate(database, std::array{kFirst, kSecond, kBroken}));
  EXPECT_FALSE(database.InTransaction());
  EXPECT_EQ(ReadSchemaVersion(database), 2);
  EXPECT_EQ(database.ReadInteger("SELECT count(*) FROM sqlite_schema WHERE name = 'b'"), 0);
  EXPECT_TRUE(Migrate(database, std::array{kFirst, kSecond, kThird})) << "and can be tried again";
}

TEST_F(SchemaTest, ANewerFileIsRefusedAndLeftAlone) {
  Database database = Open();
  ASSERT_TRUE(Migrate(database, std::array{kFirst, kSecond, kThird}));
  const Result<void> refused = Migrate(database, std::array{kFirst, kSecond});
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("schema version 3"), std::string::npos) << refused.error().message;
  EXPECT_NE(refused.error().message.find("up to 2"), std::string::npos);
  EXPECT_EQ(ReadSchemaVersion(database), 3);
}

TEST_F(SchemaTest, AnotherProgramsDatabaseIsRefusedAndLeftAlone) {
  Database database = Open();
  ASSERT_TRUE(database.Execute("CREATE TABLE bookmarks(url)"));
  const Result<void> refused = Migrate(database, AllMigrations());
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("not a data file of muster"), std::string::npos);
  EXPECT_EQ(database.ReadInteger("SELECT count(*) FROM sqlite_schema"), 1);
}

TEST_F(SchemaTest, FileIdentityComesBack) {
  Database database = Open();
  ASSERT_TRUE(Migrate(database, AllMigrations()));
  EXPECT_FALSE(ReadFileIdentity(database)) << "none was written yet";
  ASSERT_TRUE(WriteFileIdentity(database, {.installation_id = "abc", .index = 2, .count = 4}));
  const Result<FileIdentity> identity = ReadFileIdentity(database);
  ASSERT_TRUE(identity);
  EXPECT_EQ(identity->installation_id, "abc");
  EXPECT_EQ(identity->index, 2);
  EXPECT_EQ(identity->count, 4);
}

TEST_F(SchemaTest, TheKeyringOfTheDataIsRemembered) {
  Database database = Open();
  ASSERT_TRUE(Migrate(database, AllMigrations()));
  EXPECT_TRUE(CheckKeyring(database, TestKeyring())) << "nothing is sealed yet";
  ASSERT_TRUE(RememberKeyring(database, TestKeyring()));
  EXPECT_TRUE(CheckKeyring(database, TestKeyring()));
  SystemRandom random;
  const Result<void> refused = CheckKeyring(database, Keyring::Generate(random));
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("keyring"), std::string::npos);
}

// A copy of the keyring from before a rotation would start, fail to open what was sealed since, and make a second key
// of the same number at the next rotation.
TEST_F(SchemaTest, AnOlderCopyOfTheKeyringIsRefused) {
  SystemRandom random;
  const std::string path = directory_.path() + "/keyring";
  const Result<Keyring> older = Keyring::Create(path, random);
  const Result<Keyring> rotated = Keyring::Rotate(path, random);
  ASSERT_TRUE(older && rotated);
  Database database = Open();
  ASSERT_TRUE(Migrate(database, AllMigrations()));
  ASSERT_TRUE(RememberKeyring(database, *older));
  EXPECT_TRUE(CheckKeyring(database, *rotated)) << "a new key";
  ASSERT_TRUE(RememberKeyring(database, *rotated));
  EXPECT_TRUE(CheckKeyring(database, *rotated));

  const Result<void> refused = CheckKeyring(database, *older);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("key 2"), std::string::npos) << refused.error().message;

  std::filesystem::remove(path);
  const std::string copy = directory_.path() + "/copy";
  ASSERT_TRUE(Keyring::Create(copy, random));
  const Result<Keyring> other = Keyring::Rotate(copy, random);
  ASSERT_TRUE(other);
  EXPECT_FALSE(CheckKeyring(database, *other));
}

IdentityCatalog CatalogOf(std::vector<IdentityKind> kinds) {
  return *IdentityCatalog::Make(std::move(kinds), {}, "CN");
}

TEST_F(SchemaTest, AKindMayChangeItsLimitsButNotHowItIsCompared) {
  Database database = Open();
  ASSERT_TRUE(Migrate(database, AllMigrations()));
  IdentityKind kind{
      .name = "badge", .scope = UniquenessScope::kPlatform, .members_limit = 3, .normaliser = Normaliser::kCard};
  ASSERT_TRUE(CheckCatalog(database, CatalogOf({kind})));
  ASSERT_TRUE(RememberCatalog(database, CatalogOf({kind})));

  kind.members_limit = 9;
  EXPECT_TRUE(CheckCatalog(database, CatalogOf({kind}))) << "a limit";
  EXPECT_TRUE(CheckCatalog(database, CatalogOf({kind, {.name = "extra"}}))) << "a new kind";
  const Result<void> lacking = CheckCatalog(database, CatalogOf({{.name = "extra"}}));
  ASSERT_FALSE(lacking) << "members may hold it";
  EXPECT_NE(lacking.error().message.find("\"badge\" is not declared"), std::string::npos) << lacking.error().message;

  IdentityKind global = kind;
  global.scope = UniquenessScope::kGlobal;
  const Result<void> refused = CheckCatalog(database, CatalogOf({global}));
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("badge"), std::string::npos) << refused.error().message;
  kind.normaliser = Normaliser::kOpaque;
  EXPECT_FALSE(CheckCatalog(database, CatalogOf({kind})));
}

}  // namespace
}  // namespace muster
