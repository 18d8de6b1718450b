#include "bench/silence.h"

#include <gtest/gtest.h>

namespace muster {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Silences = std::vector<Silence>;

TEST(SilenceWatchTest, OnlyWhatIsOwedIsMissed) {
  SilenceWatch watch;
  watch.Owe(milliseconds(10));
  watch.Hear(milliseconds(11), false);  // then nobody asks for a second
  watch.Owe(milliseconds(1011));
  watch.Owe(milliseconds(1100));
  watch.Hear(milliseconds(1311), true);
  watch.Hear(milliseconds(1400), true);
  watch.End(milliseconds(2400));
  EXPECT_EQ(watch.Kept(), (Silences{{milliseconds(1011), milliseconds(300)}, {milliseconds(1400), seconds(1)}}));
}

TEST(SilenceWatchTest, TheWarmUpDoesNotCount) {
  SilenceWatch watch(seconds(5));
  watch.Owe(seconds(2));
  watch.Hear(seconds(4), true);
  watch.Hear(seconds(6), false);
  EXPECT_EQ(watch.Kept(), (Silences{{seconds(0), seconds(1)}}));
}

TEST(SilenceWatchTest, WhileItDidNotListenItKnowsNothing) {
  SilenceWatch watch;
  watch.Owe(seconds(1));
  watch.Miss(milliseconds(1200), seconds(4));
  watch.Hear(milliseconds(4010), true);
  watch.Hear(milliseconds(4020), false);
  watch.Miss(seconds(5), seconds(6));
  watch.End(seconds(7));
  EXPECT_EQ(watch.Kept(), (Silences{{seconds(1), milliseconds(200)}}));
}

TEST(SilenceWatchTest, KeepsTheLongest) {
  SilenceWatch watch;
  for (int i = 0; i < 1000; ++i) {
    watch.Owe(seconds(i));
    watch.Hear(seconds(i) + milliseconds(i % 500 + 100), false);
  }
  const Silences kept = watch.Kept();
  EXPECT_EQ(kept.size(), SilenceWatch::kKeptMax);
  for (const Silence& silence : kept) EXPECT_GE(silence.length, milliseconds(600 - 128));
}

TEST(FindStallsTest, AStallIsSeenByAllThreads) {
  const std::vector<Silences> threads = {{{seconds(1), seconds(1)}, {seconds(5), seconds(2)}},
                                         {{milliseconds(1100), seconds(3)}, {milliseconds(6500), seconds(5)}},
                                         {{milliseconds(1050), milliseconds(900)}, {seconds(6), seconds(1)}}};
  EXPECT_EQ(FindStalls(threads, milliseconds(1)),
            (Silences{{milliseconds(1100), milliseconds(850)}, {milliseconds(6500), milliseconds(500)}}));
  EXPECT_EQ(FindStalls(threads, milliseconds(100)), (Silences{{milliseconds(1100), milliseconds(850)}}))
      << "answers take long anyway";
  EXPECT_TRUE(FindStalls({}, milliseconds(1)).empty());
  const std::vector<Silences> short_ones = {{{seconds(1), milliseconds(199)}}};
  EXPECT_TRUE(FindStalls(short_ones, milliseconds(1)).empty());
}

TEST(FindStallsTest, AreTold) {
  const Silences one = {{milliseconds(14'300), milliseconds(1020)}};
  EXPECT_EQ(DescribeStalls(one), "no answer for 1.02 s from 14.3 s on");
  EXPECT_EQ(DescribeStalls({}), "");
  const Silences many = {{seconds(1), milliseconds(300)},
                         {seconds(3), milliseconds(200)},
                         {seconds(5), milliseconds(500)},
                         {seconds(7), milliseconds(400)}};
  EXPECT_EQ(DescribeStalls(many),
            "no answer for 0.30 s from 1.0 s on; no answer for 0.50 s from 5.0 s on; no answer for 0.40 s from 7.0 s "
            "on; and 1 more");
  EXPECT_EQ(TimeWithin(one, seconds(14), seconds(1)), milliseconds(700));
  EXPECT_EQ(TimeWithin(one, seconds(15), seconds(1)), milliseconds(320));
  EXPECT_EQ(TimeWithin(one, seconds(16), seconds(1)), milliseconds(0));
}

}  // namespace
}  // namespace muster
