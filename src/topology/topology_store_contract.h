#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <string>
#include <thread>
#include <vector>

#include "topology/topology.h"

namespace muster {

// The contract of TopologyStore as tests, run on every engine:
//
//   struct MyTopology { TopologyStore& store(); TopologyStore& other(); };  // empty; `other` is the same, elsewhere
//   INSTANTIATE_TYPED_TEST_SUITE_P(MyEngine, TopologyStoreContract, MyTopology);
template <typename Factory>
concept TopologyStoreFactory = std::default_initializable<Factory> && requires(Factory factory) {
  { factory.store() } -> std::same_as<TopologyStore&>;
  { factory.other() } -> std::same_as<TopologyStore&>;
};

template <TopologyStoreFactory Factory>
class TopologyStoreContract : public ::testing::Test {
 protected:
  static Result<void> AddCaller(TopologyDocument& document, const std::string& name) {
    document.callers.push_back({.name = name, .create_time = Timestamp(std::chrono::seconds(1))});
    return {};
  }
  Result<std::int64_t> Add(TopologyStore& store, const std::string& name) {
    MUSTER_ASSIGN(const auto updated,
                  store.Update([&](TopologyDocument& document) { return AddCaller(document, name); }));
    return updated->revision;
  }
  TopologyStore& store() { return factory_.store(); }

  Factory factory_;
};

TYPED_TEST_SUITE_P(TopologyStoreContract);

TYPED_TEST_P(TopologyStoreContract, IsAnEmptyDocumentAtFirst) {
  const auto read = this->store().Read();
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ((*read)->revision, 0);
  EXPECT_EQ((*read)->epoch, Epoch(1));
  EXPECT_TRUE((*read)->callers.empty());
}

TYPED_TEST_P(TopologyStoreContract, AnUpdateRaisesTheRevisionAndIsThereForOthers) {
  const auto updated = this->store().Update([&](TopologyDocument& document) {
    document.revision = 77;  // it may go further than to the next one
    return this->AddCaller(document, "b");
  });
  ASSERT_TRUE(updated) << updated.error().message;
  EXPECT_EQ((*updated)->revision, 77);
  EXPECT_EQ(this->Add(this->store(), "a"), 78);
  const auto read = this->factory_.other().Read();
  ASSERT_TRUE(read);
  EXPECT_EQ((*read)->revision, 78);
  ASSERT_EQ((*read)->callers.size(), 2U);
  EXPECT_EQ((*read)->callers[0].name, "a") << "sorted";
}

TYPED_TEST_P(TopologyStoreContract, AChangeBuildsOnWhatOthersChanged) {
  EXPECT_EQ(this->Add(this->store(), "a"), 1);
  EXPECT_EQ(this->Add(this->factory_.other(), "b"), 2);
  EXPECT_EQ(this->Add(this->store(), "c"), 3);
  EXPECT_EQ((*this->factory_.other().Read())->callers.size(), 3U);
}

TYPED_TEST_P(TopologyStoreContract, AnErrorOfTheChangeStoresNothing) {
  ASSERT_TRUE(this->Add(this->store(), "a"));
  const auto refused = this->store().Update([](TopologyDocument& document) -> Result<void> {
    document.callers.clear();
    return Fail(Reason::kStateConflict, "no");
  });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, Reason::kStateConflict);
  const auto read = this->store().Read();
  ASSERT_TRUE(read);
  EXPECT_EQ((*read)->revision, 1);
  EXPECT_EQ((*read)->callers.size(), 1U);
}

TYPED_TEST_P(TopologyStoreContract, WhatWasReadStaysAsItWas) {
  const auto before = this->store().Read();
  ASSERT_TRUE(this->Add(this->store(), "a"));
  EXPECT_TRUE((*before)->callers.empty());
}

TYPED_TEST_P(TopologyStoreContract, ThreadsLoseNoUpdate) {
  constexpr int kThreads = 8;
  constexpr int kUpdates = 25;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < kUpdates; ++i) {
          TopologyStore& store = i % 2 == 0 ? this->factory_.store() : this->factory_.other();
          const auto updated = this->Add(store, "c" + std::to_string(t) + "-" + std::to_string(i));
          EXPECT_TRUE(updated) << updated.error().message;
          EXPECT_TRUE(store.Read());
        }
      });
    }
  }
  const auto read = this->store().Read();
  ASSERT_TRUE(read);
  EXPECT_EQ((*read)->revision, kThreads * kUpdates);
  EXPECT_EQ((*read)->callers.size(), static_cast<std::size_t>(kThreads * kUpdates));
}

REGISTER_TYPED_TEST_SUITE_P(TopologyStoreContract, IsAnEmptyDocumentAtFirst,
                            AnUpdateRaisesTheRevisionAndIsThereForOthers, AChangeBuildsOnWhatOthersChanged,
                            AnErrorOfTheChangeStoresNothing, WhatWasReadStaysAsItWas, ThreadsLoseNoUpdate);

}  // namespace muster
