#include "app/transfer/batch_reader.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <unistd.h>

#include <thread>
#include <vector>

#include "app/files.h"
#include "app/temporary_directory.h"

namespace muster {
namespace {

class BatchReaderTest : public ::testing::Test {
 protected:
  std::vector<LineBatch> Read(const std::string& content, const BatchLimits& limits, BatchReader::Position start = {}) {
    const std::string path = directory_.path() + "/input";
    EXPECT_TRUE(WriteFileDurably(path, content, 0600));
    const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    EXPECT_EQ(lseek(descriptor, static_cast<off_t>(start.offset), SEEK_SET), static_cast<off_t>(start.offset));
    BatchReader reader(descriptor, path, start, limits);
    std::vector<LineBatch> batches;
    while (auto batch = reader.Next().value()) batches.push_back(std::move(*batch));
    close(descriptor);
    return batches;
  }
  const TemporaryDirectory directory_ = std::move(TemporaryDirectory::Make("muster-batch-test").value());
};

TEST_F(BatchReaderTest, NothingGivesNothing) { EXPECT_TRUE(Read("", {}).empty()); }

TEST_F(BatchReaderTest, LinesAreCountedAndKeptAsTheyAre) {
  const auto batches = Read("a\r\n\n b \nlast", {.lines = 3});
  ASSERT_EQ(batches.size(), 2U);
  EXPECT_EQ(batches[0].text, "a\r\n\n b \n");
  EXPECT_EQ(batches[0].first_line, 1U);
  EXPECT_EQ(batches[0].lines, 3U);
  EXPECT_EQ(batches[0].end_offset, 8U);
  EXPECT_EQ(batches[1].text, "last");
  EXPECT_EQ(batches[1].first_line, 4U);
  EXPECT_EQ(batches[1].end_offset, 12U);
}

TEST_F(BatchReaderTest, AByteOrderMarkIsNoPartOfTheFirstLine) {
  const auto batches = Read(
      "\xEF\xBB\xBF"
      "a\n\xEF\xBB\xBF"
      "b\n",
      {.lines = 1});
  ASSERT_EQ(batches.size(), 2U);
  EXPECT_EQ(batches[0].text, "a\n");
  EXPECT_EQ(batches[0].end_offset, 5U);
  EXPECT_EQ(batches[1].text,
            "\xEF\xBB\xBF"
            "b\n")
      << "elsewhere it is a mistake for the server to reject";
  EXPECT_TRUE(Read("\xEF\xBB\xBF", {}).empty());
  EXPECT_EQ(Read("\xEF\xBB", {})[0].text, "\xEF\xBB");
}

TEST_F(BatchReaderTest, Utf16IsRefusedWithWhatToDo) {
  const std::string path = directory_.path() + "/utf16";
  for (const std::string& content : {std::string("\xFF\xFE{\0", 4), std::string("\xFE\xFF\0{", 4)}) {
    ASSERT_TRUE(WriteFileDurably(path, content, 0600));
    const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    const auto batch = BatchReader(descriptor, path, {}, {}).Next();
    close(descriptor);
    ASSERT_FALSE(batch);
    EXPECT_NE(batch.error().message.find("make it UTF-8"), std::string::npos);
  }
}

TEST_F(BatchReaderTest, BytesBoundABatchButNotALine) {
  const auto batches = Read("aaaa\nbb\ncccccccccccc\nd\n", {.bytes = 8});
  ASSERT_EQ(batches.size(), 3U);
  EXPECT_EQ(batches[0].text, "aaaa\nbb\n");
  EXPECT_EQ(batches[1].text, "cccccccccccc\n");
  EXPECT_EQ(batches[2].text, "d\n");
}

TEST_F(BatchReaderTest, NoBatchCrossesARange) {
  const auto batches = Read("1\n2\n3\n4\n5\n6\n7\n", {.lines = 4, .lines_a_range = 3}, {.offset = 2, .lines = 1});
  ASSERT_EQ(batches.size(), 3U);
  EXPECT_EQ(batches[0].text, "2\n3\n");
  EXPECT_EQ(batches[1].text, "4\n5\n6\n");
  EXPECT_EQ(batches[2].text, "7\n");
  EXPECT_EQ(batches[2].first_line, 7U);
}

TEST_F(BatchReaderTest, ALineThatIsTooLongStandsAloneAndIsCutOff) {
  const std::string line(100, 'x');
  for (const char* end : {"\n", ""}) {
    const auto batches = Read("a\n" + line + end, {.line_bytes_max = 50, .shown_bytes = 10});
    ASSERT_EQ(batches.size(), 2U);
    EXPECT_FALSE(batches[0].is_too_long);
    EXPECT_TRUE(batches[1].is_too_long);
    EXPECT_EQ(batches[1].text, std::string(10, 'x'));
    EXPECT_EQ(batches[1].first_line, 2U);
    EXPECT_EQ(batches[1].end_offset, 102U + std::string(end).size());
  }
  const auto batches = Read(line + "\nb\n", {.line_bytes_max = 50});
  ASSERT_EQ(batches.size(), 2U);
  EXPECT_TRUE(batches[0].is_too_long);
  EXPECT_EQ(batches[1].text, "b\n");
  EXPECT_EQ(batches[1].first_line, 2U);
}

TEST_F(BatchReaderTest, LinesLongerThanTheBufferAreSkippedInBoundedMemory) {
  const auto batches = Read(std::string(5 << 20, 'x') + "\nb\n", {.line_bytes_max = 1000});
  ASSERT_EQ(batches.size(), 2U);
  EXPECT_TRUE(batches[0].is_too_long);
  EXPECT_EQ(batches[1].text, "b\n");
}

TEST_F(BatchReaderTest, APipeThatTricklesIsReadToItsEnd) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  std::thread writer([&] {
    for (const char* piece : {"a", "b\nc", "\n", "d"}) EXPECT_GT(write(ends[1], piece, std::string(piece).size()), 0);
    close(ends[1]);
  });
  BatchReader reader(ends[0], "pipe", {}, {.lines = 100});
  std::string all;
  std::uint64_t lines = 0;
  while (const auto batch = reader.Next().value()) {
    all += batch->text;
    lines += batch->lines;
  }
  writer.join();
  close(ends[0]);
  EXPECT_EQ(all, "ab\nc\nd");
  EXPECT_EQ(lines, 3U);
}

TEST_F(BatchReaderTest, WhatCannotBeReadIsAFailure) {
  const int descriptor = open(directory_.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  BatchReader reader(descriptor, "input", {}, {});
  EXPECT_FALSE(reader.Next());
  close(descriptor);
}

// Whatever the input and the bounds: the batches are the input, in order, and going on after any batch gives the rest.
RC_GTEST_FIXTURE_PROP(BatchReaderTest, BatchesAreTheInput, ()) {
  const auto content =
      *rc::gen::container<std::string>(rc::gen::weightedElement<char>({{6, 'x'}, {2, '\n'}, {1, ' '}}));
  const BatchLimits limits{.bytes = *rc::gen::inRange<std::size_t>(1, 12),
                           .lines = *rc::gen::inRange<std::uint64_t>(1, 5),
                           .lines_a_range = *rc::gen::inRange<std::uint64_t>(1, 7),
                           .line_bytes_max = *rc::gen::inRange<std::size_t>(1, 9)};
  const auto batches = Read(content, limits);
  std::uint64_t lines = 0;
  std::uint64_t offset = 0;
  for (std::size_t i = 0; i < batches.size(); ++i) {
    const LineBatch& batch = batches[i];
    RC_ASSERT(batch.first_line == lines + 1);
    RC_ASSERT((batch.lines >= 1 && batch.lines <= limits.lines));
    RC_ASSERT(lines / limits.lines_a_range == (lines + batch.lines - 1) / limits.lines_a_range);
    const std::string here = content.substr(offset, batch.end_offset - offset);
    RC_ASSERT((batch.is_too_long ? here.starts_with(batch.text) : here == batch.text));
    RC_ASSERT((batch.is_too_long || batch.lines == 1 || batch.text.size() <= limits.bytes));
    lines += batch.lines;
    offset = batch.end_offset;
    if (i % 3 == 0) {
      const auto rest = Read(content, limits, {.offset = offset, .lines = lines});
      RC_ASSERT(rest.size() == batches.size() - i - 1);
    }
  }
  RC_ASSERT(offset == content.size());
}

}  // namespace
}  // namespace muster
