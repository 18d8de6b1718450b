#include "api/change_texts.h"

#include <gtest/gtest.h>

#include <numeric>

namespace muster {
namespace {

int written = 0;

void AppendPosition(std::string& out, const ChangeEvent& event) {
  ++written;
  out.append(std::to_string(event.position)).append(";");
}

class ChangeTextsTest : public ::testing::Test {
 protected:
  ChangeTextsTest() {
    written = 0;
    for (std::int64_t position = 1; position <= 100; ++position) {
      if (position % 10 == 0) continue;  // gaps
      events_.push_back({.position = position, .member_id = MemberId(position), .version = Version(1)});
    }
  }
  std::span<const ChangeEvent> Events(std::size_t from, std::size_t count) {
    return std::span(events_).subspan(from, count);
  }

  std::vector<ChangeEvent> events_;
  ChangeTexts texts_{&AppendPosition};
};

TEST_F(ChangeTextsTest, ARunIsWrittenOnceForAllWhoAreThere) {
  for (int stream = 0; stream < 50; ++stream) {
    const ChangeTexts::Run run = texts_.Write(Events(7, 4));
    EXPECT_EQ(run.all(), "8;9;11;12;");
    EXPECT_EQ(run[0], "8;");
    EXPECT_EQ(run[3], "12;");
  }
  EXPECT_EQ(written, 4);
}

TEST_F(ChangeTextsTest, PartsOfItAreThere) {
  texts_.Write(Events(0, 20));
  EXPECT_EQ(texts_.Write(Events(0, 1)).all(), "1;");
  EXPECT_EQ(texts_.Write(Events(9, 2)).all(), "11;12;");
  EXPECT_EQ(texts_.Write(Events(9, 2))[1], "12;");
  EXPECT_EQ(texts_.Write(Events(19, 1)).all(), "22;");
  EXPECT_EQ(written, 20);
}

TEST_F(ChangeTextsTest, WhatIsNotThereIsWrittenAnew) {
  texts_.Write(Events(5, 10));
  EXPECT_EQ(texts_.Write(Events(4, 2)).all(), "5;6;") << "begins before it";
  EXPECT_EQ(texts_.Write(Events(5, 2)).all(), "6;7;") << "goes on behind it";
  EXPECT_EQ(texts_.Write(Events(60, 1)).all(), "67;") << "is elsewhere";
  EXPECT_EQ(written, 10 + 2 + 2 + 1);
  EXPECT_EQ(texts_.Write(Events(0, ChangeTexts::kEventsMax)).all().substr(0, 4), "1;2;");
}

}  // namespace
}  // namespace muster
