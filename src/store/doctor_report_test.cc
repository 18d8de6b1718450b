#include "store/doctor_report.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace muster {
namespace {

// The lookup rows are walked last, and members first: damage is found before, between and behind what is harmless.
TEST(DoctorReportTest, ADamageIsKeptHoweverMuchHarmlessWasFoundBefore) {
  const DoctorReport::Progress nobody;
  DoctorReport report(nobody);
  for (int i = 0; i < 1500; ++i) report.Add("LOOKUP_DANGLING", std::to_string(i), "");
  report.Add("CHANGE_GAP", "a", "");
  report.Add("HISTORY_MISSING", "b", "");
  report.Add("LOOKUP_DANGLING", "late", "");
  const Examination examination = std::move(report).Finish();
  EXPECT_EQ(examination.findings_total, 1503U);
  EXPECT_EQ(examination.damage_total, 2U);
  ASSERT_EQ(examination.findings.size(), 1000U);
  EXPECT_EQ(examination.findings[997].subject, "997");
  EXPECT_EQ(examination.findings[998].code, "CHANGE_GAP");
  EXPECT_EQ(examination.findings[999].code, "HISTORY_MISSING");
}

TEST(DoctorReportTest, OfDamageTheFirstThousandAreKept) {
  const DoctorReport::Progress nobody;
  DoctorReport report(nobody);
  for (int i = 0; i < 1200; ++i) report.Add("CHANGE_GAP", std::to_string(i), "");
  const Examination examination = std::move(report).Finish();
  EXPECT_EQ(examination.damage_total, 1200U);
  EXPECT_EQ(examination.findings.size(), 1000U);
  EXPECT_EQ(examination.findings.back().subject, "999");
}

}  // namespace
}  // namespace muster
