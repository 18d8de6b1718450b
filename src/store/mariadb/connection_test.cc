// The layer over libmariadb: values go in and come out as they are; errors say what to do and nothing of what was sent.

#include "store/mariadb/connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <climits>
#include <string>

#include "store/mariadb/testing/mariadb_fixture.h"

namespace muster::mariadb {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class ConnectionTest : public ::testing::Test {
 protected:
  ConnectionTest() : connection_(testing::SharedMariadb().Connect("test_values")) {
    EXPECT_TRUE(connection_->Execute("CREATE OR REPLACE TABLE sample(id BIGINT PRIMARY KEY, bytes MEDIUMBLOB NULL)"));
  }
  static void SetUpTestSuite() { testing::SharedMariadb().Execute("CREATE DATABASE IF NOT EXISTS test_values"); }

  std::unique_ptr<Connection> connection_;
};

TEST(MariadbEndpoint, IsAHostWithAPortOrASocket) {
  const Result<Endpoint> host = Endpoint::Parse("db-1.example:3307");
  ASSERT_TRUE(host);
  EXPECT_EQ(host->host, "db-1.example");
  EXPECT_EQ(host->port, 3307);
  EXPECT_EQ(host->Name(), "db-1.example:3307");
  EXPECT_EQ(Endpoint::Parse("unix:/run/s")->Name(), "unix:/run/s");
  for (const char* const wrong : {"", "host", ":3306", "host:", "host:0", "host:99999", "host:1x", "unix:", "unix:s"}) {
    EXPECT_EQ(Endpoint::Parse(wrong).error().reason, Reason::kInvalidArgument) << wrong;
  }
}

TEST_F(ConnectionTest, ValuesComeBackAsTheyWere) {
  auto insert = connection_->Prepare("INSERT INTO sample(id, bytes) VALUES(?, ?)");
  auto select = connection_->Prepare("SELECT id, bytes FROM sample WHERE id = ?");
  ASSERT_TRUE(insert && select);
  const std::string zeros("a\0b\xFF'\"\\", 7);
  const std::string values[] = {
      "", zeros, std::string(2048, 'x'), std::string(2049, 'y'), std::string(1 << 20, 'z'), "short"};
  const std::int64_t ids[] = {0, -1, LLONG_MAX, LLONG_MIN, 4, 5};
  for (std::size_t i = 0; i < std::size(ids); ++i) {
    EXPECT_EQ(insert->Bind(1, ids[i]).Bind(2, values[i]).Run(), 1U);
  }
  for (std::size_t i = 0; i < std::size(ids); ++i) {
    ASSERT_EQ(select->Bind(1, ids[i]).Step(), true);
    EXPECT_EQ(select->Integer(0), ids[i]);
    EXPECT_EQ(select->Blob(1), values[i]);
    EXPECT_EQ(select->Step(), false);
  }
  EXPECT_EQ(select->Bind(1, std::int64_t{77}).Step(), false);
  ASSERT_TRUE(connection_->Execute("INSERT INTO sample(id, bytes) VALUES(88, NULL)"));
  ASSERT_EQ(select->Bind(1, std::int64_t{88}).Step(), true);
  EXPECT_EQ(select->Blob(1), "");
}

TEST_F(ConnectionTest, AnErrorSaysNothingOfWhatWasSent) {
  ASSERT_TRUE(connection_->Execute("INSERT INTO sample(id, bytes) VALUES(4711, 'personal')"));
  auto insert = connection_->Prepare("INSERT INTO sample(id, bytes) VALUES(?, ?)");
  const auto again = insert->Bind(1, std::int64_t{4711}).Bind(2, "personal").Run();
  ASSERT_FALSE(again);
  EXPECT_EQ(connection_->last_fault(), Fault::kDuplicate);
  EXPECT_THAT(again.error().message, Not(HasSubstr("personal")));
  EXPECT_THAT(again.error().message, Not(HasSubstr("4711")));
  EXPECT_FALSE(connection_->is_lost());

  EXPECT_FALSE(connection_->Execute("SELECT * FROM nowhere"));
  EXPECT_EQ(connection_->last_fault(), Fault::kNoSuchTable);
}

TEST_F(ConnectionTest, AStatementWithoutAnAnswerGivesTheConnectionUp) {
  const auto quick =
      Connection::Open(*Endpoint::Parse(testing::SharedMariadb().address()), {.user = "root", .password = {}}, "",
                       {.statement = std::chrono::seconds(1)}, Use::kWrite);
  ASSERT_TRUE(quick);
  const auto began = std::chrono::steady_clock::now();
  const auto rows = (*quick)->Query("SELECT SLEEP(20)");
  ASSERT_FALSE(rows);
  EXPECT_EQ(rows.error().reason, Reason::kWritesUnavailable);
  EXPECT_TRUE((*quick)->is_lost());
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(5));
}

TEST(MariadbFault, WhatAnEngineSaysIsOneOfAFew) {
  EXPECT_EQ(FaultOf(1062), Fault::kDuplicate);
  EXPECT_EQ(FaultOf(1213), Fault::kConflict);
  EXPECT_EQ(FaultOf(1205), Fault::kConflict);
  EXPECT_EQ(FaultOf(2006), Fault::kLost);
  EXPECT_EQ(FaultOf(2013), Fault::kLost);
  EXPECT_EQ(FaultOf(1290), Fault::kReadOnly);
  EXPECT_EQ(FaultOf(1045), Fault::kRefused);
  EXPECT_EQ(FaultOf(1040), Fault::kBusy);
  EXPECT_EQ(FaultOf(1114), Fault::kFull);
  EXPECT_EQ(FaultOf(1049), Fault::kNoSuchTable);
  EXPECT_EQ(FaultOf(1064), Fault::kOther);
  for (const Fault fault : {Fault::kLost, Fault::kReadOnly, Fault::kRefused, Fault::kFull}) {
    EXPECT_EQ(DescribeFault(fault, "db:1/x", 7, false).reason, Reason::kWritesUnavailable);
    EXPECT_EQ(DescribeFault(fault, "db:1/x", 7, true).reason, Reason::kOverloaded);
  }
}

}  // namespace
}  // namespace muster::mariadb
