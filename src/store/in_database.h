#pragma once

#include <cstdint>
#include <utility>

#include "base/task.h"
#include "domain/ports/shard_store.h"

namespace muster {

// `co_await InDatabase(shards, database, std::move(transaction))`: runs a transaction and goes on when it is durable,
// or refused, in whichever thread the store answers.
inline Callback<Result<void>> InDatabase(ShardStore& shards, std::uint32_t database,
                                         ShardStore::Transaction transaction) {
  return Callback<Result<void>>([&shards, database, transaction = std::move(transaction)](auto done) mutable {
    shards.Run(database, std::move(transaction), std::move(done));
  });
}

}  // namespace muster
