#include "app/transfer/import_state.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "app/files.h"
#include "app/temporary_directory.h"

namespace muster {
namespace {

using ::testing::HasSubstr;

class ImportStateTest : public ::testing::Test {
 protected:
  InputFingerprint Fingerprint(const std::string& content) {
    EXPECT_TRUE(WriteFileDurably(path_, content, 0600));
    const int descriptor = open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    const auto fingerprint = FingerprintOf(descriptor, path_);
    EXPECT_EQ(lseek(descriptor, 0, SEEK_CUR), 0);
    close(descriptor);
    return fingerprint.value();
  }
  const TemporaryDirectory directory_ = std::move(TemporaryDirectory::Make("muster-state-test").value());
  const std::string path_ = directory_.path() + "/members.jsonl";
};

TEST_F(ImportStateTest, WhatWasSavedIsLoaded) {
  const ImportState state{
      .input = {.size = 1ULL << 40, .hash = "ab12"},
      .installation = "i\"1",
      .rejects_file = "/tmp/r \\ x",
      .range_starts = {1, INT64_MAX},
      .lines_a_range = 1 << 20,
      .offset = 7,
      .lines = 6,
      .imported = 5,
      .rejected = 1,
      .rejects_bytes = 99,
      .last_batches = {{.offset = 3, .bytes = 4, .first_line = 5, .lines = 2, .imported = 1, .rejected = {6}},
                       {.offset = 7, .first_line = 1 << 20}}};
  ASSERT_TRUE(SaveImportState(ImportStatePath(path_), state));
  EXPECT_EQ(ImportStatePath(path_), path_ + ".muster-import");
  EXPECT_EQ(LoadImportState(ImportStatePath(path_)).value(), state);
}

TEST_F(ImportStateTest, ABatchOutsideOfWhatIsAnsweredIsNoState) {
  ImportState state;
  state.range_starts = {1};
  state.lines_a_range = 10;
  state.offset = 7;
  ASSERT_TRUE(SaveImportState(path_, state));
  EXPECT_TRUE(LoadImportState(path_));
  for (const ImportedBatch& batch :
       {ImportedBatch{.offset = 4, .bytes = 4, .first_line = 1}, ImportedBatch{.offset = 8, .first_line = 1},
        ImportedBatch{.first_line = 0}, ImportedBatch{.first_line = 11}}) {
    ImportState wrong = state;
    wrong.last_batches = {batch};
    ASSERT_TRUE(SaveImportState(path_, wrong));
    EXPECT_FALSE(LoadImportState(path_));
  }
}

TEST_F(ImportStateTest, RemembersTheLastBatches) {
  ImportState state;
  for (std::uint64_t line = 1; line <= 1000; ++line) state.Remember({.first_line = line});
  EXPECT_EQ(state.last_batches.size(), kBatchesRemembered);
  EXPECT_EQ(state.last_batches.back().first_line, 1000U);
  EXPECT_EQ(state.last_batches.front().first_line, 1001 - kBatchesRemembered);
}

TEST_F(ImportStateTest, NoFileIsNoState) { EXPECT_EQ(LoadImportState(path_).value(), std::nullopt); }

TEST_F(ImportStateTest, WhatIsNotAStateIsRefusedWithWhatToDo) {
  for (const char* content :
       {"", "{}", "[]", R"({"format":1,"rangeStarts":[]})", R"({"format":3,"rangeStarts":["x"]})", "\xFF"}) {
    ASSERT_TRUE(WriteFileDurably(path_, content, 0600));
    const auto loaded = LoadImportState(path_);
    ASSERT_FALSE(loaded) << content;
    EXPECT_THAT(loaded.error().message, HasSubstr("remove it"));
  }
}

TEST_F(ImportStateTest, AFingerprintTellsEveryByte) {
  const std::string content(3'000'000, 'a');  // some chunks and a part of one
  const InputFingerprint original = Fingerprint(content);
  EXPECT_EQ(Fingerprint(content), original);
  EXPECT_EQ(original.size, content.size());
  EXPECT_NE(Fingerprint(content + "a").size, original.size);
  for (const std::size_t at : {0, 1'500'000, 2'999'999}) {
    std::string changed = content;
    changed[at] = 'b';
    EXPECT_NE(Fingerprint(changed).hash, original.hash) << at;
  }
  EXPECT_EQ(Fingerprint("").size, 0U);
  EXPECT_NE(Fingerprint("a").hash, Fingerprint("b").hash);
}

}  // namespace
}  // namespace muster
