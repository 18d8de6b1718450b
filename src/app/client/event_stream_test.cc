#include "app/client/event_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace muster {
namespace {

using ::testing::ElementsAre;

constexpr std::string_view kStream =
    ": heartbeat\nid: 3\n\n"
    "id: 4\ndata: {\"a\":1}\n\n"
    "id: 5\nevent: problem\ndata:{}\n\n"
    "retry: 1000\nid: 6\n\n";

std::vector<std::string> ReadIn(EventStreamReader& reader, std::string_view text, std::size_t piece) {
  std::vector<std::string> events;
  for (std::size_t at = 0; at < text.size(); at += piece) {
    EXPECT_TRUE(reader.Read(text.substr(at, piece), [&](const ServerSentEvent& event) {
      events.push_back(std::string(event.name) + "|" + std::string(event.data) + "|" + reader.last_id());
      return true;
    }));
  }
  return events;
}

TEST(EventStreamReaderTest, ReadsEventsHoweverTheirBytesCome) {
  for (std::size_t piece = 1; piece <= kStream.size(); ++piece) {
    EventStreamReader reader;
    EXPECT_THAT(ReadIn(reader, kStream, piece), ElementsAre("|{\"a\":1}|4", "problem|{}|5"));
    EXPECT_EQ(reader.last_id(), "6") << "a heartbeat has an id and no event";
  }
}

TEST(EventStreamReaderTest, WhatWasNotWholeCountsForNothing) {
  EventStreamReader reader;
  EXPECT_THAT(ReadIn(reader, "id: 4\ndata: 1\n\nid: 5\ndata: half", 1000), ElementsAre("|1|4"));
  EXPECT_EQ(reader.last_id(), "4");
  reader.Reset();
  EXPECT_THAT(ReadIn(reader, "data: 2\n\n", 1000), ElementsAre("|2|4"));
}

TEST(EventStreamReaderTest, StopsWhereItIsToldTo) {
  EventStreamReader reader;
  int count = 0;
  EXPECT_TRUE(reader.Read(kStream, [&](const ServerSentEvent&) { return ++count < 1; }));
  EXPECT_EQ(count, 1);
  EXPECT_EQ(reader.last_id(), "4");
}

TEST(EventStreamReaderTest, RefusesALineWithoutEnd) {
  EventStreamReader reader;
  EXPECT_FALSE(
      reader.Read(std::string(EventStreamReader::kLineBytesMax + 1, 'x'), [](const ServerSentEvent&) { return true; }));
}

}  // namespace
}  // namespace muster
