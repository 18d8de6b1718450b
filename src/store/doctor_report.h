#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "store/doctor.h"

namespace muster {

// What an examination has found so far. The codes of findings are those in doctor.cc; docs list them.
class DoctorReport {
 public:
  using Progress = std::function<void(std::uint64_t done, std::uint64_t total)>;
  static constexpr std::size_t kFindingsMax = 1'000;
  static constexpr std::uint64_t kRowsPerProgress = 4'096;

  explicit DoctorReport(const Progress& progress) : progress_(progress) {}

  void Damage(std::string code, std::string subject, std::string detail) {
    Add({.code = std::move(code), .is_damage = true, .subject = std::move(subject), .detail = std::move(detail)});
  }
  void Harmless(std::string code, std::string subject, std::string detail) {
    Add({.code = std::move(code), .is_damage = false, .subject = std::move(subject), .detail = std::move(detail)});
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
  void Add(Finding finding) {
    ++examination_.findings_total;
    if (examination_.findings.size() < kFindingsMax) examination_.findings.push_back(std::move(finding));
  }

  const Progress& progress_;
  Examination examination_;
  std::map<std::uint32_t, std::uint64_t> members_by_seal_key_;
  std::uint64_t done_ = 0;
  std::uint64_t total_ = 0;
};

}  // namespace muster
