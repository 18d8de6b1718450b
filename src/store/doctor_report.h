#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "store/doctor.h"
#include "store/doctor_findings.h"

namespace muster {

// What an examination has found so far. Of more findings than are kept, damage is kept before what is harmless.
class DoctorReport {
 public:
  using Progress = std::function<void(std::uint64_t done, std::uint64_t total)>;
  static constexpr std::size_t kFindingsMax = 1'000;
  static constexpr std::uint64_t kRowsPerProgress = 4'096;

  explicit DoctorReport(const Progress& progress) : progress_(progress) {}

  static std::string Subject(MemberId id) { return "member " + std::to_string(id.value()); }

  // `code` is one of doctor_findings.h.
  void Add(std::string_view code, std::string subject, std::string detail) {
    const FindingKind& kind = FindingKindOf(code);
    ++examination_.findings_total;
    if (kind.is_damage) ++examination_.damage_total;
    std::vector<Finding>& findings = examination_.findings;
    if (findings.size() == kFindingsMax) {
      const std::size_t damage_kept = kFindingsMax - harmless_kept_;
      if (!kind.is_damage || damage_kept == kFindingsMax) return;
      const auto last = std::ranges::find(findings.rbegin(), findings.rend(), false, &Finding::is_damage);
      findings.erase(std::next(last).base());
      --harmless_kept_;
    }
    if (!kind.is_damage) ++harmless_kept_;
    findings.push_back({.code = std::string(kind.code),
                        .is_damage = kind.is_damage,
                        .subject = std::move(subject),
                        .detail = std::move(detail)});
  }
  void CountSealKey(std::uint32_t id) { ++members_by_seal_key_[id]; }

  void SetTotal(std::uint64_t rows) { total_ = rows; }
  void Step() {
    if (++done_ % kRowsPerProgress == 0 && progress_) progress_(done_, total_);
  }

  Examination& examination() { return examination_; }
  Examination Finish() && {
    examination_.members_by_seal_key.assign(members_by_seal_key_.begin(), members_by_seal_key_.end());
    if (progress_) progress_(total_, total_);
    return std::move(examination_);
  }

 private:
  const Progress& progress_;
  Examination examination_;
  std::map<std::uint32_t, std::uint64_t> members_by_seal_key_;
  std::size_t harmless_kept_ = 0;
  std::uint64_t done_ = 0;
  std::uint64_t total_ = 0;
};

}  // namespace muster
